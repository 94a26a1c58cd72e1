package seal

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"guildhall.dev/pkg/kv"
)

// Progress is how far a Reseal has come.
type Progress struct {
	// Table and Key are the last place that was looked at.
	Table string
	Key   []byte
	// Seen counts the values looked at, Resealed those of them that were
	// under an older key.
	Seen, Resealed int
}

// resealChunk bounds the values of one transaction.
const resealChunk = 128

// Reseal puts every value of the tables that an older key sealed under the
// primary one. Run it after Rotate, beside the running service: it works in
// bounded transactions, each of which reads again what it rewrites, so it
// loses no write. s may be the engine's store or one that Wrap returned.
//
// report, if not nil, is called after each transaction that saw a value. An interrupted Reseal
// goes on from the last Progress, or from the zero Progress: what is done
// already is then only read. A replica that has not met the new key yet may
// still seal under the old one behind the pass; the next pass finds it.
//
// Older keys stay in the keyset: backups are sealed under them.
func (r *Ring) Reseal(ctx context.Context, s kv.Store, tables []string, from Progress, report func(Progress)) error {
	if w, ok := s.(*store); ok {
		s = w.Store
	}
	tables = slices.Sorted(slices.Values(tables))
	p := from
	for _, table := range tables {
		if table < from.Table {
			continue
		}
		if table != p.Table {
			p.Table, p.Key = table, nil
		}
		for more := true; more; {
			seen, err := r.resealChunk(ctx, s, &p)
			if err != nil {
				return fmt.Errorf("reseal table %s: %w", table, err)
			}
			if report != nil && seen > 0 {
				report(p)
			}
			more = seen == resealChunk
		}
	}
	return nil
}

// resealChunk does the values behind p, moves p on, and returns how many values
// it saw: fewer than resealChunk at the end of the table.
func (r *Ring) resealChunk(ctx context.Context, s kv.Store, p *Progress) (seen int, err error) {
	var stale [][]byte
	var last []byte
	err = s.View(ctx, func(rd kv.Reader) error {
		stale, last, seen = nil, nil, 0
		rng := kv.Range{Limit: resealChunk}
		if p.Key != nil {
			rng.Start = append(bytes.Clone(p.Key), 0)
		}
		for item, err := range rd.Scan(p.Table, rng) {
			if err != nil {
				return err
			}
			seen, last = seen+1, item.Key
			if r.stale(item.Value) {
				stale = append(stale, item.Key)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		return 0, err
	}
	done, err := r.resealKeys(ctx, s, p.Table, stale)
	if err != nil {
		return 0, err
	}
	p.Key, p.Seen, p.Resealed = last, p.Seen+seen, p.Resealed+done
	return seen, nil
}

func (r *Ring) resealKeys(ctx context.Context, s kv.Store, table string, keys [][]byte) (done int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err = s.Update(ctx, func(t kv.Tx) error {
		done = 0
		values, err := t.GetMany(table, keys)
		if err != nil {
			return err
		}
		for i, sealed := range values {
			if !r.stale(sealed) {
				continue // deleted or rewritten since
			}
			value, err := r.open(table, keys[i], sealed)
			if err != nil {
				return err
			}
			if sealed, err = r.seal(table, keys[i], value); err != nil {
				return err
			}
			if err := t.Put(table, keys[i], sealed); err != nil {
				return err
			}
			done++
		}
		return nil
	})
	return done, err
}

// stale reports whether another key than the primary sealed the value.
func (r *Ring) stale(sealed []byte) bool {
	if len(sealed) == 0 {
		return false
	}
	id, ok := keyID(sealed)
	return !ok || id != r.keys.Load().primary
}
