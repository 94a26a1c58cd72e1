// Package authzen speaks the OpenID AuthZEN Authorization API 1.0 (final,
// January 2026): it turns JSON of that API into questions to the permission
// service, and its answers into decisions.
//
// A policy enforcement point of somebody else's making asks here instead of in
// our own API; the decision is the same, and so are the rights it takes: the
// caller's own token goes along, and needs permission.checks.evaluate, and
// permission.resourceTypes.list for types of the organisation's own. The
// package decides nothing, and keeps nothing but the names of those types. It knows no HTTP: the edge reads
// bodies, writes answers, and says which organisation is asked.
//
// What is an error and what is a denial follows the specification. A request
// that lacks something, or has something of another type, is Invalid. One that
// is well-formed and names what nobody knows (a type, an id, an action) is a
// decision: false. Members that the specification does not name are ignored.
//
// A denial that a grant or a second person's approval would cure can be asked
// for: the Access Request and Approval Profile (draft 1), of which the OpenID
// Foundation's working group says more at
// https://openid.github.io/authzen/. An access request is a permission change
// request; package task shows it as the profile's task.
//
//	denied, with a binding token --Submit--> task --TaskStatus--> approved
//	approved --Evaluation with context.approval--> yes, or no and what to do next
//
// What approvers do is not the profile's business: they work with change
// requests as they are.
package authzen

import (
	"context"
	"net/http"
	"time"

	"guildhall.dev/gateway/internal/binding"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Config is what an API needs. All fields but SubjectTypes are required.
type Config struct {
	// Checks answers. Its calls get the caller's token from their context.
	Checks permissionv1.CheckServiceClient
	// Access lists who may do what.
	Access permissionv1.AccessServiceClient
	// Types lists the resource types of an organisation.
	Types permissionv1.ResourceTypeServiceClient
	// Requests files and shows what is asked for.
	Requests permissionv1.PermissionChangeRequestServiceClient
	// Tokens bind access requests to the denials that they are about.
	Tokens *binding.Tokens
	// RequestWithin is how long after a denial it can be asked for, and
	// TaskLifetime how long the handle of what was asked for is good.
	RequestWithin, TaskLifetime time.Duration
	// Clock returns the time.
	Clock func() time.Time
	// SubjectTypes says which collection of accounts a further type of subject
	// is in: {"shopper": "customers"}. It does not replace the suite's own.
	SubjectTypes map[string]string
}

// API answers the calls of the specification. It is safe for concurrent use.
type API struct {
	cfg   Config
	names *names
	types *types
}

// New returns an API.
func New(cfg Config) *API {
	return &API{cfg: cfg, names: newNames(cfg.SubjectTypes), types: newTypes(cfg.Types)}
}

// Request is one call.
type Request struct {
	// Organization is whose grants decide, as in "organizations/acme".
	Organization string
	// Caller is whom the caller's token names. Nothing here has verified it;
	// the permission service does, whenever it is asked.
	Caller string
	// Base is the URL that the endpoints are below, without a slash at its end.
	Base string
	// Key is the Idempotency-Key; "" for none.
	Key string
	// Task is the id of the task that the path names; "" where it names none.
	Task string
	// Body is the body as it came.
	Body []byte
}

// Call answers one call. The answer is encoded as JSON.
type Call func(ctx context.Context, r *Request) (any, error)

// Prefix begins the path of every endpoint.
const Prefix = "/access/v1/"

// Endpoint is one call of the specification.
type Endpoint struct {
	// Path is where it is served, below the base or below a tenant.
	Path string
	// Key is its name in the metadata.
	Key string
	// Status is that of its success.
	Status int
	// Call answers it.
	Call Call
}

// Endpoints are all calls, in the order of the specification.
func (a *API) Endpoints() []Endpoint {
	return []Endpoint{
		{"/access/v1/evaluation", "access_evaluation_endpoint", http.StatusOK, a.Evaluation},
		{"/access/v1/evaluations", "access_evaluations_endpoint", http.StatusOK, a.Evaluations},
		{"/access/v1/search/subject", "search_subject_endpoint", http.StatusOK, a.SubjectSearch},
		{"/access/v1/search/resource", "search_resource_endpoint", http.StatusOK, a.ResourceSearch},
		{"/access/v1/search/action", "search_action_endpoint", http.StatusOK, a.ActionSearch},
		{requestsPath, "access_request_endpoint", http.StatusAccepted, a.Submit},
	}
}

// requestsPath is where access requests go, and, with a slash, what their tasks
// are below.
const requestsPath = "/access/v1/requests"

// TaskPrefix begins the path of a task; its id follows.
const TaskPrefix = requestsPath + "/"
