// Package edit makes changes of grants, roles, resource types and properties
// as somebody's acts: within what they hold themselves, and with the trace of
// audit and events that each leaves.
//
// It is where the rule stands that nobody gives what they lack, once for all
// ways to give: single calls, batches, policies as code, duties, appointments.
// What a grant or a role may be is the business of their own packages, and
// whether somebody may call at all is that of the RPCs' options.
//
// Everything here runs inside the transaction of the change, so that nobody
// gives away what is taken from him at the same moment.
package edit

import (
	"google.golang.org/protobuf/proto"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/token"
)

const (
	// CreateGrants and DeleteGrants are the permissions of CreateGrant and
	// DeleteGrant. The interceptors ask for the first on the organisation; it is
	// asked for on the grant's resource here.
	CreateGrants = "permission.grants.create"
	DeleteGrants = "permission.grants.delete"
)

const (
	// reasonExceeds is the reason of a refusal to give what the caller lacks.
	reasonExceeds = "GRANT_EXCEEDS_CALLER"
	// reasonTarget is that of a refusal to take from somebody who has more.
	reasonTarget = "TARGET_EXCEEDS_CALLER"
)

// Editor makes changes. All fields are required, but Tokens for who uses its
// May methods alone. It is safe for concurrent use.
type Editor struct {
	Roles  *role.Roles
	Grants *grant.Grants
	Rules  *decide.Rules
	Loader *decide.Loader
	Tokens *token.Tokens
}

// Told returns the grant as the answer to the change that made the revision.
// What is stored, and told in events, has no token.
func (e *Editor) Told(g *permissionv1.Grant, v revision.Revision) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.ConsistencyToken = e.Tokens.Of(subject.OrganizationOf(g.GetName()), v)
	return g
}

// toldRole is Told for a role.
func (e *Editor) toldRole(r *permissionv1.Role, v revision.Revision) *permissionv1.Role {
	r = proto.CloneOf(r)
	r.ConsistencyToken = e.Tokens.Of(role.OrganizationOf(r.GetName()), v)
	return r
}
