package sequence_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/sequence"
)

var at = time.Unix(1_800_000_000, 0)

// change moves organisations on, in one transaction.
func change(t *testing.T, s kv.Store, at time.Time, organizations ...string) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx kv.Tx) error {
		moved := make(map[string]revision.Revision)
		for _, o := range organizations {
			v, err := revision.Bump(tx, o, at, o+"/staff/sue")
			if err != nil {
				return err
			}
			moved[o] = v
		}
		return sequence.Append(tx, moved)
	}); err != nil {
		t.Fatal(err)
	}
}

// look returns the head, and what has changed since a place.
func look(t *testing.T, s kv.Store, from *sequence.Vector) (head sequence.Vector, c sequence.Changes) {
	t.Helper()
	if err := s.View(t.Context(), func(r kv.Reader) (err error) {
		if head, err = sequence.Head(r); err != nil {
			return err
		}
		c, err = sequence.Since(r, from, head)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return head, c
}

func tables() []string { return slices.Concat(revision.Tables(), sequence.Tables()) }

func organization(i int) string { return fmt.Sprintf("organizations/o%d", i) }

// sister returns another organisation of the shard of organisation 0.
func sister() string {
	for i := 1; ; i++ {
		if o := organization(i); sequence.Of(o) == sequence.Of(organization(0)) {
			return o
		}
	}
}

func TestSince_namesWhatHasChanged(t *testing.T) {
	testkit.EachStore(t, "permission", tables(), func(t *testing.T, s kv.Store) {
		empty, _ := look(t, s, nil)
		if empty != (sequence.Vector{}) {
			t.Errorf("an empty store is at %v", empty)
		}
		all := []string{organization(0), organization(1), sister()}
		change(t, s, at, all...)
		change(t, s, at, organization(1))
		head, c := look(t, s, &empty)
		slices.Sort(all)
		if !slices.Equal(c.Organizations, all) || c.AnyLost() {
			t.Errorf("changes %+v, want %v", c, all)
		}
		if _, c = look(t, s, &head); !c.Empty() {
			t.Errorf("nothing happened, and %+v", c)
		}
		change(t, s, at, sister())
		if _, c = look(t, s, &head); !slices.Equal(c.Organizations, []string{sister()}) || c.AnyLost() {
			t.Errorf("changes %+v", c)
		}
	})
}

func TestSince_whoKnowsNothingHasLostAll(t *testing.T) {
	s := testkit.Store(t, "bolt", "permission", tables())
	if _, c := look(t, s, nil); slices.Contains(c.Lost[:], false) {
		t.Errorf("lost %v", c.Lost)
	}
}

func TestSince_ringIsOverrun(t *testing.T) {
	s := testkit.Store(t, "bolt", "permission", tables())
	change(t, s, at, organization(0))
	from, _ := look(t, s, nil)
	for range sequence.Kept - 1 {
		change(t, s, at, organization(0))
	}
	if _, c := look(t, s, &from); c.AnyLost() || len(c.Organizations) != 1 {
		t.Errorf("the ring holds all: %+v", c)
	}
	change(t, s, at, organization(0))
	_, c := look(t, s, &from)
	for i, lost := range c.Lost {
		if lost != (i == sequence.Of(organization(0))) {
			t.Errorf("shard %d: lost %t", i, lost)
		}
	}
}

// TestSince_replacedHistoryIsLost puts another history in the place of the one
// that is known: shorter, as long, and longer.
func TestSince_replacedHistoryIsLost(t *testing.T) {
	s := testkit.Store(t, "bolt", "permission", tables())
	for range 3 {
		change(t, s, at, organization(0))
	}
	known, _ := look(t, s, nil)
	for changes := 1; changes <= 5; changes++ {
		other := testkit.Store(t, "bolt", "permission", tables())
		for range changes {
			change(t, other, at.Add(time.Second), organization(0))
		}
		head, c := look(t, other, &known)
		if !c.Lost[sequence.Of(organization(0))] {
			t.Errorf("%d changes of another history: %+v", changes, c)
		}
		if target := (sequence.Vector{}); changes <= 3 && known.Reached(&target, &head) {
			t.Errorf("a place of another history has reached something beside %d changes", changes)
		}
	}
}

func TestReached(t *testing.T) {
	at := func(number int64, mark uint64) (v sequence.Vector) {
		v[3] = sequence.Point{Number: number, Mark: mark}
		return v
	}
	target, head := at(5, 50), at(7, 70)
	for _, c := range []struct {
		place sequence.Vector
		want  bool
	}{
		{at(4, 40), false}, {at(5, 50), true}, {at(6, 60), true}, {at(7, 70), true}, {at(7, 71), false}, {at(8, 80), false}, {sequence.Vector{}, false},
	} {
		if got := c.place.Reached(&target, &head); got != c.want {
			t.Errorf("%v: %t", c.place[3], got)
		}
	}
}

func TestFromProto_undoesProto(t *testing.T) {
	var v sequence.Vector
	for i := range v {
		v[i] = sequence.Point{Number: int64(i), Mark: uint64(i) << 40}
	}
	if got := sequence.FromProto(v.Proto()); got != v {
		t.Errorf("got %v", got)
	}
	if got := sequence.FromProto(nil); got != (sequence.Vector{}) {
		t.Errorf("nothing is %v", got)
	}
}
