package decide

import (
	"time"

	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// forever is the last second that a Timestamp can name, in the year 9999.
const forever = 253402300799

// Lasting answers a question as Answer does, but yes only if the answer stays
// yes until a grant that expires at the Unix second given ends; 0 is never. It
// asks about the last second before: grants only end, so what is held then is
// held now.
func (d *Rules) Lasting(facts Facts, organization string, q Question, now time.Time, expires int64) (Answer, error) {
	return d.Answer(facts, organization, q, time.Unix(lastSecond(now, expires), 0))
}

// lastSecond returns the last Unix second of a grant that expires at the one
// given, and no earlier one than now's.
func lastSecond(now time.Time, expires int64) int64 {
	if expires == 0 {
		return forever
	}
	return max(expires-1, now.Unix())
}

// Gap is something that one subject holds and another account lacks: a
// permission on a resource. The zero Gap is none.
type Gap struct {
	Permission, Resource string
}

// Cover returns the first thing that the target, an account or a team of the
// organisation, holds and the actor, an account of it, does not hold for as
// long: the zero Gap when there is none, so that the actor gains nothing from
// taking the target's place.
//
// What counts are the grants to the target and, for an account, to its teams
// and to all staff; not roles/self, and not what all customers hold, which is
// for customers to do and no power over others. Whoever administers the
// organisation covers all within it, also a permission that is of no use there
// and that no administrator has.
func (d *Rules) Cover(facts Facts, organization, actor, target string, now time.Time) (Gap, error) {
	own, err := facts.Subject(target)
	if err != nil {
		return Gap{}, err
	}
	for _, name := range append([]string{target}, own.through...) {
		if name == subject.AllCustomers(organization) {
			continue
		}
		held, err := facts.Subject(name)
		if err != nil {
			return Gap{}, err
		}
		for _, h := range held.holds {
			gap, err := d.gap(facts, organization, actor, h, now)
			if err != nil || gap != (Gap{}) {
				return gap, err
			}
		}
	}
	return Gap{}, nil
}

// gap returns what the hold gives and the actor lacks.
func (d *Rules) gap(facts Facts, organization, actor string, h Hold, now time.Time) (Gap, error) {
	if h.Expires != 0 && now.Unix() >= h.Expires {
		return Gap{}, nil
	}
	if within(h.Resource, organization) {
		administers, err := d.administers(facts, organization, actor, now, h.Expires)
		if err != nil || administers {
			return Gap{}, err
		}
	}
	set, err := facts.Role(h.Role)
	if err != nil {
		return Gap{}, err
	}
	names, err := d.names(facts, organization, set)
	if err != nil {
		return Gap{}, err
	}
	for _, permission := range names {
		q := Question{Subject: actor, Permission: permission, Resource: h.Resource}
		a, err := d.Lasting(facts, organization, q, now, h.Expires)
		if err != nil {
			return Gap{}, err
		}
		if !a.Allowed {
			return Gap{Permission: permission, Resource: h.Resource}, nil
		}
	}
	return Gap{}, nil
}

// administers reports whether the account holds role.Admin on the whole
// organisation, by whatever grant, until the second given.
func (d *Rules) administers(facts Facts, organization, account string, now time.Time, expires int64) (bool, error) {
	own, err := facts.Subject(account)
	if err != nil || own.facts.Denied {
		return false, err
	}
	last := lastSecond(now, expires)
	for _, name := range append([]string{account}, own.through...) {
		s, err := facts.Subject(name)
		if err != nil {
			return false, err
		}
		for _, h := range s.on(organization) {
			if h.Role == role.Admin && (h.Expires == 0 || last < h.Expires) {
				return true, nil
			}
		}
	}
	return false, nil
}
