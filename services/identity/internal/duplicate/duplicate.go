// Package duplicate finds customers of an organisation who look like one person.
//
// Package likeness says by which keys they are found and how their fields are
// weighed, package account has the index of keys, and package dismissal what staff
// said. This one puts the three together, and keeps nothing. Who may see which of
// the customers it leaves to its caller: it returns pairs with all that is known.
package duplicate

import (
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/dismissal"
	"guildhall.dev/services/identity/internal/likeness"
)

// Pair is two customers who share a key, and what their fields say.
type Pair struct {
	First, Second kv.Record[*storev1.Account]
	Evidence      []*identityv1.DuplicateEvidence
}

// Finder finds pairs. It is safe for concurrent use.
type Finder struct {
	accounts   *account.Book
	dismissals *dismissal.Book
}

// New returns a finder.
func New(accounts *account.Book, dismissals *dismissal.Book) *Finder {
	return &Finder{accounts: accounts, dismissals: dismissals}
}

// Of returns the pairs that a customer is the first of, in no order, and by which
// fields nobody was looked for because too many are like it. It reads at most
// account.MaxAlike customers for each of the customer's keys. Errors are NotFound
// (CUSTOMER_NOT_FOUND) and Precondition (ILLEGAL_STATE) for a deleted one.
func (f *Finder) Of(r kv.Reader, name string) (pairs []Pair, common []identityv1.DuplicateEvidence_Field, err error) {
	if err := f.accounts.CheckChangeable(r, name); err != nil {
		return nil, nil, err
	}
	customer, err := f.accounts.Get(r, name)
	if err != nil {
		return nil, nil, err
	}
	others := make(map[string]kv.Record[*storev1.Account])
	sizes := make(map[string]shares)
	for _, k := range f.accounts.Likeness(customer.Value) {
		members, err := f.accounts.Alike(r, resource.Parent(name), k)
		if err != nil {
			return nil, nil, err
		}
		if len(members) > account.MaxAlike {
			common = append(common, k.Field())
			continue
		}
		for _, m := range members {
			other := m.Value.GetName()
			if other == name {
				continue
			}
			others[other] = m
			sizes[other] = sizes[other].with(k, len(members))
		}
	}
	for other, rec := range others {
		pair := Pair{First: customer, Second: rec, Evidence: likeness.Compare(customer.Value, rec.Value, sizes[other])}
		if pairs, err = f.appendOpen(r, pairs, pair); err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(common)
	return pairs, slices.Compact(common), nil
}

// shares says how many customers share the rarest key of each field that a pair has.
type shares map[identityv1.DuplicateEvidence_Field]int

func (s shares) with(k likeness.Key, n int) shares {
	if s == nil {
		s = make(shares)
	}
	if known, ok := s[k.Field()]; !ok || n < known {
		s[k.Field()] = n
	}
	return s
}

// appendOpen appends a pair unless it was dismissed.
func (f *Finder) appendOpen(r kv.Reader, pairs []Pair, p Pair) ([]Pair, error) {
	names, prints := f.printsOf(p.First.Value, p.Second.Value)
	dismissed, err := f.dismissals.InForce(r, names, prints)
	if err != nil || dismissed {
		return pairs, err
	}
	return append(pairs, p), nil
}

func (f *Finder) printsOf(a, b *storev1.Account) (dismissal.Pair, dismissal.Prints) {
	names := dismissal.PairOf(a.GetName(), b.GetName())
	if names[0] != a.GetName() {
		a, b = b, a
	}
	return names, dismissal.Prints{f.accounts.Print(a), f.accounts.Print(b)}
}

// Dismiss says that two customers are not one person. Errors are those of
// account.CheckChangeable and of dismissal.Create.
func (f *Finder) Dismiss(tx *change.Tx, asked *identityv1.DuplicateDismissal, creator string) (*identityv1.DuplicateDismissal, error) {
	var two [2]*storev1.Account
	for i, name := range asked.GetCustomers() {
		if err := f.accounts.CheckChangeable(tx, name); err != nil {
			return nil, err
		}
		rec, err := f.accounts.Get(tx, name)
		if err != nil {
			return nil, err
		}
		two[i] = rec.Value
	}
	names, prints := f.printsOf(two[0], two[1])
	return f.dismissals.Create(tx, asked, names, prints, creator)
}

// Present returns a dismissal as it is now.
func (f *Finder) Present(r kv.Reader, known dismissal.Known) (*identityv1.DuplicateDismissal, error) {
	var prints dismissal.Prints
	for i, name := range known.Pair() {
		rec, found, err := f.accounts.Find(r, name)
		if err != nil {
			return nil, err
		}
		if found {
			prints[i] = f.accounts.Print(rec.Value)
		}
	}
	return known.View(prints), nil
}
