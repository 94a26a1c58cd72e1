package checks

import (
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/cache"
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
