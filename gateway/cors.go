package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The headers that browser apps may send and read.
const (
	corsRequest = "Accept, Accept-Language, Authorization, Content-Type, Guildhall-Approval, Idempotency-Key, If-Match, " +
		"If-None-Match, Last-Event-ID, X-Request-Id, X-Request-Timeout, Traceparent, Tracestate"
	corsAnswer = "ETag, Retry-After, X-Request-Id, WWW-Authenticate, Content-Language"
)

// cors lets browser apps of other origins call the API (Fetch standard).
// Credentials are never allowed: the API knows no cookies, and a token in a
// header is the app's own to send.
type cors struct {
	origins []string
	maxAge  string
}

func newCORS(cfg CORS) cors {
	return cors{origins: cfg.Origins, maxAge: strconv.Itoa(int(cfg.MaxAge.Seconds()))}
}

// serve sets the headers for a request of another origin and answers a
// preflight. It reports whether it did. An origin that is not allowed gets the
// usual answer without the headers, and its browser keeps it from the app.
func (c cors) serve(w http.ResponseWriter, r *http.Request) bool {
	if len(c.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	everyone := slices.Contains(c.origins, "*")
	if origin == "" || !everyone && !slices.Contains(c.origins, origin) {
		return false
	}
	if everyone {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", corsAnswer)
		return false
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(verbs, ", "))
	h.Set("Access-Control-Allow-Headers", corsRequest)
	h.Set("Access-Control-Max-Age", c.maxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
