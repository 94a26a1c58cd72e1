package review

import (
	"hash/fnv"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// ReadChunk is how many grants, and how many changes of the log, one
// transaction of a snapshot looks at.
const ReadChunk = 500

// beginSnapshot notes the revision from which on the change log counts.
func (s *Reviews) beginSnapshot(tx kv.Tx, v *permissionv1.AccessReview) error {
	head, err := revision.Head(tx, resource.Parent(v.GetName()))
	if err != nil {
		return err
	}
	_, err = s.snapshots.Put(tx, &storev1.ReviewSnapshot{Review: v.GetName(), Since: head.Proto()}, "")
	return err
}

// Advance takes one step of what the service does for a review by itself: a
// chunk of its snapshot, a chunk of its closing, its end by its time, or its
// reminders. It reports whether there is more to do at once. It says Unchanged
// when another replica was quicker.
func (s *Reviews) Advance(tx *change.Tx, name string) (more bool, err error) {
	v, found, err := s.reviews.Find(tx, name)
	if err != nil || !found {
		return false, err
	}
	tx.Unchanged() // holds unless something is recorded
	at, due := dueTime(v)
	if !due || tx.Time.Before(at) {
		return false, nil
	}
	switch {
	case v.GetState() == starting:
		v, err = s.snapshot(tx, v)
	case v.GetState() == closing:
		v, err = s.carryOut(tx, v)
	case !tx.Time.Before(v.GetAutoCloseTime().AsTime()):
		v, err = s.beginClosing(tx, v, service)
	default:
		return false, s.remind(tx, v)
	}
	if err != nil {
		return false, err
	}
	return v.GetState() == starting || v.GetState() == closing, nil
}

// snapshot takes one step, and makes the review ACTIVE with the last.
func (s *Reviews) snapshot(tx *change.Tx, v *permissionv1.AccessReview) (*permissionv1.AccessReview, error) {
	rec, err := s.snapshots.Get(tx, keyOf(v.GetName()))
	if err != nil {
		return nil, err
	}
	p := rec.Value
	switch {
	case p.GetStale():
		err = s.clear(tx, p)
	case !p.GetRead():
		err = s.read(tx, v, p)
	}
	complete := false
	if err == nil && p.GetRead() {
		complete, err = s.catchUp(tx, v, p)
	}
	if err != nil {
		return nil, err
	}
	if !complete {
		if _, err := s.snapshots.Put(tx, p, ""); err != nil {
			return nil, err
		}
		return s.Get(tx, v.GetName())
	}
	if _, err := s.snapshots.Delete(tx, keyOf(v.GetName()), ""); err != nil {
		return nil, err
	}
	v.Revision, v.StartTime = p.GetSince().GetNumber(), timestamppb.New(tx.Time)
	v.NextReminderTime = timestamppb.New(tx.Time.Add(reminderOf(v)))
	if err := s.enter(tx, v, active); err != nil {
		return nil, err
	}
	return s.Get(tx, v.GetName())
}

// read makes items of the next chunk of the organisation's grants.
func (s *Reviews) read(tx *change.Tx, v *permissionv1.AccessReview, p *storev1.ReviewSnapshot) error {
	grants, next, err := s.Grants.List(tx, resource.Parent(v.GetName()), grant.Filter{}, p.GetAfter(), ReadChunk)
	if err != nil {
		return err
	}
	if err := s.addItems(tx, v, grants); err != nil {
		return err
	}
	p.After, p.Read = next, next == nil
	return nil
}

// catchUp reads again what changed while the chunks were read, and reports
// whether all items are now as the store has them in this transaction.
func (s *Reviews) catchUp(tx *change.Tx, v *permissionv1.AccessReview, p *storev1.ReviewSnapshot) (complete bool, err error) {
	organization := resource.Parent(v.GetName())
	changes, whole, err := revision.Since(tx, organization, p.GetSince().GetNumber())
	if err != nil {
		return false, err
	}
	if !whole {
		p.Stale = true
		return false, nil
	}
	last := len(changes) <= ReadChunk
	changes = changes[:min(len(changes), ReadChunk)]
	seen := make(map[string]bool)
	for _, c := range changes {
		p.Since = c.Revision.Proto()
		for _, name := range c.Touched {
			if seen[name] {
				continue
			}
			seen[name] = true
			if err := s.readAgain(tx, v, name); err != nil {
				return false, err
			}
		}
	}
	return last, nil
}

// readAgain makes the items of one subject those of its present grants. A name
// that is no subject's, as a role's, has none.
func (s *Reviews) readAgain(tx *change.Tx, v *permissionv1.AccessReview, name string) error {
	of := kv.Query{Index: bySubject, Prefix: kv.Key{kv.String(v.GetName()), kv.String(name)}, Limit: ReadChunk}
	for more := true; more; {
		var err error
		if more, err = s.removeItems(tx, v.GetName(), of); err != nil {
			return err
		}
	}
	var grants []*permissionv1.Grant
	for after, more := []byte(nil), true; more; more = after != nil {
		page, next, err := s.Grants.List(tx, resource.Parent(v.GetName()), grant.Filter{Subject: name}, after, ReadChunk)
		if err != nil {
			return err
		}
		grants, after = append(grants, page...), next
	}
	return s.addItems(tx, v, grants)
}

// clear removes a chunk of what a snapshot that took too long has read, and
// begins anew when nothing is left of it.
func (s *Reviews) clear(tx *change.Tx, p *storev1.ReviewSnapshot) error {
	more, err := s.removeItems(tx, p.GetReview(), kv.Query{Prefix: kv.Key{kv.String(p.GetReview())}, Limit: ReadChunk})
	if err != nil {
		return err
	}
	if more {
		p.Read = false
		return nil
	}
	head, err := revision.Head(tx, resource.Parent(p.GetReview()))
	p.Since, p.After, p.Read, p.Stale = head.Proto(), nil, false, false
	return err
}

// removeItems removes a page of a review's items, and reports whether there are
// more.
func (s *Reviews) removeItems(tx kv.Tx, review string, q kv.Query) (more bool, err error) {
	page, err := s.items.List(tx, q)
	if err != nil {
		return false, err
	}
	by := make(shift)
	for _, rec := range page.Records {
		if _, err := s.items.Delete(tx, itemKey(rec.Value.GetName()), ""); err != nil {
			return false, err
		}
		by.gone(rec.Value)
	}
	return page.Next != nil, s.shiftLoads(tx, review, by)
}

// addItems makes items of those grants that are in scope and none yet.
func (s *Reviews) addItems(tx *change.Tx, v *permissionv1.AccessReview, grants []*permissionv1.Grant) error {
	d := &desk{s: s, r: tx, review: v, holders: make(map[string][]string), teams: make(map[string]bool)}
	var items []*permissionv1.AccessReviewItem
	var keys []kv.Key
	for _, g := range grants {
		if !inScope(v.GetScope(), g, tx.Time.Unix()) {
			continue
		}
		reviewer, err := d.reviewerFor(g)
		if err != nil {
			return err
		}
		it := &permissionv1.AccessReviewItem{
			Name:  v.GetName() + "/items/" + g.GetName()[strings.LastIndexByte(g.GetName(), '/')+1:],
			Grant: g, Reviewer: reviewer,
		}
		items, keys = append(items, it), append(keys, itemKey(it.GetName()))
	}
	// A grant that was deleted and made again for another subject may still have
	// the item of the one before.
	before, err := s.items.GetMany(tx, keys)
	if err != nil {
		return err
	}
	by := make(shift)
	for i, it := range items {
		if _, err := s.items.Put(tx, it, ""); err != nil {
			return err
		}
		if before[i].Found() {
			by.gone(before[i].Value)
		}
		by.came(it)
	}
	return s.shiftLoads(tx, v.GetName(), by)
}

// inScope reports whether a grant is one to review at the Unix second.
func inScope(scope *permissionv1.ReviewScope, g *permissionv1.Grant, now int64) bool {
	on := scope.GetResource()
	switch {
	case g.GetEffect() == permissionv1.Effect_EFFECT_DENY: // to revoke it would give
	case g.GetExpireTime() != nil && g.GetExpireTime().GetSeconds() <= now:
	case g.GetManagedBy() != "" && !scope.GetManaged():
	case on != "" && g.GetResource() != on && !below(g.GetResource(), on):
	case len(scope.GetRoles()) > 0 && !slices.Contains(scope.GetRoles(), g.GetRole()):
	case len(scope.GetSubjects()) > 0 && !slices.Contains(scope.GetSubjects(), g.GetSubject()):
	default:
		return true
	}
	return false
}

func below(name, above string) bool { return strings.HasPrefix(name, above+"/") }

// desk assigns the items of one transaction, and remembers what it asked.
type desk struct {
	s       *Reviews
	r       kv.Reader
	review  *permissionv1.AccessReview
	holders map[string][]string // by resource
	teams   map[string]bool     // whether an account is in a team
}

// reviewerFor returns who decides about a grant: one of those whose own it is
// not, the same one however often it is asked, and all about equally often; ""
// when there is none.
func (d *desk) reviewerFor(g *permissionv1.Grant) (string, error) {
	all := slices.Clone(d.review.GetReviewers())
	for name := g.GetResource(); name != "" && len(d.review.GetReviewerRoles()) > 0; name = resource.Parent(name) {
		names, err := d.holdersOn(name)
		if err != nil {
			return "", err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	var fit []string
	for _, name := range slices.Compact(all) {
		own, err := d.own(g, name)
		if err != nil {
			return "", err
		}
		if !own {
			fit = append(fit, name)
		}
	}
	if len(fit) == 0 {
		return "", nil
	}
	h := fnv.New64a()
	h.Write([]byte(g.GetName()))
	return fit[h.Sum64()%uint64(len(fit))], nil
}

// holdersOn returns the members of staff to whom a reviewer's role is granted
// on exactly the resource.
func (d *desk) holdersOn(on string) ([]string, error) {
	if names, known := d.holders[on]; known {
		return names, nil
	}
	var names []string
	for _, role := range d.review.GetReviewerRoles() {
		for g, err := range d.s.Grants.Holding(d.r, resource.Parent(d.review.GetName()), role, on) {
			if err != nil {
				return nil, err
			}
			if staff.Matches(g.GetSubject()) && g.GetEffect() != permissionv1.Effect_EFFECT_DENY {
				names = append(names, g.GetSubject())
			}
		}
	}
	d.holders[on] = names
	return names, nil
}

// own reports whether the grant is the account's own: its, or that of a team it
// is in. What all staff hold is everybody's, and somebody has to review it.
func (d *desk) own(g *permissionv1.Grant, account string) (bool, error) {
	if g.GetSubject() == account {
		return true, nil
	}
	if !subject.IsTeam(g.GetSubject()) {
		return false, nil
	}
	key := account + " " + g.GetSubject()
	is, known := d.teams[key]
	if !known {
		var err error
		if is, err = d.s.Subjects.IsIn(d.r, account, g.GetSubject()); err != nil {
			return false, err
		}
		d.teams[key] = is
	}
	return is, nil
}
