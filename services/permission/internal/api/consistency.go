package api

import (
	"google.golang.org/protobuf/proto"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/cache"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// need reads how fresh the answers about an organisation have to be.
func (cfg Config) need(organization string, c *permissionv1.Consistency) (need cache.Need, err error) {
	switch r := c.GetRequirement().(type) {
	case *permissionv1.Consistency_AtLeastAsFresh:
		need.AtLeast, err = cfg.Tokens.Read("consistency.at_least_as_fresh", organization, r.AtLeastAsFresh)
	case *permissionv1.Consistency_FullyConsistent:
		need.Snapshot = r.FullyConsistent
	}
	return need, err
}

// changedGrant returns the grant as the answer to the change that made the
// revision. What is stored, and told in events, has no token.
func (cfg Config) changedGrant(g *permissionv1.Grant, v revision.Revision) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.ConsistencyToken = cfg.Tokens.Of(subject.OrganizationOf(g.GetName()), v)
	return g
}

// changedRole is changedGrant for a role.
func (cfg Config) changedRole(r *permissionv1.Role, v revision.Revision) *permissionv1.Role {
	r = proto.CloneOf(r)
	r.ConsistencyToken = cfg.Tokens.Of(role.OrganizationOf(r.GetName()), v)
	return r
}
