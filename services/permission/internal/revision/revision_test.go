package revision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
)

const acme, zeta = "organizations/acme", "organizations/zeta"

var at = time.Unix(1_800_000_000, 0)

func bump(t *testing.T, s kv.Store, organization string, at time.Time, touched ...string) (v revision.Revision) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx kv.Tx) (err error) {
		v, err = revision.Bump(tx, organization, at, touched...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return v
}

func since(t *testing.T, s kv.Store, organization string, number int64) (changes []revision.Change, complete bool) {
	t.Helper()
	if err := s.View(t.Context(), func(r kv.Reader) (err error) {
		changes, complete, err = revision.Since(r, organization, number)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return changes, complete
}

func TestBump_logsWhatItTouched(t *testing.T) {
	testkit.EachStore(t, "permission", revision.Tables(), func(t *testing.T, s kv.Store) {
		first := bump(t, s, acme, at, "a", "b")
		bump(t, s, zeta, at, "z")
		second := bump(t, s, acme, at, "c")
		if first.Number != 1 || second.Number != 2 || first.Mark == second.Mark {
			t.Errorf("revisions %v and %v", first, second)
		}
		changes, complete := since(t, s, acme, 0)
		if !complete || len(changes) != 2 || changes[0].Revision != first || !slices.Equal(changes[0].Touched, []string{"a", "b"}) {
			t.Errorf("changes %v, complete %t", changes, complete)
		}
		changes, complete = since(t, s, acme, 2)
		if !complete || len(changes) != 0 {
			t.Errorf("nothing new: %v, complete %t", changes, complete)
		}
		err := s.View(t.Context(), func(r kv.Reader) error {
			heads, err := revision.Heads(r, []string{acme, "organizations/none", zeta})
			if len(heads) != 3 || heads[0] != second || heads[1] != (revision.Revision{}) || heads[2].Number != 1 {
				t.Errorf("heads %v", heads)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestBump_marksTellHistoriesApart is what protects from copies that outlive a
// restore: the same numbers, of another history, have other marks for good.
func TestBump_marksTellHistoriesApart(t *testing.T) {
	one := testkit.Store(t, "bolt", "one", revision.Tables())
	two := testkit.Store(t, "bolt", "two", revision.Tables())
	if bump(t, one, acme, at, "a") != bump(t, two, acme, at, "a") {
		t.Error("equal histories differ")
	}
	if bump(t, one, acme, at, "b") == bump(t, two, acme, at.Add(time.Nanosecond), "b") {
		t.Error("histories that differ in time are equal")
	}
	if bump(t, one, acme, at, "c") == bump(t, two, acme, at, "c") {
		t.Error("histories that differed once are equal again")
	}
}

func TestSince_trimmedLogIsIncomplete(t *testing.T) {
	s := testkit.Store(t, "bolt", "permission", revision.Tables())
	const extra = 5
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range revision.Kept + extra {
			if _, err := revision.Bump(tx, acme, at, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int64]bool{0: false, extra - 1: false, extra: true, revision.Kept + extra: true} {
		if _, complete := since(t, s, acme, number); complete != want {
			t.Errorf("since %d: complete %t, want %t", number, complete, want)
		}
	}
	if changes, _ := since(t, s, acme, 0); len(changes) != revision.Kept {
		t.Errorf("the log holds %d changes, want %d", len(changes), revision.Kept)
	}
}

func TestWatch_knowsItsKeys(t *testing.T) {
	s := testkit.Store(t, "bolt", "permission", revision.Tables())
	now := bump(t, s, acme, at)
	err := s.View(t.Context(), func(r kv.Reader) error {
		for item, err := range r.Scan(revision.TableHeads, kv.Range{}) {
			if err != nil {
				return err
			}
			if got, to, ok := revision.Watch(item.Key, item.Value); !ok || got != acme || to != now {
				t.Errorf("got %q, %v, %t", got, to, ok)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := revision.Watch([]byte("nonsense"), nil); ok {
		t.Error("nonsense is a key")
	}
}
