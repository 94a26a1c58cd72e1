package duty

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
)

// MostRead is how many assignments, and how many grants, Summarize reads.
const MostRead = 100_000

// proposal and line are short for what a comparison is made of.
type (
	proposal = permissionv1.GrantProposal
	line     = shelf.Line[*proposal]
)

const (
	missing = permissionv1.GrantProposal_STATE_MISSING
	held    = permissionv1.GrantProposal_STATE_HELD
	outside = permissionv1.GrantProposal_STATE_OUTSIDE_DUTY
)

// A position begins with the part of the list that it is in.
const (
	inDuties = 1
	inGrants = 2
)

// Propose returns a page of the comparison at a time: what duties call for, by
// assignment, then grants outside any duty, by subject. A subject of "" is all.
func (d *Duties) Propose(r kv.Reader, now time.Time, organization, of string, after []byte, limit int) (page []*proposal, next []byte, err error) {
	part, after := inDuties, after
	if len(after) > 0 {
		part, after = int(after[0]), after[1:]
	}
	if part == inDuties {
		page, next, err = shelf.Expand(after, limit, func(after []byte) iter.Seq2[kv.Record[*permissionv1.DutyAssignment], error] {
			return d.assignments.Scan(r, shelf.Page(assigned(organization, of), after, 0))
		}, func(a *permissionv1.DutyAssignment, behind string) iter.Seq2[line, error] {
			return d.calledFor(r, now, a, behind)
		})
		if err != nil || next != nil {
			return page, prefixed(inDuties, next), err
		}
		if len(page) == limit {
			return page, []byte{inGrants}, nil
		}
		after = nil
	}
	rest, next, err := shelf.Expand(after, limit-len(page), func(after []byte) iter.Seq2[kv.Record[*permissionv1.Grant], error] {
		return d.grants.ScanGiven(r, organization, of, after)
	}, func(g *permissionv1.Grant, behind string) iter.Seq2[line, error] {
		return d.outsideDuty(r, now, g, behind)
	})
	return append(page, rest...), prefixed(inGrants, next), err
}

func prefixed(part byte, position []byte) []byte {
	if position == nil {
		return nil
	}
	return append([]byte{part}, position...)
}

func assigned(organization, of string) kv.Query {
	prefix := kv.Key{kv.String(organization)}
	if of != "" {
		prefix = prefix.With(kv.String(of))
	}
	return kv.Query{Index: byFact, Prefix: prefix}
}

// calledFor yields a line for each item of an assignment.
func (d *Duties) calledFor(r kv.Reader, now time.Time, a *permissionv1.DutyAssignment, behind string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		proposals, err := d.Compare(r, now, a)
		if err != nil {
			yield(line{}, err)
			return
		}
		for i, p := range proposals {
			if key := fmt.Sprintf("%03d", i); key > behind && !yield(line{Key: key, Value: p}, nil) {
				return
			}
		}
	}
}

// Compare returns what a duty calls for, item by item, and what of it is held.
func (d *Duties) Compare(r kv.Reader, now time.Time, a *permissionv1.DutyAssignment) ([]*proposal, error) {
	p, found, err := d.profiles.Find(r, a.GetDutyProfile())
	if err != nil || !found {
		return nil, err
	}
	grants, err := d.granted(r, now, a.GetSubject())
	if err != nil {
		return nil, err
	}
	var out []*proposal
	for _, item := range p.GetItems() {
		line := &proposal{
			State: missing, Subject: a.GetSubject(), Role: item.GetRole(), Resource: resolve(item.GetResource(), a.GetScope()),
			Reason: item.GetReason(), Information: item.GetInformation(), DutyAssignment: a.GetName(),
			ManagedBy: d.roles.Manager(item.GetRole()),
		}
		if item.GetDefaultExpiry() != nil {
			line.ExpireTime = &timestamppb.Timestamp{Seconds: now.Add(item.GetDefaultExpiry().AsDuration()).Unix()}
		}
		for _, g := range grants {
			if g.GetRole() == line.Role && covers(g.GetResource(), line.Resource) {
				line.State, line.Grant, line.ExpireTime = held, g.GetName(), g.GetExpireTime()
				break
			}
		}
		out = append(out, line)
	}
	return out, nil
}

// granted returns the grants that give the subject something now.
func (d *Duties) granted(r kv.Reader, now time.Time, of string) ([]*permissionv1.Grant, error) {
	var out []*permissionv1.Grant
	for g, err := range d.grants.Of(r, of) {
		if err != nil {
			return nil, err
		}
		if gives(g, now) {
			out = append(out, g)
		}
	}
	return out, nil
}

// gives reports whether a grant gives anything now.
func gives(g *permissionv1.Grant, now time.Time) bool {
	ended := g.GetExpireTime() != nil && now.Unix() >= g.GetExpireTime().GetSeconds()
	return !ended && !grant.Denies(g)
}

// outsideDuty yields a line for a grant: one to leave out, unless no duty of
// its subject calls for it.
func (d *Duties) outsideDuty(r kv.Reader, now time.Time, g *permissionv1.Grant, behind string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		const only = "0"
		if behind == only {
			return
		}
		out, err := d.isOutside(r, now, g)
		if err != nil {
			yield(line{}, err)
			return
		}
		yield(line{Key: only, Skip: !out, Value: &proposal{
			State: outside, Subject: g.GetSubject(), Role: g.GetRole(), Resource: g.GetResource(),
			Reason: g.GetReason(), ExpireTime: g.GetExpireTime(), Grant: g.GetName(),
		}}, nil)
	}
}

// isOutside reports whether the grant gives an account or a team something now
// that no duty of theirs calls for.
func (d *Duties) isOutside(r kv.Reader, now time.Time, g *permissionv1.Grant) (bool, error) {
	if !concerns(g) || !gives(g, now) {
		return false, nil
	}
	called, err := d.calls(r, g.GetSubject())
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(called, func(c call) bool {
		return c.role == g.GetRole() && covers(c.resource, g.GetResource())
	}), nil
}

// concerns reports whether a duty could call for the grant: duties are those of
// accounts and teams.
func concerns(g *permissionv1.Grant) bool {
	return subject.IsAccount(g.GetSubject()) || subject.IsTeam(g.GetSubject())
}

// call is a role on a resource that a duty calls for.
type call struct{ role, resource string }

// calls returns what all duties of a subject call for.
func (d *Duties) calls(r kv.Reader, of string) (out []call, err error) {
	for rec, err := range d.assignments.Scan(r, assigned(subject.OrganizationOf(of), of)) {
		if err != nil {
			return nil, err
		}
		p, found, err := d.profiles.Find(r, rec.Value.GetDutyProfile())
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		for _, item := range p.GetItems() {
			out = append(out, call{role: item.GetRole(), resource: resolve(item.GetResource(), rec.Value.GetScope())})
		}
	}
	return out, nil
}

// Prepare returns the grants that a duty calls for, that are missing, and that
// people give; without names. It makes room for them: a grant that has ended
// and stands where one of them is to be is deleted, since the same subject,
// role and resource is one grant. Reasons: DUTY_ASSIGNMENT_NOT_FOUND,
// ETAG_MISMATCH.
func (d *Duties) Prepare(tx *change.Tx, name, etag string) ([]*permissionv1.Grant, error) {
	a, err := d.assignments.GetAt(tx, name, etag)
	if err != nil {
		return nil, err
	}
	proposals, err := d.Compare(tx, tx.Time, a)
	if err != nil {
		return nil, err
	}
	var wanted []*permissionv1.Grant
	for _, p := range proposals {
		if p.GetState() == missing && p.GetManagedBy() == "" {
			wanted = append(wanted, &permissionv1.Grant{
				Subject: p.GetSubject(), Role: p.GetRole(), Resource: p.GetResource(),
				Reason: p.GetReason(), ExpireTime: p.GetExpireTime(), Duty: name,
			})
		}
	}
	if len(wanted) == 0 {
		tx.Unchanged()
	}
	return wanted, d.clearEnded(tx, a.GetSubject(), wanted)
}

// clearEnded deletes the grants that have ended and stand where one of those
// wanted is to be.
func (d *Duties) clearEnded(tx *change.Tx, of string, wanted []*permissionv1.Grant) error {
	var ended []string
	for g, err := range d.grants.Of(tx, of) {
		if err != nil {
			return err
		}
		if g.GetManagedBy() == "" && g.GetExpireTime() != nil && !gives(g, tx.Time) &&
			slices.ContainsFunc(wanted, func(w *permissionv1.Grant) bool {
				return w.GetRole() == g.GetRole() && w.GetResource() == g.GetResource()
			}) {
			ended = append(ended, g.GetName())
		}
	}
	for _, name := range ended {
		if err := d.revoke(tx, name); err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the resource of an item for a scope.
func resolve(pattern, scope string) string {
	if pattern == "" {
		return scope
	}
	if rest, ok := strings.CutPrefix(pattern, "{scope}"); ok && (rest == "" || rest[0] == '/') {
		return scope + rest
	}
	return pattern
}

// covers reports whether a role on the resource is one on the name too.
func covers(resource, name string) bool {
	return name == resource || strings.HasPrefix(name, resource+"/")
}

func at(item int, field string) string { return fmt.Sprintf("duty_profile.items[%d].%s", item, field) }
