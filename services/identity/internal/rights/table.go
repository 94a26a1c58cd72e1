package rights

import (
	"iter"
	"strings"
	"time"

	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// The indexes of requests.
const (
	byDue    = "due"    // all of an organisation, and of a customer, by when they are due
	byOpen   = "open"   // those of an organisation that are open, by when they are due
	byLate   = "late"   // those that are open, of all organisations, by when they are due
	byErase  = "erase"  // erasures that wait for their time, by that, but those that are held
	byBegun  = "begun"  // erasures that have begun and not ended
	byAccess = "access" // requests for which what is kept is put together, by when they were made
	maxLate  = 10000    // how many that are overdue are counted
	maxQuiet = 200      // how many that are not asked for a page looks at in vain
	truth    = "open"   // the filter's fields
	lateness = "overdue"
)

// tables are what a book keeps:
//
//	data_subject_requests  (customer, name) -> DataSubjectRequest
//	data_subject_policies  (organization)   -> DataSubjectPolicy
type tables struct {
	requests *kv.Table[*identityv1.DataSubjectRequest]
	// Policies say by which law, and how fast, organisations answer.
	Policies *revise.Setting[*identityv1.DataSubjectPolicy]
}

type request = *identityv1.DataSubjectRequest

func newTables() tables {
	return tables{
		requests: kv.NewTable(kv.TableConfig[request]{
			Name: "data_subject_requests", NotFound: notFound, Exists: "DATA_SUBJECT_REQUEST_EXISTS",
			Key: func(q request) kv.Key { return key(q.GetName()) },
			Indexes: []kv.Index[request]{
				{Name: byDue, Keys: func(q request) []kv.Key {
					return []kv.Key{
						{kv.String(organizationOf(q)), dueOf(q)},
						{kv.String(CustomerOf(q.GetName())), dueOf(q)},
					}
				}},
				when(byOpen, open, func(q request) kv.Key { return kv.Key{kv.String(organizationOf(q)), dueOf(q)} }),
				when(byLate, open, func(q request) kv.Key { return kv.Key{dueOf(q)} }),
				when(byErase, waits, func(q request) kv.Key { return kv.Key{kv.Time(q.GetErasure().GetEraseTime().AsTime())} }),
				when(byBegun, func(q request) bool { return open(q) && begun(q) }, func(q request) kv.Key {
					return kv.Key{kv.Time(q.GetErasure().GetBeginTime().AsTime())}
				}),
				when(byAccess, Collecting, func(q request) kv.Key { return kv.Key{kv.Time(q.GetCreateTime().AsTime())} }),
			},
		}),
		Policies: policies(),
	}
}

// when is an index of those requests alone of which a condition is true.
func when(name string, is func(request) bool, at func(request) kv.Key) kv.Index[request] {
	return kv.Index[request]{Name: name, Keys: func(q request) []kv.Key {
		if !is(q) {
			return nil
		}
		return []kv.Key{at(q)}
	}}
}

// waits reports whether a request is an erasure that begins when its time has come.
func waits(q request) bool {
	return open(q) && q.GetErasure() != nil && !begun(q) && !q.GetErasure().GetHeld()
}

func key(name string) kv.Key { return kv.Key{kv.String(CustomerOf(name)), kv.String(name)} }

func organizationOf(q request) string { return resource.Parent(CustomerOf(q.GetName())) }

func dueOf(q request) kv.Part { return kv.Time(q.GetDueTime().AsTime()) }

// of yields the requests of a customer.
func (b *Book) of(r kv.Reader, customer string) iter.Seq2[kv.Record[request], error] {
	return b.requests.Scan(r, kv.Query{Prefix: kv.Key{kv.String(customer)}})
}

// Overdue returns how many requests are open and past the time that they were due,
// of all organisations; 10,000 stands for more.
func (b *Book) Overdue(r kv.Reader, now time.Time) (int, error) {
	return b.requests.Count(r, kv.Query{Index: byLate, Until: kv.Key{kv.Time(now)}, Limit: maxLate})
}

// ParseFilter reads the filter of a list. The error is Invalid (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	states, kinds := filter.EnumNames(identityv1.DataSubjectRequest_State_name, "STATE_"), filter.EnumNames(identityv1.DataSubjectRequest_Kind_name, "KIND_")
	return filter.Parse(text,
		filter.Field{Name: "state", Type: filter.Enum, Values: states}, filter.Field{Name: "kind", Type: filter.Enum, Values: kinds},
		filter.Field{Name: truth, Type: filter.Bool}, filter.Field{Name: lateness, Type: filter.Bool})
}

// List returns a page of the requests of an organisation or a customer, the first
// that is due first, and where to go on behind it, nil at the end. A page may have
// less than the limit, or nothing, and more behind it.
func (b *Book) List(r kv.Reader, parent string, terms filter.Terms, now time.Time, after []byte, limit int) ([]request, []byte, error) {
	q := kv.Query{Index: byDue, Prefix: kv.Key{kv.String(parent)}, After: after, Limit: limit}
	if late, ok := terms.Lookup(lateness); ok && late.Bool && resource.Parent(parent) == "" {
		q.Index, q.Until = byOpen, kv.Key{kv.Time(now)}
	} else if is, ok := terms.Lookup(truth); ok && is.Bool && resource.Parent(parent) == "" {
		q.Index = byOpen
	}
	return revise.Views(b.requests.Select(r, q, maxQuiet, func(of request) bool { return selects(terms, of, now) }))
}

func selects(terms filter.Terms, q request, now time.Time) bool {
	for _, t := range terms {
		is := true
		switch t.Field {
		case "state":
			is = stateName(q.GetState()) == t.Text
		case "kind":
			is = strings.TrimPrefix(q.GetKind().String(), "KIND_") == t.Text
		case truth:
			is = open(q) == t.Bool
		case lateness:
			is = (open(q) && q.GetDueTime().AsTime().Before(now)) == t.Bool
		}
		if !is {
			return false
		}
	}
	return true
}

func stateName(s identityv1.DataSubjectRequest_State) string {
	return strings.TrimPrefix(s.String(), "STATE_")
}
