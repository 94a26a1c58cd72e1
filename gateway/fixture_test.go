package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/serve"
)

// calls stands for every service: it keeps the unary calls it gets and answers
// them with what the test says.
type calls struct {
	mu     sync.Mutex
	method string
	args   proto.Message
	ctx    context.Context
	answer func(method string, args, reply proto.Message) error
}

func (c *calls) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.method, c.args = ctx, method, proto.Clone(args.(proto.Message))
	if c.answer == nil {
		return nil
	}
	return c.answer(method, args.(proto.Message), reply.(proto.Message))
}

func (c *calls) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.method = ctx, method
	return nil, errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "a part of the suite is away; try again later")
}

// last returns the last call and forgets it.
func (c *calls) last() (string, proto.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	method, args := c.method, c.args
	c.method, c.args = "", nil
	return method, args
}

func newKit(dial func(string) grpc.ClientConnInterface) *serve.Kit {
	return &serve.Kit{
		Name: Name, Logger: slog.New(slog.DiscardHandler), Meter: metricnoop.Meter{}, Tracer: tracenoop.Tracer{},
		Issuer: "https://api.example", Dial: dial, Clock: time.Now, SharedKey: authn.NewClusterKey().Derive,
	}
}

// newHandler makes a gateway whose services are all c.
func newHandler(t testing.TB, c *calls, change ...func(*Config)) http.Handler {
	t.Helper()
	return handlerOf(t, newKit(func(string) grpc.ClientConnInterface { return c }), change...)
}

func handlerOf(t testing.TB, kit *serve.Kit, change ...func(*Config)) http.Handler {
	t.Helper()
	cfg := DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	service, err := New(t.Context(), cfg, kit)
	if err != nil {
		t.Fatal(err)
	}
	return service.(serve.Edge).Handler()
}

// send makes a request without a network. A body is sent as JSON.
func send(t testing.TB, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantProblem checks that an answer is a problem with the status and reason.
func wantProblem(t testing.TB, w *httptest.ResponseRecorder, status int, reason string) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("the answer is no problem: %d %s", w.Code, w.Body)
	}
	if w.Code != status || p.Status != status || p.Reason != reason || w.Header().Get("Content-Type") != problem.ContentType {
		t.Fatalf("answered %d %s %s, want %d %s", w.Code, w.Header().Get("Content-Type"), w.Body, status, reason)
	}
	if p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") || !strings.HasSuffix(p.Instance, p.RequestID) {
		t.Errorf("the request id is %q in the problem, %q in the header", p.RequestID, w.Header().Get("X-Request-Id"))
	}
	return p
}

func wantStatus(t testing.TB, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("answered %d %s, want %d", w.Code, w.Body, status)
	}
}

// fill copies a message into a reply.
func fill(reply proto.Message, m proto.Message) error {
	proto.Reset(reply)
	proto.Merge(reply, m)
	return nil
}

func jsonOf(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return maps.Clone(m)
}

// unavailable is the answer of a service that is away.
func unavailable(string, proto.Message, proto.Message) error {
	return errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "a part of the suite is away; try again later")
}
