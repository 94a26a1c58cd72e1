package account

import (
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/likeness"
)

// MaxAlike is how many customers can share a key of likeness before it tells nothing.
const MaxAlike = 20

// sharedTable is (organisation, kind, hash) -> SharedLikeness: the keys that two
// customers or more have. Those of one alone are most, and nobody has to pass them
// by who looks for pairs.
func sharedTable() *kv.Table[*storev1.SharedLikeness] {
	return kv.NewTable(kv.TableConfig[*storev1.SharedLikeness]{
		Name: "shared_likeness",
		Key: func(s *storev1.SharedLikeness) kv.Key {
			return kv.Key{kv.String(s.GetOrganization()), kv.String(s.GetKind()), kv.Bytes(s.GetHash())}
		},
	})
}

// likenessOf returns the keys that a customer is found by; none of a deleted one, or
// of who is no customer.
func likenessOf(h kv.Hasher, a *storev1.Account) []likeness.Key {
	if a == nil || deleted(a) || !CustomerPattern.Matches(a.GetName()) {
		return nil
	}
	return likeness.Keys(h, a)
}

func likenessKey(organization string, k likeness.Key) kv.Key {
	return kv.Key{kv.String(organization), kv.String(k.Kind), kv.Bytes(k.Hash[:])}
}

// Likeness returns the keys that a customer is found by, sorted.
func (b *Book) Likeness(a *storev1.Account) []likeness.Key { return likenessOf(b.cfg.Hasher, a) }

// Print returns a keyed hash of what is compared of a customer, nil of a deleted one.
func (b *Book) Print(a *storev1.Account) []byte {
	if deleted(a) {
		return nil
	}
	return likeness.Print(b.cfg.Hasher, a)
}

// Alike returns the customers of an organisation that have a key, by name: at most
// MaxAlike and one, who says that there are too many.
func (b *Book) Alike(r kv.Reader, organization string, k likeness.Key) ([]kv.Record[*storev1.Account], error) {
	page, err := b.customers.List(r, kv.Query{Index: byLikeness, Prefix: likenessKey(organization, k), Limit: MaxAlike + 1})
	return page.Records, err
}

// CountAlike returns how many customers of an organisation have a key, at most
// MaxAlike and one.
func (b *Book) CountAlike(r kv.Reader, organization string, k likeness.Key) (int, error) {
	return b.customers.Count(r, kv.Query{Index: byLikeness, Prefix: likenessKey(organization, k), Limit: MaxAlike + 1})
}

// Shared is a key that several customers have.
type Shared struct {
	likeness.Key
	// Position is where to go on behind it.
	Position []byte
}

// Shared returns up to limit keys of an organisation that several customers have,
// from behind a position on.
func (b *Book) Shared(r kv.Reader, organization string, after []byte, limit int) ([]Shared, error) {
	var out []Shared
	for rec, err := range b.shared.Scan(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		out = append(out, Shared{Key: likeness.Key{Kind: rec.Value.GetKind(), Hash: [16]byte(rec.Value.GetHash())}, Position: rec.Position})
	}
	return out, nil
}

// followLikeness keeps which keys several customers have, after a change of one;
// old is nil of a new one.
func (b *Book) followLikeness(tx *change.Tx, old, now *storev1.Account) error {
	if likeness.Same(old, now) && deleted(old) == deleted(now) {
		return nil // most changes are of something else
	}
	organization := resource.Parent(now.GetName())
	before, after := b.Likeness(old), b.Likeness(now)
	for _, k := range slices.Concat(before, after) {
		if slices.Contains(before, k) && slices.Contains(after, k) {
			continue
		}
		n, err := b.customers.Count(tx, kv.Query{Index: byLikeness, Prefix: likenessKey(organization, k), Limit: 2})
		if err != nil {
			return err
		}
		if err := b.share(tx, organization, k, n > 1); err != nil {
			return err
		}
	}
	return nil
}

// share keeps whether several customers have a key.
func (b *Book) share(tx kv.Tx, organization string, k likeness.Key, several bool) error {
	_, found, err := b.shared.Find(tx, likenessKey(organization, k))
	if err != nil || found == several {
		return err
	}
	if several {
		_, err = b.shared.Create(tx, &storev1.SharedLikeness{Organization: organization, Kind: k.Kind, Hash: k.Hash[:]})
	} else {
		_, err = b.shared.Remove(tx, likenessKey(organization, k))
	}
	return err
}
