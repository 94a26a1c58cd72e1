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
// ROLE_MANAGED, EXPIRE_TIME_PAST) or NotFound (ROLE_NOT_FOUND).
func (s *Grants) Check(r kv.Reader, at time.Time, g *permissionv1.Grant) error {
	organization := organizationOf(g.GetName())
	if !subject.IsGrantable(g.GetSubject()) || subject.OrganizationOf(g.GetSubject()) != organization {
		return errs.InvalidField("grant.subject", "SUBJECT_INVALID",
			"name an account, a team, allStaff or allCustomers of this organisation")
	}
	if err := checkResource(organization, g.GetResource()); err != nil {
		return err
	}
	if expires := g.GetExpireTime(); expires != nil {
		if !expires.IsValid() || expires.GetSeconds() <= at.Unix() {
			return errs.InvalidField("grant.expire_time", "EXPIRE_TIME_PAST", "send a time in the future, or none")
		}
	}
	return s.checkRole(r, organization, g.GetRole())
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

func (s *Grants) checkRole(r kv.Reader, organization, name string) error {
	missing := errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role that can be granted; see ListRoles",
		errs.Field("grant.role", "ROLE_NOT_FOUND", "name a role of ListRoles"))
	if role.IsBuiltIn(name) {
		if _, ok := s.roles.BuiltIn(name); !ok || name == role.Self {
			return missing
		}
		if service := s.roles.Manager(name); service != "" {
			// By hand it would outlive the membership that it stands for.
			return errs.InvalidField("grant.role", "ROLE_MANAGED",
				"only a service gives this role, to those it concerns; see the memberships of service "+service)
		}
		return nil
	}
	if !role.Pattern.Matches(name) || role.OrganizationOf(name) != organization {
		return missing
	}
	_, err := s.roles.Get(r, name)
	if errs.Is(err, errs.NotFound) {
		return missing
	}
	return err
}

// post is a role on a resource that somebody must always hold for good.
type post struct {
	role, resource, reason, refusal string
}

// postOf returns the post that the grant fills, and whether it does.
func postOf(g *permissionv1.Grant) (post, bool) {
	organization := organizationOf(g.GetName())
	for _, p := range []post{{
		role.Admin, organization, "LAST_ADMINISTRATOR",
		"the organisation would have no administrator; grant " + role.Admin + " to another account or team first",
	}, {
		role.Operator, authz.Installation, "LAST_OPERATOR",
		"the installation would have no operator; grant " + role.Operator + " to another account or team first",
	}} {
		if g.GetRole() == p.role && g.GetResource() == p.resource {
			return p, true
		}
	}
	return post{}, false
}

// keepPost refuses to end a grant when nobody would be left to administer the
// organisation, or to run the installation. Operators are all of one
// organisation: none gives the role to another's accounts.
func (s *Grants) keepPost(r kv.Reader, ending *permissionv1.Grant) error {
	p, ok := postOf(ending)
	if !ok {
		return nil
	}
	lasting, err := s.lasting(r, ending)
	if err != nil || !lasting {
		return err // nothing depends on this one
	}
	return s.checkPost(r, organizationOf(ending.GetName()), p, ending.GetName())
}

// checkPost refuses unless a grant of the organisation, other than the one
// named, fills the post.
func (s *Grants) checkPost(r kv.Reader, organization string, p post, without string) error {
	prefix := kv.Key{kv.String(organization), kv.String(p.role), kv.String(p.resource)}
	for rec, err := range s.table.Scan(r, kv.Query{Index: byRole, Prefix: prefix}) {
		if err != nil {
			return err
		}
		if rec.Value.GetName() == without {
			continue
		}
		if lasting, err := s.lasting(r, rec.Value); err != nil || lasting {
			return err
		}
	}
	return errs.New(errs.Precondition, p.reason, p.refusal)
}

// lasting reports whether the grant fills its post: it is to an account that
// may act, or to a team with such a member, and does not end by itself.
func (s *Grants) lasting(r kv.Reader, g *permissionv1.Grant) (bool, error) {
	if ending, err := s.Ending(r, g.GetSubject()); err != nil || ending {
		return false, err
	}
	switch name := g.GetSubject(); {
	case g.GetExpireTime() != nil:
		return false, nil
	case subject.IsTeam(name):
		return s.subjects.AnyMember(r, name)
	case subject.IsAccount(name):
		denied, err := s.subjects.Denied(r, name)
		return !denied, err
	default:
		return false, nil
	}
}
