package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestTelemetry_servesMetricsOfEveryScope(t *testing.T) {
	tel, err := Open(t.Context(), Config{Program: "guildhall", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	// Two services have a counter of the same name, as of the store's engine.
	for _, service := range []string{"identity", "permission"} {
		counter, err := tel.Meter(service).Int64Counter("guildhall.store.commits")
		if err != nil {
			t.Fatal(err)
		}
		counter.Add(t.Context(), 3)
	}
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`guildhall_store_commits_total{otel_scope_name="identity"`, `guildhall_store_commits_total{otel_scope_name="permission"`,
		"go_goroutines ", `service_name="guildhall"`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in:\n%s", want, w.Body)
		}
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// collector takes the spans of the OTLP exporter.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	names chan string
}

func (c *collector) Export(_ context.Context, req *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	for _, r := range req.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				c.names <- s.GetScope().GetName() + "/" + span.GetName()
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func TestTelemetry_exportsTraces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, c := grpc.NewServer(), &collector{names: make(chan string, 10)}
	collectorv1.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	tel, err := Open(t.Context(), Config{Program: "guildhall", OTLPEndpoint: "http://" + l.Addr().String(), SampleRatio: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Tracer("identity").Start(t.Context(), "work")
	span.End()
	if err := tel.Close(t.Context()); err != nil { // delivers what is left
		t.Fatal(err)
	}
	if got := <-c.names; got != "identity/work" {
		t.Errorf("the collector got %s", got)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTelemetry_tracingIsOffWithoutACollector(t *testing.T) {
	tel, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, span := tel.Tracer("identity").Start(t.Context(), "work"); span.IsRecording() {
		t.Error("a span is recorded")
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLogger_addsWhatTheContextSays(t *testing.T) {
	var out bytes.Buffer
	logger := NewLogger(&out, LogConfig{Level: slog.LevelInfo, JSON: true}).With("service", "identity").WithGroup("g")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(WithRequestID(t.Context(), "r1"), span)
	logger.InfoContext(ctx, "hello", "a", 1)
	logger.DebugContext(ctx, "not this")
	var line struct {
		Service string
		G       map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if line.Service != "identity" || line.G["request_id"] != "r1" || line.G["trace_id"] != span.TraceID().String() || line.G["a"] != 1.0 {
		t.Errorf("the line is %s", out.String())
	}
	if RequestID(ctx) != "r1" || RequestID(t.Context()) != "" {
		t.Error("the request id is not the context's")
	}
}

func TestLogger_redactsMessages(t *testing.T) {
	login := &identityv1.LoginRequest{Organization: "organizations/acme", Identifier: "ada@example.org", Password: "hunter2"}
	var none *identityv1.LoginRequest
	for _, asJSON := range []bool{true, false} {
		var out bytes.Buffer
		logger := NewLogger(&out, LogConfig{Level: slog.LevelDebug, JSON: asJSON})
		logger.Info("x", "one", login, "several", []*identityv1.LoginRequest{login}, "any", []proto.Message{login, nil},
			slog.Group("g", "inner", login), "none", none)
		text := out.String()
		if strings.Contains(text, "hunter2") || strings.Contains(text, "ada@") || strings.Count(text, "organizations/acme") != 4 {
			t.Errorf("the line is %s", text)
		}
	}
}

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "": slog.LevelInfo, "x": slog.LevelInfo} {
		if got := ParseLevel(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
