package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/gateway/internal/authzen"
	tokens "guildhall.dev/gateway/internal/binding"
	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/gateway/internal/task"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// decisionPoint serves OpenID AuthZEN over HTTP: at the base for the caller's
// own organisation, and below "/{tenant}" for the one that the path names.
// What the API means is package authzen's.
type decisionPoint struct {
	edge      *edge
	api       *authzen.API
	base      string
	endpoints map[string]authzen.Endpoint // by path
}

func newDecisionPoint(e *edge) (*decisionPoint, error) {
	key, err := e.kit.SharedKey(tokens.Purpose)
	if err != nil {
		return nil, fmt.Errorf("gateway: the key of binding tokens: %w", err)
	}
	conn := e.kit.Dial("permission")
	d := &decisionPoint{
		edge: e, base: strings.TrimSuffix(e.kit.Issuer, "/"), endpoints: map[string]authzen.Endpoint{},
		api: authzen.New(authzen.Config{
			Checks:        permissionv1.NewCheckServiceClient(conn),
			Access:        permissionv1.NewAccessServiceClient(conn),
			Types:         permissionv1.NewResourceTypeServiceClient(conn),
			Requests:      permissionv1.NewPermissionChangeRequestServiceClient(conn),
			Tokens:        tokens.New(key),
			RequestWithin: e.cfg.AuthZEN.RequestWithin,
			TaskLifetime:  e.cfg.AuthZEN.TaskLifetime,
			Clock:         e.kit.Clock,
			SubjectTypes:  e.cfg.AuthZEN.SubjectTypes,
		}),
	}
	for _, endpoint := range d.api.Endpoints() {
		d.endpoints[endpoint.Path] = endpoint
	}
	return d, nil
}

// find returns who serves a path, nil when it is none of the API's.
func (d *decisionPoint) find(path string) http.HandlerFunc {
	if tenant, ok := strings.CutPrefix(path, authzen.WellKnown); ok && isTenant(tenant) {
		return only(d.edge, authzen.WellKnown+pattern(tenant), []string{http.MethodGet, http.MethodHead},
			func(w http.ResponseWriter, q *request) { d.metadata(w, q, tenant) })
	}
	at := strings.Index(path, authzen.Prefix)
	if at < 0 || !isTenant(path[:at]) {
		return nil
	}
	c := d.route(path[at:])
	if c.answer == nil {
		return nil
	}
	c.tenant = path[:at]
	return only(d.edge, pattern(c.tenant)+c.path, c.methods, func(w http.ResponseWriter, q *request) { d.serve(w, q, c) })
}

// call is a call of the API and how it is made.
type call struct {
	// path is its own, as metrics name it; tenant and task are what stands in
	// the path of the request.
	path, tenant, task string
	methods            []string
	status             int // of its success
	answer             authzen.Call
}

// route returns the call of a path below the base or a tenant; one without an
// answer when it is none of the API's.
func (d *decisionPoint) route(path string) call {
	id, isTask := strings.CutPrefix(path, authzen.TaskPrefix)
	if !isTask {
		e := d.endpoints[path]
		return call{path: path, methods: []string{http.MethodPost}, status: e.Status, answer: e.Call}
	}
	c := call{path: authzen.TaskPrefix + "{task}", methods: []string{http.MethodGet, http.MethodHead}, status: http.StatusOK, answer: d.api.TaskStatus}
	if c.task, isTask = strings.CutSuffix(id, "/cancel"); isTask {
		c.path, c.methods, c.answer = c.path+"/cancel", []string{http.MethodPost}, d.api.Cancel
	}
	if c.task == "" || strings.Contains(c.task, "/") {
		return call{}
	}
	return c
}

// isTenant reports whether the text is what stands in a path for a tenant:
// nothing, or "/acme".
func isTenant(text string) bool {
	id, ok := strings.CutPrefix(text, "/")
	return text == "" || ok && resource.ValidID(id)
}

// pattern is a tenant as metrics name it.
func pattern(tenant string) string {
	if tenant == "" {
		return ""
	}
	return "/{tenant}"
}

// only serves a route that has these methods and no other.
func only(e *edge, pattern string, methods []string, serve func(http.ResponseWriter, *request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := requestOf(r.Context())
		q.binding, q.verbatim = &binding{pattern: pattern}, true
		allow := strings.Join(append(slices.Clip(methods), http.MethodOptions), ", ")
		switch {
		case slices.Contains(methods, r.Method):
			serve(w, q)
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", allow)
			e.fail(w, q, errs.New(errs.Invalid, problem.MethodNotAllowed, "this path has other methods: "+allow))
		}
	}
}

// metadata answers where the decision point is. Whether there is such a tenant
// is not said: anybody may ask.
func (d *decisionPoint) metadata(w http.ResponseWriter, q *request, tenant string) {
	h := w.Header()
	// Tools in browsers read it, and it is the same for everybody.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=300")
	d.write(w, q, http.StatusOK, d.api.Metadata(d.base+tenant))
}

// serve answers a call. Who asks without a token learns nothing else of it.
func (d *decisionPoint) serve(w http.ResponseWriter, q *request, c call) {
	answer, err := d.call(q, c)
	if err != nil {
		d.edge.fail(w, q, err)
		return
	}
	d.write(w, q, c.status, answer)
}

func (d *decisionPoint) call(q *request, c call) (any, error) {
	r := &authzen.Request{Task: c.task, Base: d.base + c.tenant}
	var err error
	if r.Caller, r.Organization, err = q.tenant(c.tenant); err != nil {
		return nil, err
	}
	if c.status == http.StatusAccepted { // what makes something
		if r.Key, err = q.readIdempotencyKey(); err != nil {
			return nil, err
		}
	}
	if r.Body, err = q.readJSON(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(q.http.Context(), q.metadata()), q.timeout)
	defer cancel()
	return c.answer(ctx, r)
}

// readJSON reads a whole body. A wrong content type is 400 here, as the
// specification has it, and 415 everywhere else.
func (q *request) readJSON() ([]byte, error) {
	text, err := io.ReadAll(q.body)
	if errs.ReasonOf(err) == problem.MediaTypeUnsupported {
		return nil, invalidHeader("Content-Type", "send the body as application/json, not compressed")
	}
	return text, err
}

func (d *decisionPoint) write(w http.ResponseWriter, q *request, status int, answer any) {
	if handle, ok := answer.(*task.Handle); ok && status == http.StatusAccepted {
		w.Header().Set("Location", handle.Task.StatusEndpoint)
	}
	d.edge.writeJSON(w, q, status, answer)
}
