package merge

import (
	"iter"
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of a record's name.
const Pattern = resource.Pattern("organizations/{organization}/mergeRecords/{merge_record}")

const notFound = "MERGE_RECORD_NOT_FOUND"

// The indexes of merges.
const (
	byTime     = "time"     // organisation
	byCustomer = "customer" // survivor and duplicate
	byRunning  = "running"  // those that move
	byDeadline = "deadline" // those that can be undone and do not move
)

// maxExamined is how many merges are looked at in vain for a page.
const maxExamined = 500

// Book keeps merges. It is safe for concurrent use.
//
//	customer_merges  (organization, name)      -> CustomerMerge
//	merged_rows      (merge, kind, new name)   -> MovedRow
type Book struct {
	merges *kv.Table[*storev1.CustomerMerge]
	rows   *kv.Table[*storev1.MovedRow]
}

// New returns a book. It does no I/O.
func New() *Book {
	when := func(is func(identityv1.MergeRecord_State) bool, at func(*identityv1.MergeRecord) time.Time) func(*storev1.CustomerMerge) []kv.Key {
		return func(m *storev1.CustomerMerge) []kv.Key {
			if !is(m.GetRecord().GetState()) {
				return nil
			}
			return []kv.Key{{kv.Time(at(m.GetRecord()))}}
		}
	}
	return &Book{
		merges: kv.NewTable(kv.TableConfig[*storev1.CustomerMerge]{
			Name: "customer_merges", NotFound: notFound, Exists: "MERGE_RECORD_EXISTS",
			Key: func(m *storev1.CustomerMerge) kv.Key { return key(m.GetRecord().GetName()) },
			Indexes: []kv.Index[*storev1.CustomerMerge]{
				{Name: byTime, Keys: func(m *storev1.CustomerMerge) []kv.Key {
					return []kv.Key{{kv.String(resource.Parent(m.GetRecord().GetName())), made(m)}}
				}},
				{Name: byCustomer, Keys: func(m *storev1.CustomerMerge) []kv.Key {
					return []kv.Key{{kv.String(m.GetRecord().GetSurvivor()), made(m)}, {kv.String(m.GetRecord().GetDuplicate()), made(m)}}
				}},
				{Name: byRunning, Keys: when(
					func(s identityv1.MergeRecord_State) bool { return s == moving || s == undoing },
					func(r *identityv1.MergeRecord) time.Time { return r.GetCreateTime().AsTime() },
				)},
				{Name: byDeadline, Keys: when(
					func(s identityv1.MergeRecord_State) bool { return s == merged },
					func(r *identityv1.MergeRecord) time.Time { return r.GetUndoDeadline().AsTime() },
				)},
			},
		}),
		rows: kv.NewTable(kv.TableConfig[*storev1.MovedRow]{
			Name: "merged_rows", Key: func(row *storev1.MovedRow) kv.Key {
				return kv.Key{kv.String(row.GetMerge()), kv.String(row.GetKind()), kv.String(row.GetToName())}
			},
		}),
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return slices.Concat(b.merges.Tables(), b.rows.Tables()) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func made(m *storev1.CustomerMerge) kv.Part {
	return kv.Time(m.GetRecord().GetCreateTime().AsTime())
}

// of yields the merges of a customer, the newest first.
func (b *Book) of(r kv.Reader, customer string) iter.Seq2[kv.Record[*storev1.CustomerMerge], error] {
	return b.merges.Scan(r, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}, Reverse: true})
}

// Get returns a merge. The error is NotFound (MERGE_RECORD_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (Known, error) {
	rec, found, err := b.merges.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return known(rec), err
}

// ParseFilter reads the filter of a list. The error is Invalid (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	return filter.Parse(text, filter.Field{Name: "customer", Type: filter.String},
		filter.Field{Name: "state", Type: filter.Enum, Values: filter.EnumNames(identityv1.MergeRecord_State_name, "STATE_")})
}

// List returns a page of an organisation's merges, the newest first, and where to go on
// behind it, nil at the end. A page may have less than the limit and more behind it.
func (b *Book) List(r kv.Reader, organization string, terms filter.Terms, after []byte, limit int) ([]Known, []byte, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit}
	if t, ok := terms.Lookup("customer"); ok {
		if resource.Parent(resource.Parent(t.Text)) != organization && resource.Parent(t.Text) != organization {
			return nil, nil, nil
		}
		q.Index, q.Prefix = byCustomer, kv.Key{kv.String(t.Text)}
	}
	page, err := b.merges.Select(r, q, maxExamined, func(m *storev1.CustomerMerge) bool {
		t, ok := terms.Lookup("state")
		return !ok || stateName(m.GetRecord().GetState()) == t.Text
	})
	out := make([]Known, len(page.Records))
	for i, rec := range page.Records {
		out[i] = known(rec)
	}
	return out, page.Next, err
}

// Into returns a page of the merges into a customer of which there is content, and where
// to go on behind it, nil at the end.
func (b *Book) Into(r kv.Reader, survivor string, after []byte, limit int) ([]Known, []byte, error) {
	page, err := b.merges.Select(r, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(survivor)}, After: after, Limit: limit}, maxExamined,
		func(m *storev1.CustomerMerge) bool {
			return m.GetRecord().GetSurvivor() == survivor && m.GetDuplicate() != nil
		})
	out := make([]Known, len(page.Records))
	for i, rec := range page.Records {
		out[i] = known(rec)
	}
	return out, page.Next, err
}

// Tombstones returns all customers who were merged into a customer, or into one of
// these, and were not taken apart again, the last ones first.
func (b *Book) Tombstones(r kv.Reader, survivor string) (names []string, err error) {
	for rec, err := range b.of(r, survivor) {
		if err != nil {
			return nil, err
		}
		m := rec.Value.GetRecord()
		if s := m.GetState(); m.GetSurvivor() != survivor || s == undoing || s == undone {
			continue
		}
		below, err := b.Tombstones(r, m.GetDuplicate())
		if err != nil {
			return nil, err
		}
		names = append(append(names, below...), m.GetDuplicate())
	}
	return names, nil
}

// Due returns the names of merges that move, at most limit, and where to go on behind
// them, nil at the end.
func (b *Book) Due(r kv.Reader, after []byte, limit int) ([]string, []byte, error) {
	page, err := b.merges.List(r, kv.Query{Index: byRunning, After: after, Limit: limit})
	return revise.Names(records(page.Values())), page.Next, err
}

// Finalizable returns merges whose time to be undone is over, at most limit.
func (b *Book) Finalizable(r kv.Reader, now time.Time, limit int) ([]*identityv1.MergeRecord, error) {
	due, err := b.merges.Due(r, byDeadline, now, limit)
	return records(due), err
}

func records(of []*storev1.CustomerMerge) []*identityv1.MergeRecord {
	out := make([]*identityv1.MergeRecord, len(of))
	for i, m := range of {
		out[i] = m.GetRecord()
	}
	return out
}
