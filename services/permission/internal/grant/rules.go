package grant

import (
	"strings"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Check refuses a grant that no organisation can have, whoever gives it, with
// Invalid (SUBJECT_INVALID, RESOURCE_NAME_INVALID, RESOURCE_FOREIGN,
// ROLE_MANAGED, EXPIRE_TIME_PAST, CONDITION_INVALID, CONDITION_TOO_COSTLY) or
// NotFound (ROLE_NOT_FOUND).
func (s *Grants) Check(r kv.Reader, at time.Time, g *permissionv1.Grant) error {
	organization := organizationOf(g.GetName())
	if err := s.checkSubject(r, organization, g.GetSubject()); err != nil {
		return err
	}
	if err := checkResource(organization, g.GetResource()); err != nil {
		return err
	}
	if expires := g.GetExpireTime(); expires != nil {
		if !expires.IsValid() || expires.GetSeconds() <= at.Unix() {
			return errs.InvalidField("grant.expire_time", "EXPIRE_TIME_PAST", "send a time in the future, or none")
		}
	}
	if g.GetCondition() != nil {
		if err := s.conditions.Check(g.GetCondition().GetExpression()); err != nil {
			return err
		}
	}
	return s.checkRole(r, organization, g)
}

// checkSubject refuses what is no subject of the organisation. Whether there
// is such an account or team is for identity to know.
func (s *Grants) checkSubject(r kv.Reader, organization, name string) error {
	invalid := func(description string) error {
		return errs.InvalidField("grant.subject", "SUBJECT_INVALID", description)
	}
	if !subject.IsGrantable(name) || subject.OrganizationOf(name) != organization {
		return invalid("name an account, a team, a segment, the holders of a role on a resource, allStaff, allCustomers or everyone, of this organisation")
	}
	on, held, ok := subject.ParseHolders(name)
	if !ok {
		return nil
	}
	if !isResource(on) {
		return invalid("before the # stands the full name of a resource of this organisation, as in organizations/acme/groups/g1#roles/group.admin")
	}
	_, err := s.findRole(r, organization, held)
	if errs.Is(err, errs.NotFound) {
		return invalid("after the # stands a role that can be held; see ListRoles")
	}
	return err
}

func checkResource(organization, name string) error {
	if name == authz.Installation {
		return nil
	}
	if !isResource(name) {
		return errs.InvalidField("grant.resource", resource.Reason,
			"send the full name of a resource, as in organizations/acme/groups/g1")
	}
	if name != organization && !strings.HasPrefix(name, organization+"/") {
		return errs.InvalidField("grant.resource", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
	}
	return nil
}

// isResource reports whether the name is of the form collection/id/… from an
// organisation on. What is there to be named is for other services to know.
func isResource(name string) bool {
	if _, ok := resource.Organization(name); !ok {
		return false
	}
	collection := true
	for segment := range strings.SplitSeq(name, "/") {
		if collection && !isCollection(segment) || !collection && !resource.ValidID(segment) {
			return false
		}
		collection = !collection
	}
	return collection // the last one was an id
}

// isCollection reports whether s is a collection's identifier (AIP-122).
func isCollection(s string) bool {
	for i := range len(s) {
		lower := 'a' <= s[i] && s[i] <= 'z'
		if !lower && (i == 0 || !('A' <= s[i] && s[i] <= 'Z' || '0' <= s[i] && s[i] <= '9')) {
			return false
		}
	}
	return s != ""
}

func (s *Grants) checkRole(r kv.Reader, organization string, g *permissionv1.Grant) error {
	manager, err := s.findRole(r, organization, g.GetRole())
	if err != nil {
		return err
	}
	if manager != "" && !Denies(g) {
		// By hand it would outlive the membership that it stands for.
		return errs.InvalidField("grant.role", "ROLE_MANAGED",
			"only a service gives this role, to those it concerns; see the memberships of service "+manager)
	}
	return nil
}

// findRole returns the service that gives the role, "" for people, or NotFound
// (ROLE_NOT_FOUND) when it is none that anybody in the organisation can hold.
func (s *Grants) findRole(r kv.Reader, organization, name string) (manager string, err error) {
	missing := errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role that can be granted; see ListRoles",
		errs.Field("grant.role", "ROLE_NOT_FOUND", "name a role of ListRoles"))
	if role.IsBuiltIn(name) {
		if _, ok := s.roles.BuiltIn(name); !ok || name == role.Self {
			return "", missing
		}
		return s.roles.Manager(name), nil
	}
	if !role.Pattern.Matches(name) || role.OrganizationOf(name) != organization {
		return "", missing
	}
	_, err = s.roles.Get(r, name)
	if errs.Is(err, errs.NotFound) {
		return "", missing
	}
	return "", err
}
