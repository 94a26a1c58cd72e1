package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/status"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

// metrics are what the edge measures, named after OpenTelemetry's semantic
// conventions where these have a name. Routes are patterns, never paths.
type metrics struct {
	duration metric.Float64Histogram
	streams  metric.Int64UpDownCounter
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	duration, err := meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the first byte of a request to the last of its answer."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	streams, err := meter.Int64UpDownCounter("guildhall.gateway.streams",
		metric.WithDescription("Open streams to HTTP clients."))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return &metrics{duration: duration, streams: streams}, nil
}

func (m *metrics) record(ctx context.Context, q *request, code int) {
	route, verb := "other", q.http.Method
	if q.binding != nil {
		route = q.binding.pattern
	}
	if !slices.Contains(verbs, verb) && verb != http.MethodHead && verb != http.MethodOptions {
		verb = "_OTHER" // anybody can make methods up
	}
	m.duration.Record(ctx, time.Since(q.started).Seconds(), metric.WithAttributes(
		attribute.String("http.request.method", verb),
		attribute.String("http.route", route),
		attribute.Int("http.response.status_code", code),
	))
}

// log writes what somebody has to look at and nobody else has logged: faults of
// the gateway itself, and services that cannot be reached. What a service has
// answered is in the service's log, under the same request id.
func (e *edge) log(q *request, err error) {
	known := errs.From(rpc.FromStatus(err))
	level := slog.LevelWarn
	switch known.Kind {
	case errs.Internal:
		level = slog.LevelError
	case errs.Unavailable, errs.DeadlineExceeded:
	default:
		return
	}
	if s, ok := status.FromError(errors.Unwrap(known)); ok && s != nil && len(s.Details()) > 0 {
		return
	}
	route := ""
	if q.binding != nil {
		route = q.binding.pattern
	}
	e.kit.Logger.Log(q.http.Context(), level, "request",
		"method", q.http.Method, "route", route, "reason", known.Reason, "error", known)
}

// recorder remembers the status of an answer, and leaves out a body that its
// status does not have: the transcoder writes one after every 304.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.status == http.StatusNotModified || r.status == http.StatusNoContent {
		return len(p), nil
	}
	return r.ResponseWriter.Write(p)
}

// Flush is for writers that ask for the interface.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// code is the status as it was answered: a handler that wrote nothing said OK.
func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
