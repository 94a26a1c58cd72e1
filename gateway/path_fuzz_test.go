package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzPath sends any path. Whatever it is, the edge answers it: a route with
// what the service said, anything else with a problem that shows nothing of
// the inside.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/", "/identity/v1/me", "/groupchat/v1/organizations/acme/groups/g1/messages:stream", "/identity/v1/organizations/acme/customers:import",
		"/identity/v1/organizations/%2e%2e/staff", "/identity//v1/me", "/identity/v1/organizations/a%2fb", "/feedback/v1/organizations/acme/customers/-/complaints",
		"/%00", "/identity/v1/organizations/acme:undelete:x", "/..%5c..", "/组织", "/docs/../openapi.json", "/identity/v1/organizations/*",
	} {
		f.Add(path)
	}
	h := newHandler(f, &calls{})
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil || u.Host != "" {
			return // a server never sees a path that is none
		}
		r := httptest.NewRequest(http.MethodGet, "http://guildhall.test/", nil)
		r.URL = u
		r.RequestURI = u.RequestURI()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 200 || w.Code == http.StatusInternalServerError || w.Code > 599 {
			t.Fatalf("%q is answered with %d: %s", path, w.Code, w.Body)
		}
		if w.Code >= 400 && !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%q: a refusal of type %q", path, w.Header().Get("Content-Type"))
		}
	})
}
