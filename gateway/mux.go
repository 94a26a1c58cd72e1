package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/gateway/internal/jsonbody"
	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
)

// verbs are the methods that routes may have, in the order of Allow.
var verbs = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// api is the routes of one service.
type api struct {
	edge     *edge
	conn     *rpcConn
	bindings []*binding
	mux      *runtime.ServeMux
	// lookup has the same routes with a handler that only says that it was
	// found. It answers which methods a path has.
	lookup *runtime.ServeMux
	codec  *codec
}

func newAPI(e *edge, s service) (*api, error) {
	routes, err := bindings(s.name)
	if err != nil {
		return nil, err
	}
	a := &api{
		edge: e, bindings: routes,
		conn:  &rpcConn{ClientConnInterface: e.kit.Dial(s.name), routes: map[string]*binding{}},
		codec: &codec{}, lookup: runtime.NewServeMux(runtime.WithRoutingErrorHandler(nothingFound)),
	}
	// Nothing passes from headers to metadata or back by its name: see
	// request.metadata. No POST becomes a GET by a header or a form.
	nothing := func(string) (string, bool) { return "", false }
	a.mux = runtime.NewServeMux(
		runtime.WithIncomingHeaderMatcher(nothing), runtime.WithOutgoingHeaderMatcher(nothing), runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithDisableHTTPMethodOverride(), runtime.WithDisablePathLengthFallback(),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, a.codec),
		runtime.WithErrorHandler(a.fail), runtime.WithRoutingErrorHandler(a.failRouting),
		runtime.WithForwardResponseOption(forward),
	)
	if err := s.register(context.Background(), a.mux, a.conn); err != nil {
		return nil, fmt.Errorf("gateway: registering the routes of %s: %w", s.name, err)
	}
	for _, b := range routes {
		a.conn.routes[routeKey(b.rpc, b.pattern)] = b
		if err := a.serve(b); err != nil {
			return nil, err
		}
	}
	if s.name == "identity" {
		return a, a.serveImports()
	}
	return a, nil
}

// serve adds what the generated routes lack: streams are ours, because the
// library sends no headers before the first message, and nothing while there
// is none. Of two handlers of one route the later is found first.
func (a *api) serve(b *binding) error {
	if b.method.IsStreamingServer() {
		s, err := a.newStream(b)
		if err != nil {
			return err
		}
		if err := a.mux.HandlePath(b.verb, b.pattern, s.serve); err != nil {
			return fmt.Errorf("gateway: %s: %w", b.rpc, err)
		}
	}
	return a.known(b.verb, b.pattern)
}

// known adds a route to those that Allow is made of.
func (a *api) known(verb, pattern string) error {
	err := a.lookup.HandlePath(verb, pattern, func(_ http.ResponseWriter, r *http.Request, _ map[string]string) {
		if found, ok := r.Context().Value(foundKey{}).(*bool); ok {
			*found = true
		}
	})
	if err != nil {
		return fmt.Errorf("gateway: route %s: %w", pattern, err)
	}
	return nil
}

type foundKey struct{}

func nothingFound(context.Context, *runtime.ServeMux, runtime.Marshaler, http.ResponseWriter, *http.Request, int) {
}

// allowed returns the methods of a path, "" for one without routes.
func (a *api) allowed(r *http.Request) string {
	var out []string
	for _, verb := range verbs {
		found := false
		ask := r.WithContext(context.WithValue(r.Context(), foundKey{}, &found))
		ask.Method, ask.Header = verb, http.Header{}
		a.lookup.ServeHTTP(nil, ask)
		if !found {
			continue
		}
		out = append(out, verb)
		if verb == http.MethodGet {
			out = append(out, http.MethodHead)
		}
	}
	if out == nil {
		return ""
	}
	return strings.Join(append(out, http.MethodOptions), ", ")
}

// ServeHTTP gives a request to the transcoder, without its headers.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r.Context())
	inner := *r
	switch r.Method {
	case http.MethodOptions:
		if allow := a.allowed(r); allow != "" {
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	case http.MethodHead:
		inner.Method = http.MethodGet // the server leaves the body out
		fallthrough
	case http.MethodGet, http.MethodDelete:
		if r.ContentLength != 0 {
			a.edge.fail(w, q, errs.New(errs.Invalid, problem.BodyNotAllowed, "a request of this method has no body"))
			return
		}
	}
	inner.Header, inner.RemoteAddr, inner.Host = http.Header{}, "", ""
	inner.Form, inner.PostForm = q.query, map[string][]string{}
	inner.Body = q.body
	a.mux.ServeHTTP(w, &inner)
}

// forward sets the headers of an answer before it is written.
func forward(ctx context.Context, w http.ResponseWriter, answer proto.Message) error {
	if answer != nil {
		requestOf(ctx).answerETag(w, answer)
	}
	return nil
}

// failRouting answers a request that no route takes.
func (a *api) failRouting(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
	allow := a.allowed(r)
	if allow == "" {
		a.edge.fail(w, requestOf(ctx), noRoute())
		return
	}
	w.Header().Set("Allow", allow)
	a.edge.fail(w, requestOf(ctx), errs.New(errs.Invalid, problem.MethodNotAllowed, "this path has other methods: "+allow))
}

func noRoute() *errs.Error {
	return errs.New(errs.NotFound, problem.RouteNotFound, "there is nothing at this address")
}

// fail answers an error of a call or of the transcoder.
func (a *api) fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	q := requestOf(ctx)
	if b, ok := a.conn.binding(ctx); ok {
		q.binding = b
	}
	a.edge.fail(w, q, a.explain(q, err))
}

// explain finds out what an error of the transcoder means. It has a message
// and no more: what was wrong is looked for where it can be, in the path, the
// body, the query.
func (a *api) explain(q *request, err error) error {
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		return errs.New(errs.Invalid, problem.PathInvalid, "the path is not well-formed", errs.Cause(err))
	}
	if q.body.fault != nil {
		return q.body.fault
	}
	if status.Code(err) != codes.InvalidArgument || q.binding == nil {
		return errs.From(err)
	}
	if t, _ := q.binding.bodyType(); t != nil && q.body.read.Len() > 0 {
		if fault := protojson.Unmarshal(q.body.read.Bytes(), t.New().Interface()); fault != nil {
			return jsonbody.Explain(q.body.read.Bytes(), t, q.binding.elsewhere, fault)
		}
	}
	return q.explainQuery(err)
}
