package duplicate

import (
	"cmp"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/likeness"
)

// keysAtOnce is how many shared keys one page goes through at most.
const keysAtOnce = 100

// Pairs returns up to limit pairs of an organisation, each in one page only, and
// where to go on behind them, nil at the end. It goes through at most keysAtOnce of
// the keys that several customers share, so that a page may be short, or empty, and
// have more behind it. A pair is told with the first of its keys that is not too
// common; one of whom a customer changes between two pages may be missed or come
// twice.
func (f *Finder) Pairs(r kv.Reader, organization string, after []byte, limit int) (pairs []Pair, next []byte, err error) {
	at := &storev1.DuplicatePosition{}
	if err := proto.Unmarshal(after, at); err != nil {
		return nil, nil, errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(err))
	}
	keys, err := f.accounts.Shared(r, organization, at.GetAfter(), keysAtOnce)
	if err != nil {
		return nil, nil, err
	}
	w := walk{Finder: f, r: r, organization: organization, sizes: make(map[likeness.Key]int)}
	for _, k := range keys {
		if len(w.pairs) == limit {
			next, err = proto.Marshal(at)
			return w.pairs, next, err
		}
		last, err := w.within(k.Key, at, limit)
		if err != nil {
			return nil, nil, err
		}
		if last != nil {
			next, err = proto.Marshal(last)
			return w.pairs, next, err
		}
		at = &storev1.DuplicatePosition{After: k.Position}
	}
	if len(keys) < keysAtOnce {
		return w.pairs, nil, nil
	}
	next, err = proto.Marshal(at)
	return w.pairs, next, err
}

// walk is one page of pairs that is being read.
type walk struct {
	*Finder
	r            kv.Reader
	organization string
	pairs        []Pair
	// sizes says how many customers have a key, of those that were counted.
	sizes map[likeness.Key]int
}

// within reads the pairs who share a key, those behind a position, until there are as
// many as the limit; then it returns the position of the last one.
func (w *walk) within(k likeness.Key, at *storev1.DuplicatePosition, limit int) (last *storev1.DuplicatePosition, err error) {
	members, err := w.accounts.Alike(w.r, w.organization, k)
	w.sizes[k] = len(members)
	if err != nil || len(members) > account.MaxAlike {
		return nil, err
	}
	here := &storev1.SharedLikeness{Organization: w.organization, Kind: k.Kind, Hash: k.Hash[:]}
	resumed := proto.Equal(at.GetWithin(), here)
	keys := make([][]likeness.Key, len(members))
	for i, m := range members {
		keys[i] = w.accounts.Likeness(m.Value)
	}
	for i, first := range members {
		for j, second := range members[i+1:] {
			a, b := first.Value.GetName(), second.Value.GetName()
			if resumed && cmp.Or(cmp.Compare(a, at.GetFirst()), cmp.Compare(b, at.GetSecond())) <= 0 {
				continue
			}
			if len(w.pairs) == limit {
				return last, nil
			}
			if err := w.tell(k, Pair{First: first, Second: second}, likeness.Common(keys[i], keys[i+1+j])); err != nil {
				return nil, err
			}
			last = &storev1.DuplicatePosition{After: at.GetAfter(), Within: here, First: a, Second: b}
		}
	}
	return nil, nil
}

// tell adds a pair that shares the key k among others, unless it is told with another
// one, or was dismissed.
func (w *walk) tell(k likeness.Key, p Pair, shared []likeness.Key) (err error) {
	var rarest shares
	for _, each := range shared {
		n, counted := w.sizes[each]
		if !counted {
			if n, err = w.accounts.CountAlike(w.r, w.organization, each); err != nil {
				return err
			}
			w.sizes[each] = n
		}
		switch {
		case n > account.MaxAlike:
		case rarest == nil && each != k:
			return nil // the first one tells of it
		default:
			rarest = rarest.with(each, n)
		}
	}
	p.Evidence = likeness.Compare(p.First.Value, p.Second.Value, rarest)
	w.pairs, err = w.appendOpen(w.r, w.pairs, p)
	return err
}
