package rpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// durations records how long calls take, as rpc.server.call.duration of the
// semantic conventions, by method and status.
//
// otelgrpc records the same, and makes and hashes the attributes anew for each
// call: a tenth of what a permission check costs in all. Here the attributes of
// each pair are made once.
type durations struct {
	histogram metric.Float64Histogram
	options   sync.Map // *authz.Rule, nil for what has none -> *byCode
}

// byCode are the options of one method's calls, by status.
type byCode [codes.Unauthenticated + 1]atomic.Pointer[[]metric.RecordOption]

func newDurations(meter metric.MeterProvider) (*durations, error) {
	if meter == nil {
		return &durations{}, nil
	}
	histogram, err := meter.Meter("guildhall.dev/pkg/rpc").Float64Histogram("rpc.server.call.duration",
		metric.WithUnit("s"), metric.WithDescription("How long calls take, streams until they end."),
		metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err != nil {
		return nil, fmt.Errorf("the metric of calls: %w", err)
	}
	return &durations{histogram: histogram}, nil
}

// record notes one call. Methods are those of rules, and so are few; what is
// called in vain has none and is noted as "_OTHER", as the conventions say.
func (d *durations) record(ctx context.Context, c *call, code codes.Code) {
	if d.histogram == nil {
		return
	}
	of, ok := d.options.Load(c.rule)
	if !ok {
		of, _ = d.options.LoadOrStore(c.rule, new(byCode))
	}
	options := &of.(*byCode)[min(code, codes.Unauthenticated)]
	if options.Load() == nil {
		options.Store(optionsOf(c, code))
	}
	d.histogram.Record(ctx, time.Since(c.start).Seconds(), *options.Load()...)
}

func optionsOf(c *call, code codes.Code) *[]metric.RecordOption {
	method := "_OTHER"
	if c.rule != nil {
		method = c.method
	}
	return &[]metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(
		attribute.String("rpc.system.name", "grpc"),
		attribute.String("rpc.method", method),
		attribute.String("rpc.response.status_code", code.String()),
	))}
}

// traced reports whether the provider records anything.
func traced(tracer trace.TracerProvider) bool {
	_, off := tracer.(tracenoop.TracerProvider)
	return tracer != nil && !off
}

// passTrace puts the caller's trace into the context, so that it goes on in
// other processes and in events while this one records none itself.
func passTrace(ctx context.Context) context.Context {
	parent := metadata.ValueFromIncomingContext(ctx, "traceparent")
	if len(parent) == 0 {
		return ctx
	}
	state := metadata.ValueFromIncomingContext(ctx, "tracestate")
	carrier := propagation.MapCarrier{"traceparent": parent[0]}
	if len(state) > 0 {
		carrier["tracestate"] = state[0]
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}
