package kv_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func TestLookup_uniqueIndexesFollowTheRecord(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		e := newEntry("a")
		e.RequestId, e.Actor = "r1", "ada@example.com"
		create(t, s, tab, e)
		wantLookup := func(index string, key kv.Key, want string) {
			t.Helper()
			view(t, s, func(r kv.Reader) error {
				rec, ok, err := tab.FindBy(r, index, key)
				if ok != (want != "") || rec.Value.GetName() != want {
					t.Errorf("FindBy(%s, %v) = %q, want %q", index, key, rec.Value.GetName(), want)
				}
				return err
			})
		}
		wantLookup("request", kv.Key{kv.String("r1")}, "a")
		wantLookup("mail", kv.Key{kv.Personal("ada@example.com")}, "a")
		update(t, s, func(tx kv.Tx) error {
			_, err := tab.Modify(tx, kv.Key{kv.String("a")}, "", func(e *entry) error { e.RequestId = "r2"; return nil })
			return err
		})
		wantLookup("request", kv.Key{kv.String("r1")}, "")
		wantLookup("request", kv.Key{kv.String("r2")}, "a")
		update(t, s, func(tx kv.Tx) error {
			_, err := tab.Delete(tx, kv.Key{kv.String("a")}, "")
			return err
		})
		wantLookup("request", kv.Key{kv.String("r2")}, "")
		wantLookup("mail", kv.Key{kv.Personal("ada@example.com")}, "")
		verify(t, s, tab)
	})
}

func TestCreate_takenUniqueKeyIsExistsOnItsField(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		a, b := newEntry("a"), newEntry("b")
		a.RequestId, b.RequestId = "same", "same"
		create(t, s, tab, a)
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			_, err := tab.Create(tx, b)
			return err
		})
		wantError(t, err, errs.Exists, "REQUEST_TAKEN")
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "entry.request_id" {
			t.Errorf("violations = %v, want one of entry.request_id", v)
		}
		verify(t, s, tab)
	})
}

func TestCreate_raceForAUniqueKeyHasOneWinner(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		const racers = 16
		results := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				e := newEntry(fmt.Sprint("racer", i))
				e.RequestId = "prize"
				results[i] = s.Update(t.Context(), func(tx kv.Tx) error {
					_, err := tab.Create(tx, e)
					return err
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
				continue
			}
			wantError(t, err, errs.Exists, "REQUEST_TAKEN")
		}
		if won != 1 {
			t.Errorf("%d racers won, want 1", won)
		}
		verify(t, s, tab)
	})
}

// countingTx counts the writes of each raw table.
type countingTx struct {
	kv.Tx
	writes map[string]int
}

func (c countingTx) Put(table string, key, value []byte) error {
	c.writes[table]++
	return c.Tx.Put(table, key, value)
}

func (c countingTx) Delete(table string, key []byte) error {
	c.writes[table]++
	return c.Tx.Delete(table, key)
}

func TestUpdate_unchangedIndexEntriesAreNotRewritten(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		e := newEntry("a")
		e.RequestId, e.ChangedFields = "r1", []string{"x", "y"}
		create(t, s, tab, e)
		writes := map[string]int{}
		update(t, s, func(tx kv.Tx) error {
			clear(writes)
			_, err := tab.Modify(countingTx{tx, writes}, kv.Key{kv.String("a")}, "", func(e *entry) error {
				e.ChangedFields = []string{"y", "z"}
				return nil
			})
			return err
		})
		if writes["entries"] != 1 || writes["entries__field"] != 2 || len(writes) != 2 {
			t.Errorf("writes = %v, want one record, one entry removed and one added", writes)
		}
	})
}

func TestFindBy_mistakesAreErrors(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		view(t, s, func(r kv.Reader) error {
			for _, index := range []string{"none", "field"} {
				if _, _, err := tab.FindBy(r, index, kv.Key{kv.String("x")}); err == nil {
					t.Errorf("FindBy on index %q succeeds", index)
				}
			}
			return nil
		})
	})
}

// Random creates, updates and deletes leave every index exact, and every
// record found by all of its keys.
func TestTable_indexesStayExact(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		rapid.Check(t, func(rt *rapid.T) {
			short := rapid.SampledFrom([]string{"", "a", "b", "ab", "a\x00"})
			for range rapid.IntRange(1, 8).Draw(rt, "ops") {
				e := newEntry(rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "name"))
				e.RequestId = short.Draw(rt, "request")
				e.Actor = short.Draw(rt, "actor")
				e.Resource = short.Draw(rt, "resource")
				e.Time = timestamppb.New(day(rapid.IntRange(1, 3).Draw(rt, "day")))
				e.ChangedFields = rapid.SliceOfN(short, 0, 4).Draw(rt, "fields")
				remove := rapid.IntRange(0, 3).Draw(rt, "op") == 0
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					if remove {
						_, err := tab.Delete(tx, kv.Key{kv.String(e.Name)}, "")
						return err
					}
					_, err := tab.Put(tx, e, "")
					return err
				})
				if err != nil && !errs.Is(err, errs.Exists) && !errs.Is(err, errs.NotFound) {
					rt.Fatal(err)
				}
			}
			if err := tab.Verify(t.Context(), s); err != nil {
				rt.Fatal(err)
			}
		})
	})
}

func TestVerify_findsMissingStrayAndDamaged(t *testing.T) {
	tab := newEntries()
	eachStore(t, tab.Tables(), func(t *testing.T, s kv.Store) {
		e := newEntry("a")
		e.RequestId, e.ChangedFields = "r1", []string{"x"}
		create(t, s, tab, e, newEntry("b"))
		items := func(table string) (out []kv.Item) {
			view(t, s, func(r kv.Reader) error {
				out = nil
				for item, err := range r.Scan(table, kv.Range{}) {
					if err != nil {
						return err
					}
					out = append(out, item)
				}
				return nil
			})
			return out
		}
		request, field, records := items("entries__request"), items("entries__field"), items("entries")
		for name, spoil := range map[string]func(kv.Tx) error{
			"no entry for a record": func(tx kv.Tx) error { return tx.Delete("entries__request", request[0].Key) },
			"an entry that its record does not have": func(tx kv.Tx) error {
				return tx.Put("entries__field", slices.Concat([]byte{0x10, 'q', 0, 1, 1}, records[1].Key), nil)
			},
			"a record that does not decode": func(tx kv.Tx) error { return tx.Put("entries", records[1].Key, []byte{7}) },
		} {
			update(t, s, spoil)
			if err := tab.Verify(t.Context(), s); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("Verify = %v, want %q", err, name)
			}
			update(t, s, func(tx kv.Tx) error { // mend
				for _, w := range []struct {
					table string
					items []kv.Item
				}{{"entries__request", request}, {"entries__field", field}, {"entries", records}} {
					for _, item := range w.items {
						if err := tx.Put(w.table, item.Key, item.Value); err != nil {
							return err
						}
					}
				}
				return tx.Delete("entries__field", slices.Concat([]byte{0x10, 'q', 0, 1, 1}, records[1].Key))
			})
			verify(t, s, tab)
		}
	})
}
