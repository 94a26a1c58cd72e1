package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
)

// sent returns the metadata of the last call.
func (c *calls) sent() metadata.MD {
	md, _ := metadata.FromOutgoingContext(c.ctx)
	return md
}

func TestHeaders_onlyTheListedBecomeMetadata(t *testing.T) {
	c := &calls{}
	send(t, newHandler(t, c), "GET", "/identity/v1/me", "",
		"Authorization", "Bearer abc", "Accept-Language", "zh-CN", "X-Request-Id", "req-1",
		"Guildhall-Approval", "organizations/acme/staff/s1/permissionChangeRequests/r1", "Grpc-Metadata-Guildhall-Approval", "forged",
		"Grpc-Metadata-X-User-Id", "root", "Grpc-Metadata-Authorization", "Bearer forged", "Grpc-Metadata-Guildhall-Forwarder", "forged",
		"Guildhall-Forwarder", "forged", "Grpcgateway-Authorization", "x", "Grpc-Metadata-X-Forwarded-For", "6.6.6.6",
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6",
		"Grpc-Timeout", "1n", "Cookie", "a=b", "User-Agent", "x", "Te", "trailers", "Tracestate", "a=b", "Baggage", "a=b", "Grpc-Encoding", "gzip", "X-Bin", "AAAA")
	want := metadata.MD{
		"authorization": {"Bearer abc"}, "accept-language": {"zh-CN"}, "x-request-id": {"req-1"}, "x-forwarded-for": {"192.0.2.1"},
		"guildhall-approval": {"organizations/acme/staff/s1/permissionChangeRequests/r1"},
	}
	got := c.sent()
	for key, values := range got {
		if !slices.Equal(values, want[key]) {
			t.Errorf("metadata %s is %v, want %v", key, values, want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
}

func TestHeaders_nothingOfAServiceReachesTheClient(t *testing.T) {
	c := &headerCalls{}
	h := handlerOf(t, newKit(func(string) grpc.ClientConnInterface { return c }))
	w := send(t, h, "GET", "/identity/v1/me", "", "Te", "trailers")
	wantStatus(t, w, http.StatusOK)
	for name := range w.Header() {
		if strings.HasPrefix(name, "Grpc-") || strings.Contains(strings.ToLower(name), "internal") || name == "Trailer" {
			t.Errorf("the answer has header %s", name)
		}
	}
}

// headerCalls answers with metadata.
type headerCalls struct{ calls }

func (c *headerCalls) Invoke(_ context.Context, _ string, _, _ any, opts ...grpc.CallOption) error {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = metadata.Pairs("x-internal-host", "10.0.0.1", "set-cookie", "a=b")
		case grpc.TrailerCallOption:
			*o.TrailerAddr = metadata.Pairs("x-internal-shard", "7")
		}
	}
	return nil
}

func TestHeaders_unprintableIsRefused(t *testing.T) {
	for header, value := range map[string]string{"Authorization": "Bearer \x7f", "Guildhall-Approval": "organizations/\x7f"} {
		w := send(t, newHandler(t, &calls{}), "GET", "/identity/v1/me", "", header, value)
		wantProblem(t, w, http.StatusBadRequest, "HEADER_INVALID")
	}
}

func TestRequestID_isEchoedOrMade(t *testing.T) {
	h := newHandler(t, &calls{})
	if got := send(t, h, "GET", "/identity/v1/me", "", "X-Request-Id", "a1-b2").Header().Get("X-Request-Id"); got != "a1-b2" {
		t.Errorf("the id becomes %q", got)
	}
	for _, bad := range []string{"", "a b", "a\"b", strings.Repeat("a", 129), "日"} {
		if got := send(t, h, "GET", "/identity/v1/me", "", "X-Request-Id", bad).Header().Get("X-Request-Id"); got == bad || len(got) < 20 {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func TestTraceparent_isPassedOn(t *testing.T) {
	c := &calls{}
	send(t, newHandler(t, c), "GET", "/identity/v1/me", "", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if got := trace.SpanContextFromContext(c.ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace is %s", got)
	}
}

func TestTimeout_isTheClientsWithinTheCap(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c, func(cfg *Config) { cfg.Timeout, cfg.MaxTimeout = 10*time.Second, 20*time.Second })
	for header, want := range map[string]time.Duration{"": 10 * time.Second, "2.5": 2500 * time.Millisecond, "3600": 20 * time.Second, "1e300": 20 * time.Second} {
		start := time.Now()
		wantStatus(t, send(t, h, "GET", "/identity/v1/me", "", "X-Request-Timeout", header), http.StatusOK)
		deadline, ok := c.ctx.Deadline()
		if got := deadline.Sub(start); !ok || got < want || got > want+5*time.Second {
			t.Errorf("%q gives %v, want %v", header, got, want)
		}
	}
	for _, bad := range []string{"-1", "0", "soon", "NaN", "5s"} {
		wantProblem(t, send(t, h, "GET", "/identity/v1/me", "", "X-Request-Timeout", bad), 400, "HEADER_INVALID")
	}
}

func TestTimeout_overIs504(t *testing.T) {
	c := &calls{answer: func(string, proto.Message, proto.Message) error {
		return errs.New(errs.DeadlineExceeded, "DEADLINE_EXCEEDED", "the call ran out of time")
	}}
	wantProblem(t, send(t, newHandler(t, c), "GET", "/identity/v1/me", ""), http.StatusGatewayTimeout, "DEADLINE_EXCEEDED")
}

func TestForwardedFor_isBelievedOfOurProxiesOnly(t *testing.T) {
	ours := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		peer   string
		header []string
		want   string
	}{
		{"203.0.113.9:1", []string{"6.6.6.6"}, "203.0.113.9"},
		{"10.1.1.1:1", nil, "10.1.1.1"},
		{"10.1.1.1:1", []string{"6.6.6.6, 203.0.113.9"}, "203.0.113.9"},
		{"10.1.1.1:1", []string{"6.6.6.6", "203.0.113.9, 10.2.2.2"}, "203.0.113.9"},
		{"10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"10.1.1.1:1", []string{"203.0.113.9, unknown"}, "10.1.1.1"},
		{"10.1.1.1:1", []string{"203.0.113.9:80"}, "10.1.1.1"},
		{"[::ffff:10.1.1.1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[fd00::1%eth0]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"pipe", []string{"203.0.113.9"}, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = test.peer, test.header
		if got := ours.client(r).String(); got != test.want {
			t.Errorf("%s with %q is %s, want %s", test.peer, test.header, got, test.want)
		}
	}
}

func TestAnswers_haveSecurityHeaders(t *testing.T) {
	h := newHandler(t, &calls{})
	for _, path := range []string{"/identity/v1/me", "/nowhere", "/docs"} {
		got := send(t, h, "GET", path, "").Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Get(name))
			}
		}
		if policy := got.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: the content policy is %q", path, policy)
		}
	}
}

func TestCORS_isForListedOrigins(t *testing.T) {
	h := newHandler(t, &calls{}, func(cfg *Config) { cfg.CORS.Origins = []string{"https://app.example"} })
	preflight := []string{"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization"}
	w := send(t, h, "OPTIONS", customer, "", append(preflight, "Origin", "https://app.example")...)
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" ||
		!strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "PATCH") || w.Header().Get("Access-Control-Max-Age") != "600" {
		t.Errorf("the preflight answers %d %v", w.Code, w.Header())
	}
	w = send(t, h, "GET", customer, "", "Origin", "https://app.example")
	if w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "ETag") ||
		w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers are %v", w.Header())
	}
	for _, origin := range []string{"https://evil.example", "https://app.example.evil.example", "null"} {
		w = send(t, h, "OPTIONS", customer, "", append(preflight, "Origin", origin)...)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" || !slices.Contains(w.Header().Values("Vary"), "Origin") {
			t.Errorf("%s is allowed %q; Vary is %v", origin, got, w.Header().Values("Vary"))
		}
	}
	w = send(t, newHandler(t, &calls{}), "GET", customer, "", "Origin", "https://app.example")
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without configuration %q is allowed", got)
	}
}

func TestPanic_isAProblem(t *testing.T) {
	c := &calls{answer: func(string, proto.Message, proto.Message) error {
		var none []int
		_ = none[len(none)]
		return nil
	}}
	w := send(t, newHandler(t, c), "GET", "/identity/v1/me", "")
	p := wantProblem(t, w, http.StatusInternalServerError, "INTERNAL")
	if strings.Contains(w.Body.String(), "index") || p.Detail != errs.InternalMessage {
		t.Errorf("the answer is %s", w.Body)
	}
}
