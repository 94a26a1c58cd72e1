package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// resyncAction names a part of a resynchronisation in the audit log.
const resyncAction = "permission.mirror.resync"

// together is how many small changes a resynchronisation makes in one
// transaction.
const together = 100

// step is one change of a resynchronisation.
type step func(tx *change.Tx) error

// Resync makes the mirrored facts agree with identity, by RPC: for a store
// without a place in identity's feed, and for one whose place the feed does not
// know. An organisation that never was gets its first grants; accounts and
// teams that identity does not have any more lose what they hold. What people
// granted is otherwise left alone.
//
// It may be repeated, and broken off anywhere. What changes in identity while
// it runs comes as events after it. Its error is Unavailable when identity is
// away, or another replica does the same.
func (m *Mirror) Resync(ctx context.Context) (err error) {
	c, err := m.claim(ctx, rand.Text())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.letGo(ctx)) }()
	page := func() error { return c.renew(ctx) }
	organizations, err := m.cfg.Identity.allOrganizations(ctx, page)
	if err != nil {
		return err
	}
	for _, o := range organizations {
		if err := m.apply(ctx, c, []step{func(tx *change.Tx) error {
			return m.seed(tx, tx.Time, o.GetName(), o.GetAdministrator(), o.GetOperator())
		}}, 1); err != nil {
			return err
		}
		if err := m.resyncOrganization(ctx, c, o); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mirror) resyncOrganization(ctx context.Context, c *claim, o *identityv1.Organization) error {
	page := func() error { return c.renew(ctx) }
	// What is here is read first. A team that identity makes, and people grant
	// to, between the two reads would else be here and not in identity.
	local, err := m.local(ctx, o.GetName())
	if err != nil {
		return err
	}
	denied, err := m.cfg.Identity.denied(ctx, o.GetName(), page)
	if err != nil {
		return err
	}
	teams, err := m.cfg.Identity.teams(ctx, o.GetName(), page)
	if err != nil {
		return err
	}
	told, err := m.cfg.Identity.addSegments(ctx, o.GetName(), teams, page)
	if err != nil {
		return err
	}
	if !told {
		local = local.withoutSegments()
	}
	gone, err := m.gone(ctx, local, denied, teams, page)
	if err != nil {
		return err
	}
	// Ends first: until they are through, somebody has too much.
	ends := make([]step, len(gone))
	for i, name := range gone {
		ends[i] = func(tx *change.Tx) error { return m.end(tx, tx.Time, name) }
	}
	if err := m.apply(ctx, c, ends, 1); err != nil {
		return err
	}
	return m.apply(ctx, c, m.differences(local, denied, teams), together)
}

// local is what this service knows of an organisation's accounts and teams.
type local struct {
	standings   []*storev1.Standing
	memberships []*storev1.Membership
	parents     []*storev1.TeamParent
	subjects    []string // of grants
}

func (m *Mirror) local(ctx context.Context, organization string) (l local, err error) {
	if l.standings, err = readAll(ctx, m, organization, m.cfg.Subjects.Standings); err != nil {
		return l, err
	}
	if l.memberships, err = readAll(ctx, m, organization, m.cfg.Subjects.Memberships); err != nil {
		return l, err
	}
	if l.parents, err = readAll(ctx, m, organization, m.cfg.Subjects.Parents); err != nil {
		return l, err
	}
	l.subjects, err = readAll(ctx, m, organization, m.cfg.Grants.Subjects)
	return l, err
}

// readAll reads the pages of one of this service's own lists.
func readAll[T any](ctx context.Context, m *Mirror, organization string, list func(r kv.Reader, organization string, after []byte, limit int) ([]T, []byte, error)) (out []T, err error) {
	for after := []byte(nil); ; {
		var items []T
		var next []byte
		if err := m.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			items, next, err = list(r, organization, after, pageSize)
			return err
		}); err != nil {
			return nil, err
		}
		out = append(out, items...)
		if after = next; after == nil {
			return out, nil
		}
	}
}

// gone returns the accounts and teams that are known here and not to identity.
// Who is denied is known to it.
func (m *Mirror) gone(ctx context.Context, l local, denied map[string]string, teams map[string]*team, page func() error) ([]string, error) {
	known := make(map[string]bool)
	for _, s := range l.standings {
		known[s.GetAccount()] = true
	}
	for _, s := range l.memberships {
		known[s.GetAccount()], known[s.GetTeam()] = true, true
	}
	for _, p := range l.parents {
		known[p.GetTeam()], known[p.GetParent()] = true, true
	}
	for _, name := range l.subjects {
		known[name] = true
	}
	var gone, staff, customers, programs []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		switch {
		case denied[name] != "" || teams[name] != nil:
		case subject.IsTeam(name), subject.IsSegment(name):
			gone = append(gone, name)
		case subject.Class(name) == subject.AllStaff(subject.OrganizationOf(name)):
			staff = append(staff, name)
		case subject.Class(name) != "":
			customers = append(customers, name)
		case subject.IsAccount(name):
			programs = append(programs, name)
		}
	}
	for _, names := range [][]string{staff, customers} {
		missing, err := m.cfg.Identity.gone(ctx, names, page)
		if err != nil {
			return nil, err
		}
		gone = append(gone, missing...)
	}
	missing, err := m.cfg.Identity.gonePrograms(ctx, programs, page)
	return append(gone, missing...), err
}

// differences returns what makes states, memberships and the places of teams
// agree with identity.
func (m *Mirror) differences(l local, denied map[string]string, teams map[string]*team) (steps []step) {
	return slices.Concat(m.otherStates(l, denied), m.otherMembers(l, teams), m.otherPlaces(l, teams))
}

func (m *Mirror) otherStates(l local, denied map[string]string) (steps []step) {
	known := make(map[string]*storev1.Standing)
	for _, s := range l.standings {
		known[s.GetAccount()] = s
	}
	state := func(account, state string) {
		steps = append(steps, func(tx *change.Tx) error {
			// What identity has said directly since is newer than what was read.
			unheard, err := m.cfg.Subjects.Unheard(tx, account, known[account])
			if err != nil || !unheard {
				return err
			}
			return m.cfg.Subjects.SetState(tx, tx.Time, account, state)
		})
	}
	for account, s := range denied {
		state(account, s)
	}
	for _, s := range l.standings {
		if denied[s.GetAccount()] == "" {
			state(s.GetAccount(), active)
		}
	}
	return steps
}

func (m *Mirror) otherMembers(l local, teams map[string]*team) (steps []step) {
	here := make(map[[2]string]bool)
	for _, ms := range l.memberships {
		team, account := ms.GetTeam(), ms.GetAccount()
		here[[2]string{team, account}] = true
		if !teams[team].has(account) {
			steps = append(steps, func(tx *change.Tx) error { return m.cfg.Subjects.RemoveMember(tx, tx.Time, team, account) })
		}
	}
	for name, t := range teams {
		for account := range t.members {
			if !here[[2]string{name, account}] {
				steps = append(steps, func(tx *change.Tx) error { return m.addMember(tx, tx.Time, name, account) })
			}
		}
	}
	return steps
}

// otherPlaces begins with the teams that are at the top now: others may be below
// them, who must not come below what these have left.
func (m *Mirror) otherPlaces(l local, teams map[string]*team) (steps []step) {
	here := make(map[string]string)
	for _, p := range l.parents {
		here[p.GetTeam()] = p.GetParent()
	}
	var nested []step
	for name, t := range teams {
		if t.parent == here[name] {
			continue
		}
		place := func(tx *change.Tx) error { return m.cfg.Subjects.SetParent(tx, tx.Time, name, t.parent) }
		if t.parent == "" {
			steps = append(steps, place)
		} else {
			nested = append(nested, place)
		}
	}
	return append(steps, nested...)
}

// apply makes the changes, so many in one transaction, as long as the claim
// holds.
func (m *Mirror) apply(ctx context.Context, c *claim, steps []step, atOnce int) error {
	for chunk := range slices.Chunk(steps, atOnce) {
		err := change.DoSystem(ctx, m.cfg.Journal, resyncAction, func(tx *change.Tx) error {
			tx.Unchanged() // holds unless a step records something
			if err := c.check(tx, tx.Time); err != nil {
				return err
			}
			for _, do := range chunk {
				if err := do(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// active is a state in which an account may act; which of them is all the same.
const active = "ACTIVE"
