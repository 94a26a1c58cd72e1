package task

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const notFound = "TASK_NOT_FOUND"

// The indexes. A scope is what a list is of: an organisation, an assignee, or a
// customer.
const (
	byScope  = "scope"       // and due time
	byState  = "scope_state" // and due time
	byDone   = "done"        // scope and end time of those that are done
	byRemind = "remind"      // of those to be reminded of
	byPerson = "person"      // in any part
)

// noDue is where those that are never due are in the order of due times: last.
var noDue = kv.Time(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))

// tables are what a book keeps:
//
//	tasks             (organisation, name) -> Task
//	task_departures   (staff)              -> DepartedAssignee
type tables struct {
	tasks      *kv.Table[*identityv1.Task]
	departures *kv.Table[*storev1.DepartedAssignee]
}

func newTables() tables {
	return tables{
		tasks: kv.NewTable(kv.TableConfig[*identityv1.Task]{
			Name: "tasks", NotFound: notFound, Exists: "TASK_EXISTS",
			Key: func(t *identityv1.Task) kv.Key { return key(t.GetName()) },
			Indexes: []kv.Index[*identityv1.Task]{
				{Name: byScope, Keys: func(t *identityv1.Task) []kv.Key { return scoped(t, due(t)) }},
				{Name: byState, Keys: func(t *identityv1.Task) []kv.Key {
					return scoped(t, kv.String(stateName(t.GetState())), due(t))
				}},
				{Name: byDone, Keys: func(t *identityv1.Task) []kv.Key {
					if t.GetState() != done {
						return nil
					}
					return scoped(t, kv.Time(t.GetEndTime().AsTime()))
				}},
				{Name: byRemind, Keys: func(t *identityv1.Task) []kv.Key {
					if !reminds(t) {
						return nil
					}
					return []kv.Key{{kv.Time(t.GetRemindTime().AsTime())}}
				}},
				{Name: byPerson, Keys: people},
			},
		}),
		departures: kv.NewTable(kv.TableConfig[*storev1.DepartedAssignee]{
			Name: "task_departures",
			Key:  func(d *storev1.DepartedAssignee) kv.Key { return kv.Key{kv.String(d.GetStaffMember())} },
		}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string { return slices.Concat(t.tasks.Tables(), t.departures.Tables()) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// scoped returns a key of each of a task's scopes, with the parts behind it.
func scoped(t *identityv1.Task, parts ...kv.Part) []kv.Key {
	organization := resource.Parent(t.GetName())
	keys := []kv.Key{
		kv.Key{kv.String(organization)}.With(parts...),
		kv.Key{kv.String(assigneeScope(organization, t.GetAssignee()))}.With(parts...),
	}
	if t.GetCustomer() != "" {
		keys = append(keys, kv.Key{kv.String(t.GetCustomer())}.With(parts...))
	}
	return keys
}

// assigneeScope is the scope of an assignee, and of nobody in an organisation.
func assigneeScope(organization, assignee string) string {
	if assignee == "" {
		return organization + "/staff/"
	}
	return assignee
}

func due(t *identityv1.Task) kv.Part {
	if t.GetEffectiveDueTime() == nil {
		return noDue
	}
	return kv.Time(t.GetEffectiveDueTime().AsTime())
}

// reminds reports whether a reminder is to come.
func reminds(t *identityv1.Task) bool {
	return t.GetState() == open && t.GetAssignee() != "" && t.GetRemindTime() != nil && t.GetRemindedTime() == nil
}

// people are the members of staff whom a task names.
func people(t *identityv1.Task) []kv.Key {
	names := slices.DeleteFunc([]string{t.GetAssignee(), t.GetCreator(), t.GetCoveredFor()}, func(n string) bool { return n == "" })
	slices.Sort(names)
	var keys []kv.Key
	for _, n := range slices.Compact(names) {
		keys = append(keys, kv.Key{kv.String(n)})
	}
	return keys
}

// stateName returns a state as filters spell it: "OPEN".
func stateName(s identityv1.Task_State) string { return strings.TrimPrefix(s.String(), "STATE_") }

func priorityName(p identityv1.Task_Priority) string {
	return strings.TrimPrefix(p.String(), "PRIORITY_")
}
