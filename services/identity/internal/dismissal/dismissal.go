// Package dismissal keeps what staff said of pairs of customers that look like one
// person and are two.
//
//	   said            one of the two changes
//	─────────▶ in force ────────────────────▶ lapsed ──▶ replaced by another
//	              │                              │
//	              ▼ taken back, or one is gone   ▼
//	             none                          none
//
// Whether it has lapsed is not kept: a dismissal has prints of the two as they were,
// and who asks has the present ones. What likeness is, package likeness knows.
package dismissal

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Pattern is the form of a dismissal's name.
const Pattern = resource.Pattern("organizations/{organization}/duplicateDismissals/{duplicate_dismissal}")

const (
	notFound = "DUPLICATE_DISMISSAL_NOT_FOUND"
	event    = "guildhall.identity.duplicate_dismissal."
	// chunk is how many go with a customer in one transaction.
	chunk = 100
)

// The indexes of dismissals.
const (
	byPair     = "pair"     // unique: the two
	byTime     = "time"     // organisation
	byCustomer = "customer" // each of the two
)

// Pair is two customers, by name.
type Pair [2]string

// PairOf returns the pair of two customers.
func PairOf(a, b string) Pair {
	if b < a {
		a, b = b, a
	}
	return Pair{a, b}
}

// Prints are keyed hashes of what was compared of a pair, in its order.
type Prints [2][]byte

// Book keeps dismissals. It is safe for concurrent use.
//
//	duplicate_dismissals  (organization, name) -> DuplicateDismissal
type Book struct {
	table *kv.Table[*storev1.DuplicateDismissal]
}

// New returns a book.
func New() *Book {
	const exists = "DUPLICATE_DISMISSAL_EXISTS"
	return &Book{table: kv.NewTable(kv.TableConfig[*storev1.DuplicateDismissal]{
		Name: "duplicate_dismissals", NotFound: notFound, Exists: exists,
		Key: func(s *storev1.DuplicateDismissal) kv.Key { return key(s.GetDismissal().GetName()) },
		Indexes: []kv.Index[*storev1.DuplicateDismissal]{
			{Name: byPair, Unique: true, Reason: exists, Field: "duplicate_dismissal.customers", Keys: func(s *storev1.DuplicateDismissal) []kv.Key {
				return []kv.Key{pairKey(pairOf(s))}
			}},
			{Name: byTime, Keys: func(s *storev1.DuplicateDismissal) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(s.GetDismissal().GetName())), made(s)}}
			}},
			{Name: byCustomer, Keys: func(s *storev1.DuplicateDismissal) []kv.Key {
				pair := pairOf(s)
				return []kv.Key{{kv.String(pair[0]), made(s)}, {kv.String(pair[1]), made(s)}}
			}},
		},
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func pairKey(p Pair) kv.Key { return kv.Key{kv.String(p[0]), kv.String(p[1])} }

func pairOf(s *storev1.DuplicateDismissal) Pair {
	return Pair(s.GetDismissal().GetCustomers())
}

func made(s *storev1.DuplicateDismissal) kv.Part {
	return kv.Time(s.GetDismissal().GetCreateTime().AsTime())
}

// Known is a dismissal with what it was said of.
type Known struct {
	*identityv1.DuplicateDismissal
	prints [][]byte
}

// Pair returns the two.
func (k Known) Pair() Pair { return Pair(k.GetCustomers()) }

// View returns the dismissal as it is when these are the two's present prints.
func (k Known) View(now Prints) *identityv1.DuplicateDismissal {
	d := proto.CloneOf(k.DuplicateDismissal)
	d.Lapsed = !inForce(k.prints, now)
	return d
}

func inForce(then [][]byte, now Prints) bool { return slices.EqualFunc(then, now[:], bytes.Equal) }

func known(rec kv.Record[*storev1.DuplicateDismissal]) Known {
	if !rec.Found() {
		return Known{}
	}
	d := proto.CloneOf(rec.Value.GetDismissal())
	d.Etag = rec.Etag
	return Known{DuplicateDismissal: d, prints: rec.Value.GetPrints()}
}

// Get returns a dismissal. The error is NotFound (DUPLICATE_DISMISSAL_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (Known, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return known(rec), err
}

// InForce reports whether a pair with these prints is dismissed.
func (b *Book) InForce(r kv.Reader, p Pair, now Prints) (bool, error) {
	rec, found, err := b.table.FindBy(r, byPair, pairKey(p))
	return found && inForce(rec.Value.GetPrints(), now), err
}

// ParseFilter reads the filter of a list. The error is Invalid (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	return filter.Parse(text, filter.Field{Name: "customer", Type: filter.String})
}

// List returns a page of an organisation's dismissals, the newest first, and where to
// go on behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, terms filter.Terms, after []byte, limit int) ([]Known, []byte, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit}
	if t, ok := terms.Lookup("customer"); ok {
		if resource.Parent(t.Text) != organization {
			return nil, nil, nil
		}
		q.Index, q.Prefix = byCustomer, kv.Key{kv.String(t.Text)}
	}
	page, err := b.table.List(r, q)
	out := make([]Known, len(page.Records))
	for i, rec := range page.Records {
		out[i] = known(rec)
	}
	return out, page.Next, err
}

// Create keeps a dismissal of two customers with these prints, with the name and the
// note of asked, in place of one that has lapsed. The error is Exists
// (DUPLICATE_DISMISSAL_EXISTS).
func (b *Book) Create(tx *change.Tx, asked *identityv1.DuplicateDismissal, p Pair, now Prints, creator string) (*identityv1.DuplicateDismissal, error) {
	if old, found, err := b.table.FindBy(tx, byPair, pairKey(p)); err != nil {
		return nil, err
	} else if found && !inForce(old.Value.GetPrints(), now) {
		if _, err := b.Delete(tx, old.Value.GetDismissal().GetName(), ""); err != nil {
			return nil, err
		}
	}
	d := &identityv1.DuplicateDismissal{
		Name: asked.GetName(), Customers: p[:], Note: asked.GetNote(), Creator: creator, CreateTime: timestamppb.New(tx.Time),
	}
	rec, err := b.table.Create(tx, &storev1.DuplicateDismissal{Dismissal: d, Prints: now[:]})
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: d.GetName(), Type: event + "created.v1", ChangedFields: change.ChangedFields(nil, d)})
	return known(rec).DuplicateDismissal, nil
}

// Delete removes a dismissal and returns what it was. Errors are NotFound
// (DUPLICATE_DISMISSAL_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (Known, error) {
	rec, err := b.table.Delete(tx, key(name), etag)
	if err != nil {
		return Known{}, err
	}
	tx.Record(change.Change{Resource: name, Type: event + "deleted.v1"})
	return known(rec), nil
}

// Forget removes some of the dismissals of a customer who is gone, and reports whether
// there are more.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	return b.table.RemoveAll(tx, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}, Limit: chunk})
}
