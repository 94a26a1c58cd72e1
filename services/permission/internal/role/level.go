package role

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/datamask"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// LevelOf returns the lowest level of its collection that has the permission.
// It is read from the protos, so that a new RPC has a level without anybody
// choosing one; the golden file of the test shows all of them to a reviewer.
//
//   - READ: no RPC that asks for the permission changes state.
//   - MANAGE: its verb is one of administration (see administers), or its
//     collection decides who may do what (see power).
//   - EDIT: everything else.
func LevelOf(p authz.Permission) permissionv1.Level {
	switch {
	case !p.Mutates:
		return permissionv1.Level_LEVEL_READ
	case administers(p.Verb), decidesPower(p.Service + "." + p.Resource):
		return permissionv1.Level_LEVEL_MANAGE
	default:
		return permissionv1.Level_LEVEL_EDIT
	}
}

// administers reports whether a verb removes and brings back, or lets people
// in and shuts them out.
func administers(verb string) bool {
	return slices.Contains([]string{
		"delete", "undelete", "purge",
		"enable", "disable", "suspend", "resume", "revoke",
		"import",
	}, verb)
}

// decidesPower reports whether a change in the collection, whatever its verb,
// changes what people may do.
func decidesPower(collection string) bool {
	return slices.Contains([]string{
		"permission.grants", "permission.roles", "permission.resourceTypes", "permission.properties",
		"permission.permissionChangeRequests", "permission.approvalPolicies", "permission.accessReviews", "permission.separationRules", "permission.fieldPolicies",
		"identity.organizations", "identity.invitations", "identity.teamMembers", "groupchat.members",
		"identity.segments", "identity.segmentMembers", "identity.clientKeys", "identity.factors",
	}, collection)
}

// level returns the names of the permissions of a collection up to a level,
// and whether the suite has the collection.
func (c *Catalogue) level(collection string, level permissionv1.Level) (names []string, known bool) {
	for _, p := range c.permissions {
		if p.Service+"."+p.Resource != collection {
			continue
		}
		known = true
		if LevelOf(p) <= level {
			names = append(names, p.Name)
		}
	}
	return names, known
}

// collections returns the collections of the suite's resources, as they stand
// in names ("groups") and in permissions ("messages"). No organisation can
// declare one of them for itself.
func (c *Catalogue) collections() map[string]bool {
	// Words that names have behind an organisation and no RPC's pattern shows.
	all := map[string]bool{
		"organizations": true, "allStaff": true, "allCustomers": true, "everyone": true, "segments": true,
		"serviceAccounts": true, "operations": true, "resourceTypes": true,
	}
	for _, p := range c.permissions {
		if p.Service == datamask.Service {
			continue // classes are no resources
		}
		all[p.Resource] = true
		for _, pattern := range p.Patterns {
			for _, word := range literals(pattern) {
				all[word] = true
			}
		}
	}
	return all
}

// literals returns the segments of a pattern as in "organizations/*/groups/*"
// that are not wildcards.
func literals(pattern string) []string {
	return slices.DeleteFunc(strings.Split(pattern, "/"), func(s string) bool { return strings.Contains(s, "*") })
}
