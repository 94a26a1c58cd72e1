package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"guildhall.dev/gateway/internal/docs"
	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/telemetry"
)

// edge is the HTTP handler: what every request passes before its route.
type edge struct {
	cfg     Config
	kit     *serve.Kit
	metrics *metrics
	proxies proxies
	cors    cors
	apis    map[string]*api
	docs    *docs.Docs
	point   *decisionPoint
	oauth   *authorizationServer
	routes  http.Handler // compressed
	secure  bool         // clients know us by https
}

func newEdge(cfg Config, kit *serve.Kit) (http.Handler, error) {
	e := &edge{
		cfg: cfg, kit: kit, proxies: cfg.TrustedProxies, cors: newCORS(cfg.CORS),
		apis: map[string]*api{}, secure: strings.HasPrefix(kit.Issuer, "https://"),
	}
	var err error
	if e.metrics, err = newMetrics(kit.Meter); err != nil {
		return nil, err
	}
	permissions := map[string]string{}
	for _, s := range services() {
		a, err := newAPI(e, s)
		if err != nil {
			return nil, err
		}
		e.apis[s.name] = a
		a.describe(permissions)
	}
	if e.docs, err = docs.New(permissions); err != nil {
		return nil, err
	}
	if e.point, err = newDecisionPoint(e); err != nil {
		return nil, err
	}
	if e.oauth, err = newAuthorizationServer(e); err != nil {
		return nil, err
	}
	// zstd and gzip, where the client takes them and it is worth it. Tokens
	// are in no danger from BREACH: they are answered alone, never beside what
	// somebody else chose, and travel in headers otherwise.
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		return nil, fmt.Errorf("gateway: preparing compression: %w", err)
	}
	e.routes = compress(http.HandlerFunc(e.route))
	return e, nil
}

// ServeHTTP is the life of a request.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &recorder{ResponseWriter: w}
	q := &request{id: requestID(r), started: time.Now(), http: r, remote: e.proxies.client(r), writer: out}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := e.kit.Tracer.Start(telemetry.WithRequestID(ctx, q.id), r.Method, trace.WithSpanKind(trace.SpanKindServer))
	ctx = withRequest(ctx, q)
	q.http = r.WithContext(ctx)
	q.body = newBody(out, r, int64(e.cfg.BodySize), e.cfg.BodyTimeout)
	defer func() {
		if value := recover(); value != nil {
			e.recovered(out, q, value)
		}
		if q.binding != nil {
			span.SetName(q.http.Method + " " + q.binding.pattern)
		}
		span.SetAttributes(attribute.Int("http.response.status_code", out.code()))
		span.End()
		e.metrics.record(ctx, q, out.code())
	}()
	// The connection may have a deadline of an earlier request; streams set
	// their own with each write.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(e.cfg.MaxTimeout + 2*e.cfg.BodyTimeout))
	e.headers(out.Header(), q)
	if e.cors.serve(out, r) {
		return
	}
	if err := e.check(q); err != nil {
		e.fail(out, q, err)
		return
	}
	e.routes.ServeHTTP(out, q.http)
}

// headers sets what every answer has. A route may change what it must.
func (e *edge) headers(h http.Header, q *request) {
	h.Set("X-Request-Id", q.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if e.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// check refuses what no route could take, and what two readers of one request
// could take for two different paths.
func (e *edge) check(q *request) error {
	u := q.http.URL
	raw := strings.ToLower(u.EscapedPath())
	bad := !strings.HasPrefix(u.Path, "/") || strings.Contains(u.Path, "//") ||
		strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c") || strings.ContainsRune(u.Path, '\\') ||
		strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f })
	for segment := range strings.SplitSeq(u.Path, "/") {
		bad = bad || segment == "." || segment == ".."
	}
	switch {
	case bad:
		return errs.New(errs.Invalid, problem.PathInvalid,
			"a path has no empty or dotted segments, no encoded slashes and no control characters")
	case !utf8.ValidString(u.Path):
		return errs.New(errs.Invalid, problem.TextNotUTF8, "the path must be UTF-8")
	}
	for _, passed := range [][2]string{
		{"Authorization", "send the token as it was given to you"},
		{approvalHeader, "send the name of a change request"},
	} {
		for _, value := range q.http.Header.Values(passed[0]) {
			if !isPrintable(value) {
				return invalidHeader(passed[0], passed[1])
			}
		}
	}
	if err := q.readQuery(); err != nil {
		return err
	}
	return q.readTimeout(&e.cfg)
}

// route finds who answers a path.
func (e *edge) route(w http.ResponseWriter, r *http.Request) {
	if serve := e.point.find(r.URL.Path); serve != nil {
		serve(w, r)
		return
	}
	if serve := e.oauth.routes[r.URL.Path]; serve != nil {
		serve(w, r)
		return
	}
	first, _, _ := strings.Cut(r.URL.Path[1:], "/")
	if a, ok := e.apis[first]; ok {
		a.ServeHTTP(w, r)
		return
	}
	q := requestOf(r.Context())
	serve := map[string]http.HandlerFunc{
		"/": e.home, "/docs": e.docs.Page, "/docs/docs.js": e.docs.Script, "/docs/docs.css": e.docs.Style,
		"/docs/permissions.json": e.docs.Permissions, "/openapi.json": e.docs.Document,
		"/.well-known/jwks.json": e.keys,
	}[r.URL.Path]
	switch {
	case serve == nil:
		e.fail(w, q, noRoute())
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		e.fail(w, q, errs.New(errs.Invalid, problem.MethodNotAllowed, "this path can only be read"))
	default:
		serve(w, r)
	}
}

func (e *edge) home(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/docs", http.StatusFound)
}

// fail answers with the problem of err.
func (e *edge) fail(w http.ResponseWriter, q *request, err error) {
	e.log(q, err)
	problem.Write(w, err, q.problem())
}

// writeJSON answers what is no message, in the JSON of encoding/json.
func (e *edge) writeJSON(w http.ResponseWriter, q *request, status int, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		e.fail(w, q, fmt.Errorf("encoding an answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// recovered answers a request whose handler panicked.
func (e *edge) recovered(out *recorder, q *request, value any) {
	err := errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(fmt.Errorf("panic: %v\n%s", value, debug.Stack())))
	e.log(q, err)
	if out.status == 0 {
		problem.Write(out, err, q.problem())
	}
}
