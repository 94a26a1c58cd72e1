package kvtest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func raceTests() map[string]test {
	return map[string]test{
		"CountersLoseNothing":          testCounters,
		"UniqueInsertHasOneWinner":     testUnique,
		"WriteSkewIsImpossible":        testWriteSkew,
		"RangeSkewIsImpossible":        testRangeSkew,
		"TransfersKeepTheSum":          testTransfers,
		"AbortsAmongCommitsLeaveAlone": testAbortsAmongCommits,
	}
}

const racers = 16

// race runs fn on several goroutines at once and waits for them.
func race(n int, fn func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-begin; fn(i) })
	}
	close(begin)
	wg.Wait()
}

func add(tx kv.Tx, table, key string, n int) error {
	raw, err := tx.Get(table, []byte(key))
	if err != nil {
		return err
	}
	old := 0
	if raw != nil {
		if old, err = strconv.Atoi(string(raw)); err != nil {
			return err
		}
	}
	return tx.Put(table, []byte(key), []byte(strconv.Itoa(old+n)))
}

// testCounters has all racers increment one counter, and one of their own.
func testCounters(t *testing.T, s kv.Store) {
	const each = 10
	race(racers, func(i int) {
		for range each {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if err := add(tx, accounts, "all", 1); err != nil {
					return err
				}
				return add(tx, accounts, fmt.Sprintf("own%02d", i), 1)
			})
			if err != nil {
				t.Errorf("increment: %v", err)
			}
		}
	})
	want := []string{"all", strconv.Itoa(racers * each)}
	for i := range racers {
		want = append(want, fmt.Sprintf("own%02d", i), strconv.Itoa(each))
	}
	wantItems(t, s, accounts, want...)
}

// testUnique is an insert under a unique key, as an index makes it.
func testUnique(t *testing.T, s kv.Store) {
	taken := errs.New(errs.Exists, "TAKEN", "the name is taken")
	for round := range 10 {
		key := number(round)
		var winners atomic.Int32
		var winner atomic.Value
		race(racers, func(i int) {
			me := strconv.Itoa(i)
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if old, err := tx.Get(words, key); err != nil || old != nil {
					return errors.Join(err, taken)
				}
				return tx.Put(words, key, []byte(me))
			})
			switch {
			case err == nil:
				winners.Add(1)
				winner.Store(me)
			case !errors.Is(err, taken):
				t.Errorf("insert: %v", err)
			}
		})
		view(t, s, func(r kv.Reader) error {
			got, err := r.Get(words, key)
			if winners.Load() != 1 || string(got) != winner.Load() {
				t.Errorf("%d winners, the last %v; stored %q", winners.Load(), winner.Load(), got)
			}
			return err
		})
	}
}

// testWriteSkew is the doctors on call of Cahill, Röhm and Fekete (2008): each
// may leave while another stays. Under snapshot isolation both leave.
func testWriteSkew(t *testing.T, s kv.Store) {
	for round := range 20 {
		put(t, s, marks, "alice", "on", "bob", "on")
		race(2, func(i int) {
			me := []string{"alice", "bob"}[i]
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				both, err := tx.GetMany(marks, [][]byte{[]byte("alice"), []byte("bob")})
				if err != nil {
					return err
				}
				if string(both[0]) == "on" && string(both[1]) == "on" {
					return tx.Put(marks, []byte(me), []byte("off"))
				}
				return nil
			})
			if err != nil {
				t.Errorf("leave: %v", err)
			}
		})
		view(t, s, func(r kv.Reader) error {
			got, err := scan(r, marks, kv.Range{})
			if err == nil && (got[1] == "on") == (got[3] == "on") {
				t.Errorf("round %d: alice %s, bob %s; want exactly one on call", round, got[1], got[3])
			}
			return err
		})
	}
}

// testRangeSkew is write skew over a range: each adds a row if there are fewer
// than three, and the row is new, so no read of a key would notice.
func testRangeSkew(t *testing.T, s kv.Store) {
	const most = 3
	for round := range 10 {
		prefix := fmt.Sprintf("round%02d/", round)
		race(8, func(i int) {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				there, err := scan(tx, words, kv.Prefix([]byte(prefix)))
				if err != nil || len(there)/2 >= most {
					return err
				}
				return tx.Put(words, []byte(prefix+strconv.Itoa(i)), nil)
			})
			if err != nil {
				t.Errorf("add: %v", err)
			}
		})
		view(t, s, func(r kv.Reader) error {
			got, err := scan(r, words, kv.Prefix([]byte(prefix)))
			if len(got)/2 != most {
				t.Errorf("%d rows, want %d", len(got)/2, most)
			}
			return err
		})
	}
}

// testTransfers moves money while readers add all of it up.
func testTransfers(t *testing.T, s kv.Store) {
	const n, each = 5, 20
	update(t, s, func(tx kv.Tx) error {
		for i := range n {
			if err := add(tx, accounts, strconv.Itoa(i), 100); err != nil {
				return err
			}
		}
		return nil
	})
	race(8, func(i int) {
		for j := range each {
			from, to := strconv.Itoa((i+j)%n), strconv.Itoa((i+2*j+1)%n)
			var err error
			if i%4 == 3 {
				err = s.View(t.Context(), func(r kv.Reader) error { return wantSum(r, n*100) })
			} else {
				err = s.Update(t.Context(), func(tx kv.Tx) error {
					if err := add(tx, accounts, from, -1); err != nil {
						return err
					}
					return add(tx, accounts, to, 1)
				})
			}
			if err != nil {
				t.Errorf("transfer: %v", err)
			}
		}
	})
	view(t, s, func(r kv.Reader) error { return wantSum(r, n*100) })
}

func wantSum(r kv.Reader, want int) error {
	sum := 0
	for item, err := range r.Scan(accounts, kv.Range{}) {
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(item.Value))
		if err != nil {
			return err
		}
		sum += n
	}
	if sum != want {
		return fmt.Errorf("the accounts add up to %d, want %d", sum, want)
	}
	return nil
}

// testAbortsAmongCommits mixes closures that fail after writing with ones that
// succeed, so that an engine which commits several together must part them.
func testAbortsAmongCommits(t *testing.T, s kv.Store) {
	race(racers, func(i int) {
		for j := range 10 {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if err := add(tx, accounts, "sum", 1); err != nil {
					return err
				}
				if (i+j)%2 == 0 {
					return errAbort
				}
				return nil
			})
			if aborts := (i+j)%2 == 0; aborts != errors.Is(err, errAbort) || !aborts && err != nil {
				t.Errorf("Update = %v, aborts %v", err, aborts)
			}
		}
	})
	wantItems(t, s, accounts, "sum", strconv.Itoa(racers*10/2))
}
