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
	organization := organizationOf(ending.GetName())
	for _, p := range postsOf(organization) {
		if ending.GetRole() != p.role || ending.GetResource() != p.resource {
			continue
		}
		f := filling{s, r, at, organization, p, nil}
		if err := f.findBars(""); err != nil {
			return err
		}
		fills, err := f.fills(ending)
		if err != nil || !fills {
			return err // nothing depends on this one
		}
		if filled, err := f.filled(ending.GetName()); err != nil || filled {
			return err
		}
		return errs.New(errs.Precondition, p.reason, p.ended)
	}
	return nil
}

// keepPosts refuses a grant that denies, and is stored already, when it leaves
// nobody to fill a post that is filled without it. One that ends, or counts
// under a condition only, could be the end of it as well.
func (s *Grants) keepPosts(r kv.Reader, at time.Time, denying *permissionv1.Grant) error {
	organization := organizationOf(denying.GetName())
	for _, p := range postsOf(organization) {
		if denying.GetResource() != p.resource {
			continue
		}
		f := filling{s, r, at, organization, p, nil}
		if err := f.findBars(""); err != nil {
			return err
		}
		if after, err := f.filled(""); err != nil || after {
			return err
		}
		if err := f.findBars(denying.GetName()); err != nil {
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
	return s.isFilled(r, at, organization, postsOf(organization)[0])
}

// stake is a post that is filled before a batch and that a change of it may
// empty.
type stake struct {
	post  post
	index int
}

// stakes returns the posts that a batch may empty, each with the first change
// that may.
func (s *Grants) stakes(r kv.Reader, at time.Time, organization string, changes []Change) (stakes []stake, err error) {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Delete
	}
	ending, err := s.GetMany(r, names)
	if err != nil {
		return nil, err
	}
	for _, p := range postsOf(organization) {
		index := slices.IndexFunc(changes, func(c Change) bool {
			return c.Create != nil && Denies(c.Create) && c.Create.GetResource() == p.resource
		})
		if i := slices.IndexFunc(ending, func(g *permissionv1.Grant) bool {
			return g != nil && g.GetRole() == p.role && g.GetResource() == p.resource
		}); index < 0 || 0 <= i && i < index {
			index = i
		}
		if index < 0 {
			continue
		}
		filled, err := s.isFilled(r, at, organization, p)
		if err != nil {
			return nil, err
		}
		if filled {
			stakes = append(stakes, stake{p, index})
		}
	}
	return stakes, nil
}

// refusal is the error of a batch that empties the post.
func (k stake) refusal(changes []Change) error {
	text := k.post.ended
	if changes[k.index].Create != nil {
		text = k.post.denied
	}
	return errs.New(errs.Precondition, k.post.reason, text)
}

// isFilled reports whether somebody fills the post.
func (s *Grants) isFilled(r kv.Reader, at time.Time, organization string, p post) (bool, error) {
	f := filling{s, r, at, organization, p, nil}
	if err := f.findBars(""); err != nil {
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

// findBars looks for grants that deny, except for the one named. A post is on
// a name that is below no other, so they are on that very name.
func (f *filling) findBars(except string) error {
	f.bars = nil
	prefix := kv.Key{kv.String(f.organization), kv.String(f.post.resource)}
	for rec, err := range f.s.table.Scan(f.r, kv.Query{Index: byDeny, Prefix: prefix}) {
		if err != nil {
			return err
		}
		g := rec.Value
		if g.GetName() == except || f.expired(g) {
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
