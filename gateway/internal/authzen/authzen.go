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
package authzen

import (
	"context"

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

// Call answers one call: the body as it came, and the organisation whose
// grants decide, as in "organizations/acme". The answer is encoded as JSON.
type Call func(ctx context.Context, organization string, body []byte) (any, error)

// Prefix begins the path of every endpoint.
const Prefix = "/access/v1/"

// Endpoint is one call of the specification.
type Endpoint struct {
	// Path is where it is served, below the base or below a tenant.
	Path string
	// Key is its name in the metadata.
	Key string
	// Call answers it.
	Call Call
}

// Endpoints are all calls, in the order of the specification.
func (a *API) Endpoints() []Endpoint {
	return []Endpoint{
		{"/access/v1/evaluation", "access_evaluation_endpoint", a.Evaluation},
		{"/access/v1/evaluations", "access_evaluations_endpoint", a.Evaluations},
		{"/access/v1/search/subject", "search_subject_endpoint", a.SubjectSearch},
		{"/access/v1/search/resource", "search_resource_endpoint", a.ResourceSearch},
		{"/access/v1/search/action", "search_action_endpoint", a.ActionSearch},
	}
}
