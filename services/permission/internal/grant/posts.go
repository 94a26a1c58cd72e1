package grant

import (
	"slices"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// post is a role on a resource that somebody must always hold for good: by a
// grant that does not end and has no condition, to an account that may act,
// and without being denied what the post is for.
type post struct {
	role, resource string
	// needs are the permissions without which the holder cannot fill it.
	needs  []string
	reason string
	// ended and denied are what a refusal says.
	ended, denied string
}

func postsOf(organization string) []post {
	return []post{{
		role: role.Admin, resource: organization, needs: []string{"permission.grants.create", "permission.grants.delete"},
		reason: "LAST_ADMINISTRATOR",
		ended:  "the organisation would have no administrator; grant " + role.Admin + " to another account or team first",
		denied: "no administrator of the organisation would be left who can give and revoke grants; leave one out, or make another first",
	}, {
		role: role.Operator, resource: authz.Installation, needs: []string{"identity.organizations.create", "permission.grants.create"},
		reason: "LAST_OPERATOR",
		ended:  "the installation would have no operator; grant " + role.Operator + " to another account or team first",
		denied: "no operator of the installation would be left; leave one out, or make another first",
	}}
}

// keepPost refuses to end a grant when nobody would be left to administer the
// organisation, or to run the installation. Operators are all of one
// organisation: none gives the role to another's accounts.
func (s *Grants) keepPost(r kv.Reader, at time.Time, ending *permissionv1.Grant) error {
	p, fills, err := s.filledBy(r, at, ending)
	if err != nil || !fills {
		return err // nothing depends on this one
	}
	return s.checkPost(r, at, organizationOf(ending.GetName()), p, ending.GetName())
}

// filledBy returns the post that the grant fills, and whether it does.
func (s *Grants) filledBy(r kv.Reader, at time.Time, g *permissionv1.Grant) (post, bool, error) {
	organization := organizationOf(g.GetName())
	for _, p := range postsOf(organization) {
		if g.GetRole() != p.role || g.GetResource() != p.resource {
			continue
		}
		f := filling{s: s, r: r, at: at, organization: organization, post: p}
		if err := f.findBars(nil); err != nil {
			return p, false, err
		}
		fills, err := f.fills(g)
		return p, fills, err
	}
	return post{}, false, nil
}

// checkPost refuses unless a grant of the organisation, other than the one
// named, fills the post.
func (s *Grants) checkPost(r kv.Reader, at time.Time, organization string, p post, without string) error {
	f := filling{s: s, r: r, at: at, organization: organization, post: p}
	if err := f.findBars(nil); err != nil {
		return err
	}
	if filled, err := f.filled(without); err != nil || filled {
		return err
	}
	return errs.New(errs.Precondition, p.reason, p.ended)
}

// keepPosts refuses grants of one organisation that deny, and are stored
// already, when together they leave nobody to fill a post that is filled
// without them. One that ends, or counts under a condition only, could be the
// end of it as well.
func (s *Grants) keepPosts(r kv.Reader, at time.Time, organization string, denying ...*permissionv1.Grant) error {
	for _, p := range postsOf(organization) {
		var names []string
		for _, g := range denying {
			if g.GetResource() == p.resource {
				names = append(names, g.GetName())
			}
		}
		if names == nil {
			continue
		}
		f := filling{s: s, r: r, at: at, organization: organization, post: p}
		if err := f.findBars(nil); err != nil {
			return err
		}
		if after, err := f.filled(""); err != nil || after {
			return err
		}
		if err := f.findBars(names); err != nil {
			return err
		}
		if before, err := f.filled(""); err != nil || !before {
			return err
		}
		return errs.New(errs.Precondition, p.reason, p.denied)
	}
	return nil
}

// Administered reports whether some account can give and revoke grants on the
// organisation for good. A change of a role that is denied to somebody may end
// that.
func (s *Grants) Administered(r kv.Reader, at time.Time, organization string) (bool, error) {
	f := filling{s: s, r: r, at: at, organization: organization, post: postsOf(organization)[0]}
	if err := f.findBars(nil); err != nil {
		return false, err
	}
	return f.filled("")
}

// filling is one look at who fills a post.
type filling struct {
	s            *Grants
	r            kv.Reader
	at           time.Time
	organization string
	post         post
	// bars are the subjects to whom something that the post needs is denied.
	bars []string
}

// findBars looks for grants that deny, except for those named. A post is on a
// name that is below no other, so they are on that very name.
func (f *filling) findBars(except []string) error {
	f.bars = nil
	prefix := kv.Key{kv.String(f.organization), kv.String(f.post.resource)}
	for rec, err := range f.s.table.Scan(f.r, kv.Query{Index: byDeny, Prefix: prefix}) {
		if err != nil {
			return err
		}
		g := rec.Value
		if slices.Contains(except, g.GetName()) || f.expired(g) {
			continue
		}
		set, err := f.s.roles.Set(f.r, g.GetRole())
		if err != nil {
			return err
		}
		if slices.ContainsFunc(f.post.needs, func(name string) bool {
			p, known := f.s.roles.Catalogue().Lookup(name)
			return known && set.Has(p)
		}) {
			f.bars = append(f.bars, g.GetSubject())
		}
	}
	return nil
}

func (f *filling) expired(g *permissionv1.Grant) bool {
	return g.GetExpireTime() != nil && g.GetExpireTime().GetSeconds() <= f.at.Unix()
}

// filled reports whether any grant but the one named fills the post.
func (f *filling) filled(except string) (bool, error) {
	prefix := kv.Key{kv.String(f.organization), kv.String(f.post.role), kv.String(f.post.resource)}
	for rec, err := range f.s.table.Scan(f.r, kv.Query{Index: byRole, Prefix: prefix}) {
		if err != nil {
			return false, err
		}
		if rec.Value.GetName() == except {
			continue
		}
		if fills, err := f.fills(rec.Value); err != nil || fills {
			return fills, err
		}
	}
	return false, nil
}

// fills reports whether the grant, which is of the post's role on its resource,
// fills it: by an account, or by somebody in a team. Everyone of a kind is
// nobody in particular.
func (f *filling) fills(g *permissionv1.Grant) (bool, error) {
	if Denies(g) || g.GetExpireTime() != nil || g.GetCondition() != nil {
		return false, nil
	}
	if ending, err := f.s.Ending(f.r, g.GetSubject()); err != nil || ending {
		return false, err
	}
	switch name := g.GetSubject(); {
	case subject.IsAccount(name):
		return f.can(name)
	case subject.IsTeam(name):
		for account, err := range f.s.subjects.Members(f.r, name) {
			if err != nil {
				return false, err
			}
			if can, err := f.can(account); err != nil || can {
				return can, err
			}
		}
	}
	return false, nil
}

// can reports whether the account may act and is not barred.
func (f *filling) can(account string) (bool, error) {
	facts, err := f.s.subjects.Facts(f.r, account)
	if err != nil || facts.Denied || len(f.bars) == 0 {
		return err == nil && !facts.Denied, err
	}
	names := slices.Concat([]string{account, subject.Class(account), subject.Everyone(f.organization)}, facts.Segments, facts.Teams)
	for _, team := range facts.Teams {
		above, _, err := f.s.subjects.Above(f.r, team)
		if err != nil {
			return false, err
		}
		names = append(names, above...)
	}
	for _, bar := range f.bars {
		if barred, err := f.reaches(bar, names); err != nil || barred {
			return false, err
		}
	}
	return true, nil
}

// reaches reports whether a grant to the subject may reach an account that
// holds grants by the names.
func (f *filling) reaches(name string, names []string) (bool, error) {
	on, held, ok := subject.ParseHolders(name)
	if !ok {
		return slices.Contains(names, name), nil
	}
	prefix := kv.Key{kv.String(f.organization), kv.String(held), kv.String(on)}
	for rec, err := range f.s.table.Scan(f.r, kv.Query{Index: byRole, Prefix: prefix}) {
		if err != nil {
			return false, err
		}
		if g := rec.Value; !Denies(g) && !f.expired(g) && slices.Contains(names, g.GetSubject()) {
			return true, nil
		}
	}
	return false, nil
}
