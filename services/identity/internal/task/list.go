package task

import (
	"time"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// maxExamined is how many tasks are looked at in vain for a page.
const maxExamined = 500

// The fields of a filter.
const (
	fieldAssignee = "assignee"
	fieldCustomer = "customer"
	fieldState    = "state"
	fieldPriority = "priority"
	fieldDue      = "effective_due_time"
)

// ParseFilter reads the filter of ListTasks. The error is Invalid (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	var priorities []string
	for p := range int32(len(identityv1.Task_Priority_name)) {
		priorities = append(priorities, priorityName(identityv1.Task_Priority(p)))
	}
	return filter.Parse(text,
		filter.Field{Name: fieldAssignee, Type: filter.String}, filter.Field{Name: fieldCustomer, Type: filter.String},
		filter.Field{Name: fieldState, Type: filter.Enum, Values: []string{stateName(open), stateName(done), stateName(cancelled)}},
		filter.Field{Name: fieldPriority, Type: filter.Enum, Values: priorities},
		filter.Field{Name: fieldDue, Type: filter.Time})
}

// Query selects tasks, those due first first.
type Query struct {
	// Parent is an organisation, or one of its staff.
	Parent string
	Filter filter.Terms
	// After is where the last page ended, Limit the most to return.
	After []byte
	Limit int
}

// List returns a page of the tasks that q selects, and where to go on behind it, nil
// at the end. A page may have less than the limit and more behind it.
func (b *Book) List(r kv.Reader, q Query) ([]*identityv1.Task, []byte, error) {
	return revise.Views(b.tasks.Select(r, q.scan(), maxExamined, q.selects))
}

// organization returns that of a query, and whether it is about all of it.
func (q Query) organization() (name string, all bool) {
	if o := resource.Parent(q.Parent); o != "" {
		return o, false
	}
	return q.Parent, true
}

// scan follows the index of the narrowest scope, and serves the state and the time.
func (q Query) scan() kv.Query {
	scope := q.Parent
	if t, ok := q.Filter.Lookup(fieldAssignee); ok {
		organization, _ := q.organization()
		scope = assigneeScope(organization, t.Text)
	}
	if t, ok := q.Filter.Lookup(fieldCustomer); ok && t.Text != "" {
		scope = t.Text
	}
	out := kv.Query{Index: byScope, Prefix: kv.Key{kv.String(scope)}, After: q.After, Limit: q.Limit}
	if t, ok := q.Filter.Lookup(fieldState); ok {
		out.Index, out.Prefix = byState, out.Prefix.With(kv.String(t.Text))
	}
	from, until := q.Filter.TimeRange(fieldDue)
	if !from.IsZero() {
		out.From, out.Until = kv.Key{kv.Time(from)}, kv.Key{noDue}
	}
	if !until.IsZero() {
		out.Until = kv.Key{kv.Time(until)}
	}
	return out
}

// selects reports whether all of a query is true of a task, but for what every scan
// serves.
func (q Query) selects(t *identityv1.Task) bool {
	organization, all := q.organization()
	if resource.Parent(t.GetName()) != organization || !all && t.GetAssignee() != q.Parent {
		return false
	}
	for _, term := range q.Filter {
		var is string
		switch term.Field {
		case fieldAssignee:
			is = t.GetAssignee()
		case fieldCustomer:
			is = t.GetCustomer()
		case fieldPriority:
			is = priorityName(t.GetPriority())
		default:
			continue
		}
		if is != term.Text {
			return false
		}
	}
	return true
}

// What a report looks at.
const (
	reportDays = 30
	reportMost = 10_000
)

// Report counts how many tasks of an organisation, or of one of its staff, are
// late. See TaskReport.
func (b *Book) Report(r kv.Reader, scope string, now time.Time) (*identityv1.TaskReport, error) {
	out := &identityv1.TaskReport{Name: scope + "/taskReport"}
	prefix := kv.Key{kv.String(scope)}
	for rec, err := range b.tasks.Scan(r, kv.Query{Index: byState, Prefix: prefix.With(kv.String(stateName(open))), Limit: reportMost + 1}) {
		switch {
		case err != nil:
			return nil, err
		case out.GetOpenCount() == reportMost:
			out.Partial = true
			continue
		}
		out.OpenCount++
		if due := rec.Value.GetEffectiveDueTime(); due != nil && due.AsTime().Before(now) {
			out.OverdueCount++
		}
	}
	since := kv.Key{kv.Time(now.AddDate(0, 0, -reportDays))}
	for rec, err := range b.tasks.Scan(r, kv.Query{Index: byDone, Prefix: prefix, From: since, Reverse: true, Limit: reportMost + 1}) {
		switch {
		case err != nil:
			return nil, err
		case out.GetDoneCount() == reportMost:
			out.Partial = true
			continue
		}
		out.DoneCount++
		if due := rec.Value.GetEffectiveDueTime(); due != nil && due.AsTime().Before(rec.Value.GetEndTime().AsTime()) {
			out.LateCount++
		}
	}
	out.OverdueShare, out.LateShare = share(out.GetOverdueCount(), out.GetOpenCount()), share(out.GetLateCount(), out.GetDoneCount())
	return out, nil
}

func share(part, of int32) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}
