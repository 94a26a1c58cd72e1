package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
)

// TestRoutes_leadToTheirRPC asks for every route that the protos declare and
// sees which RPC is called.
func TestRoutes_leadToTheirRPC(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	count := 0
	for _, s := range services() {
		routes, err := bindings(s.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range routes {
			count++
			body := ""
			if b.body != "" {
				body = "{}"
			}
			w := send(t, h, b.verb, examplePath(b.pattern), body)
			if called, _ := c.last(); called != b.rpc {
				t.Errorf("%s %s calls %q, want %s: %s", b.verb, b.pattern, called, b.rpc, w.Body)
			}
			want := http.StatusOK
			if b.method.IsStreamingServer() {
				want = http.StatusServiceUnavailable // as the test's connection says
			}
			if w.Code != want {
				t.Errorf("%s %s answers %d: %s", b.verb, b.pattern, w.Code, w.Body)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d routes were found", count)
	}
}

// examplePath fills the variables of a pattern.
func examplePath(pattern string) string {
	pattern = strings.NewReplacer("{", "", "}", "").Replace(pattern)
	var out []string
	for segment := range strings.SplitSeq(pattern, "/") {
		if _, inner, ok := strings.Cut(segment, "="); ok {
			segment = inner
		}
		out = append(out, strings.ReplaceAll(segment, "*", "x1"))
	}
	return strings.Join(out, "/")
}

// TestRoutes_bodiesAreMessages holds what codec assumes: every body is the
// whole request or one field that is a message.
func TestRoutes_bodiesAreMessages(t *testing.T) {
	for _, s := range services() {
		routes, err := bindings(s.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range routes {
			if b.body == "" || b.body == "*" {
				continue
			}
			if field := b.resource(); field == nil || field.Message() == nil || field.IsList() || field.IsMap() {
				t.Errorf("%s: body %q is not a message", b.rpc, b.body)
			}
			if typ, err := b.bodyType(); err != nil || typ == nil {
				t.Errorf("%s: body %q: %v", b.rpc, b.body, err)
			}
		}
	}
}

// TestStreams_haveNoFieldProblem keeps the last line of a stream that failed
// apart from its messages.
func TestStreams_haveNoFieldProblem(t *testing.T) {
	for _, s := range services() {
		routes, err := bindings(s.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range routes {
			if b.method.IsStreamingServer() && b.method.Output().Fields().ByJSONName("problem") != nil {
				t.Errorf("%s: a streamed message has a field named problem", b.rpc)
			}
		}
	}
}

func TestRoute_serviceAwayIsAProblem(t *testing.T) {
	h := handlerOf(t, newKit(func(string) grpc.ClientConnInterface { return &calls{answer: unavailable} }))
	w := send(t, h, "GET", "/groupchat/v1/organizations/acme/groups/g1", "")
	p := wantProblem(t, w, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	if w.Header().Get("Retry-After") != "1" || p.RetryAfter != 1 || p.Kind != "UNAVAILABLE" {
		t.Errorf("Retry-After is %q, the problem %+v", w.Header().Get("Retry-After"), p)
	}
	wantProblem(t, send(t, h, "GET", "/groupchat/v1/organizations/acme/groups/g1/messages:stream", ""), 503, "SERVICE_UNAVAILABLE")
}

func TestRoute_unknownIsNotFound(t *testing.T) {
	h := newHandler(t, &calls{})
	for _, path := range []string{"/nowhere", "/identity", "/identity/v1/nothing", "/identity/v2/me", "/docs/", "/favicon.ico"} {
		wantProblem(t, send(t, h, "GET", path, ""), http.StatusNotFound, "ROUTE_NOT_FOUND")
	}
}

func TestRoute_wrongMethodSaysWhichAreAllowed(t *testing.T) {
	h := newHandler(t, &calls{})
	for path, allow := range map[string]string{
		"/identity/v1/organizations/acme/customers":        "GET, HEAD, POST, OPTIONS",
		"/identity/v1/organizations/acme/customers/c1":     "GET, HEAD, PATCH, DELETE, OPTIONS",
		"/identity/v1/sessions:login":                      "POST, OPTIONS",
		"/identity/v1/organizations/acme/customers:import": "POST, OPTIONS",
		"/identity/v1/organizations/acme/orders:import":    "POST, OPTIONS",
		"/openapi.json": "GET, HEAD, OPTIONS",
	} {
		w := send(t, h, "PUT", path, "")
		wantProblem(t, w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s allows %q, want %q", path, got, allow)
		}
		w = send(t, h, "OPTIONS", path, "")
		if w.Code != http.StatusNoContent || w.Header().Get("Allow") != allow {
			t.Errorf("OPTIONS %s answers %d and allows %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestRoute_headIsGet(t *testing.T) {
	c := &calls{}
	wantStatus(t, send(t, newHandler(t, c), "HEAD", "/identity/v1/me", ""), http.StatusOK)
	if method, _ := c.last(); !strings.HasSuffix(method, "/WhoAmI") {
		t.Errorf("HEAD calls %q", method)
	}
	wantProblem(t, send(t, newHandler(t, c), "HEAD", streamPath, ""), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
}

func TestRoute_methodOverrideIsOff(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	w := send(t, h, "POST", "/identity/v1/organizations/acme/customers/c1", "x=1",
		"Content-Type", "", "Content-Type", "application/x-www-form-urlencoded", "X-Http-Method-Override", "DELETE")
	wantProblem(t, w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	// A form that posts to a path with a GET is no GET either.
	w = send(t, h, "POST", "/identity/v1/me", "", "Content-Type", "application/x-www-form-urlencoded")
	wantProblem(t, w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	if method, _ := c.last(); method != "" {
		t.Errorf("%s was called", method)
	}
}

func TestPath_ambiguousIsRefused(t *testing.T) {
	c := &calls{}
	h := newHandler(t, c)
	for _, path := range []string{
		"/identity/v1/organizations/acme%2Fstaff%2Fs1/customers", "/identity/v1/organizations/acme%2fcustomers",
		"/identity/v1/organizations/../organizations/acme", "/identity/v1/organizations/%2e%2e/acme",
		"/identity//v1/me", "//identity/v1/me", "/identity/v1/./me", "/identity/v1/organizations/a%00b",
		"/identity/v1/organizations/a%5Cb", "/docs/../openapi.json",
	} {
		wantProblem(t, send(t, h, "GET", path, ""), http.StatusBadRequest, "PATH_INVALID")
	}
	wantProblem(t, send(t, h, "GET", "/identity/v1/organizations/%ff", ""), http.StatusBadRequest, "TEXT_NOT_UTF8")
	if method, _ := c.last(); method != "" {
		t.Errorf("%s was called", method)
	}
}

// TestElsewhere_saysWhatToDoWithANameOfTheRequest: the id that belongs in the query, the
// resource that was wrapped, what the path says; and nothing of other names.
func TestElsewhere_saysWhatToDoWithANameOfTheRequest(t *testing.T) {
	routes, err := bindings("identity")
	if err != nil {
		t.Fatal(err)
	}
	found := slices.IndexFunc(routes, func(b *binding) bool { return strings.HasSuffix(b.rpc, "/CreateCustomer") })
	if found < 0 {
		t.Fatal("there is no CreateCustomer")
	}
	for name, want := range map[string]string{
		"customerId":  "the body is the customer alone: send this in the query, as in ?customerId=…",
		"customer_id": "the body is the customer alone: send this in the query, as in ?customerId=…",
		"customer":    "the body is this already: send its fields without its name around them",
		"parent":      "the path says this already: leave it out",
		"surname":     "",
	} {
		if got := routes[found].elsewhere(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
