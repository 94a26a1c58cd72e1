// Package telemetry makes a process visible: OpenTelemetry traces and metrics,
// and logs that name the trace and the request and never a person.
//
// Metrics are always recorded and served in Prometheus's format; traces are
// exported over OTLP when a collector is configured and are not recorded
// otherwise. Nothing is registered globally: a process, or a test, has its own
// Telemetry and hands out its meters and tracers.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config says what to record. The zero Config records metrics only.
type Config struct {
	// Program and Version name the process in traces, as in "guildhall".
	Program, Version string
	// OTLPEndpoint is the collector's URL, http:// or https://; empty turns
	// tracing off.
	OTLPEndpoint string
	// SampleRatio is the share of traces that are recorded, 0 to 1. Set it the
	// same in all processes, so that they record the same traces.
	SampleRatio float64
}

// Telemetry holds the providers of a process. It is safe for concurrent use.
type Telemetry struct {
	registry *prometheus.Registry
	meters   *sdkmetric.MeterProvider
	tracers  trace.TracerProvider
	close    func(context.Context) error
}

// Open makes the providers. It does not connect: a collector that is away
// costs spans, never a start.
func Open(ctx context.Context, cfg Config) (*Telemetry, error) {
	registry := prometheus.NewRegistry()
	if err := errors.Join(
		registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	); err != nil {
		return nil, fmt.Errorf("registering the runtime's metrics: %w", err)
	}
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, fmt.Errorf("opening metrics: %w", err)
	}
	origin := resource.NewSchemaless(
		attribute.String("service.namespace", "guildhall"),
		attribute.String("service.name", cfg.Program),
		attribute.String("service.version", cfg.Version),
	)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(origin))
	t := &Telemetry{registry: registry, meters: meters, tracers: noop.NewTracerProvider(), close: meters.Shutdown}
	if cfg.OTLPEndpoint == "" {
		return t, nil
	}
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(cfg.OTLPEndpoint))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening traces: %w", err), meters.Shutdown(ctx))
	}
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(spans),
		sdktrace.WithResource(origin),
		sdktrace.WithSampler(sampler(cfg.SampleRatio)),
	)
	t.tracers = tracers
	t.close = func(ctx context.Context) error { return errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx)) }
	return t, nil
}

// Meter returns the meter of a part of the process: a service's name.
func (t *Telemetry) Meter(scope string) metric.Meter { return t.meters.Meter(scope) }

// Tracer returns the tracer of a part of the process: a service's name.
func (t *Telemetry) Tracer(scope string) trace.Tracer { return t.tracers.Tracer(scope) }

// MeterProvider is for instrumentation libraries.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// TracerProvider is for instrumentation libraries. It is a no-op while tracing
// is off.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// Propagator carries traces between processes, in W3C headers. It passes a
// caller's trace on even while tracing is off here. Baggage is not carried:
// anybody could put anything into it.
func (t *Telemetry) Propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// Handler serves the metrics in Prometheus's format.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Close sends what is left and stops. It waits no longer than ctx.
func (t *Telemetry) Close(ctx context.Context) error { return t.close(ctx) }

// sampler records the share of traces, and of one trace all spans or none. It
// takes nobody's word from outside the process on whether to record: anybody
// can send a traceparent, and what is recorded costs money. Processes with the
// same ratio agree all the same, since the ratio is taken of the trace's id.
func sampler(ratio float64) sdktrace.Sampler {
	byID := sdktrace.TraceIDRatioBased(ratio)
	return sdktrace.ParentBased(byID,
		sdktrace.WithRemoteParentSampled(byID), sdktrace.WithRemoteParentNotSampled(byID))
}
