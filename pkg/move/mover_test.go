package move_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// TestMove_goesOnWhereItStopped: each record is moved and counted once, however often
// a process ends in the middle, forwards and backwards.
func TestMove_goesOnWhereItStopped(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.put(start, mei2, numbered("theirs", 120)...)
		s.put(start, mei, "own")
		receipt := s.interrupted(t.Context(), ask(false))
		if count(receipt) != 120 || receipt.GetService() != "test" || receipt.GetKinds()[0].GetKind() != "groups" {
			t.Errorf("the receipt is %v, want 120 groups", receipt)
		}
		if len(s.of(mei2)) != 0 || len(s.of(mei)) != 121 {
			t.Errorf("left are %v, moved are %v", s.of(mei2), s.of(mei))
		}
		if again := s.must(ask(false)); !proto.Equal(receipt, again) {
			t.Errorf("the receipt is %v now, was %v", again, receipt)
		}
		if back := s.interrupted(t.Context(), ask(true)); count(back) != 120 || !back.GetUndone() {
			t.Errorf("the receipt is %v, want 120 groups brought back", back)
		}
		if got := s.of(mei2); !slices.Equal(got, numbered("theirs", 120)) || !slices.Equal(s.of(mei), []string{"own"}) {
			t.Errorf("the duplicate has %v, the survivor %v", got, s.of(mei))
		}
		if s.rows("move_lines") != 0 || s.rows("merged_subjects") != 0 {
			t.Error("something of the move is left")
		}
		s.wantRefused(ask(false), "MERGE_UNDONE")
	})
}

// TestMove_undoneGivesBackExactlyWhatWasMoved, whatever there was, wherever either
// way was broken off, and whatever the survivor has got meanwhile.
func TestMove_undoneGivesBackExactlyWhatWasMoved(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			req := func(undo bool) *subjectv1.MoveSubjectRequest {
				q := ask(undo)
				q.Merge, q.From, q.To = fmt.Sprint(merge, n), fmt.Sprint(mei2, "-", n), fmt.Sprint(mei, "-", n)
				return q
			}
			theirs := numbered(fmt.Sprint("t", n, "-"), rapid.IntRange(0, 9).Draw(r, "theirs"))
			own := numbered(fmt.Sprint("o", n, "-"), rapid.IntRange(0, 4).Draw(r, "own"))
			later := numbered(fmt.Sprint("p", n, "-"), rapid.IntRange(0, 2).Draw(r, "later"))
			s.put(start, req(false).GetFrom(), theirs...)
			s.put(start, req(false).GetTo(), own...)
			rounds, last := 0, rapid.IntRange(1, 5).Draw(r, "rounds")
			s.fail = func() error {
				if rounds++; rounds > last {
					return errs.New(errs.Unavailable, "AWAY", "away")
				}
				return nil
			}
			if _, err := s.mover().Move(t.Context(), req(false)); err != nil && errs.ReasonOf(err) != "AWAY" {
				r.Fatal(err)
			}
			s.fail = func() error { return nil }
			s.put(start, req(false).GetTo(), later...)
			if back := s.must(req(true)); count(back) > int64(len(theirs)) {
				r.Errorf("the receipt is %v of %d", back, len(theirs))
			}
			if got := s.of(req(true).GetFrom()); !slices.Equal(got, theirs) {
				r.Errorf("the duplicate has %v, had %v", got, theirs)
			}
			if got := s.of(req(true).GetTo()); !slices.Equal(got, append(own, later...)) {
				r.Errorf("the survivor has %v, had %v and got %v", got, own, later)
			}
		})
	})
}

// TestUndo_leavesAloneWhatIsGoneOrAnother: what the survivor gave away, or deleted and
// made anew, does not come back.
func TestUndo_leavesAloneWhatIsGoneOrAnother(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.put(start, mei2, "away", "gone", "anew", "same")
		s.must(ask(false))
		s.put(start, carl, "away")
		s.change(func(tx kv.Tx) error { _, err := s.groups.Remove(tx, kv.Key{kv.String("gone")}); return err })
		s.put(start.Add(time.Minute), mei, "anew")
		if receipt := s.must(ask(true)); count(receipt) != 1 {
			t.Errorf("the receipt is %v, want one group", receipt)
		}
		if a, b := s.of(mei2), s.of(mei); !slices.Equal(a, []string{"same"}) || !slices.Equal(b, []string{"anew"}) {
			t.Errorf("the duplicate has %v, the survivor %v", a, b)
		}
	})
}

// TestUndo_ofNothingKeepsALateMoveOut: an undo may overtake the call that it undoes.
func TestUndo_ofNothingKeepsALateMoveOut(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.put(start, mei2, "theirs")
		if receipt := s.must(ask(true)); count(receipt) != 0 || s.refused(mei2) {
			t.Errorf("the receipt of nothing is %v", receipt)
		}
		s.wantRefused(ask(false), "MERGE_UNDONE")
		anew := ask(false)
		anew.Merge += "x"
		if receipt := s.must(anew); count(receipt) != 1 {
			t.Errorf("the receipt of another merge is %v", receipt)
		}
	})
}

// TestUndo_finalOnceTheTimeIsOver, whether or not the ledger is removed yet, and from
// the beginning without a time.
func TestUndo_finalOnceTheTimeIsOver(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.put(start, mei2, "theirs")
		receipt := s.must(ask(false))
		if s.now = start.Add(time.Hour - 1); s.mover().Once(t.Context()) != nil || s.rows("move_lines") != 1 {
			t.Error("the ledger is gone before its time")
		}
		s.now = start.Add(time.Hour)
		s.wantRefused(ask(true), "MERGE_FINAL")
		s.now = s.now.Add(1)
		if err := s.mover().Once(t.Context()); err != nil || s.rows("move_lines") != 0 {
			t.Errorf("the ledger is left: %v", err)
		}
		s.wantRefused(ask(true), "MERGE_FINAL")
		if again := s.must(ask(false)); !proto.Equal(receipt, again) || !s.refused(mei2) {
			t.Errorf("the receipt is %v, was %v", again, receipt)
		}
		at := &subjectv1.MoveSubjectRequest{Merge: merge + "x", From: carl, To: mei}
		s.put(start, carl, "carls")
		if receipt := s.must(at); count(receipt) != 1 || s.rows("move_lines") != 0 {
			t.Errorf("the receipt is %v with %d lines", receipt, s.rows("move_lines"))
		}
		at.Undo = true
		s.wantRefused(at, "MERGE_FINAL")
	})
}

// TestMove_refusesOtherAccounts: a merge is of two accounts, and an account is in one
// at a time, unless it survives.
func TestMove_refusesOtherAccounts(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.must(ask(false))
		other := func(merge, from, to string, undo bool) *subjectv1.MoveSubjectRequest {
			return &subjectv1.MoveSubjectRequest{Merge: merge, From: from, To: to, Undo: undo, KeepUntil: timestamppb.New(start.Add(time.Hour))}
		}
		s.wantRefused(other(merge, carl, mei, false), "MERGE_MISMATCH")
		s.wantRefused(other(merge, mei2, carl, true), "MERGE_MISMATCH")
		s.wantRefused(other(merge+"x", mei2, carl, false), "CUSTOMER_MERGED")
		s.wantRefused(other(merge+"y", carl, mei2, false), "CUSTOMER_MERGED")
		s.must(other(merge+"z", mei, carl, false))
		s.wantRefused(ask(true), "CUSTOMER_MERGED") // the later merge is undone first
		s.must(other(merge+"z", mei, carl, true))
		s.must(ask(true))
	})
}

// TestRefuse_nobodyWritesBesideARound: what writes under the duplicate's name while it
// is moved is refused, or is moved.
func TestRefuse_nobodyWritesBesideARound(t *testing.T) {
	eachShop(t, func(t *testing.T, s *shop) {
		s.put(start, mei2, numbered("theirs", 7)...)
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := 0; ; i++ {
					err := s.store.Update(t.Context(), func(tx kv.Tx) error {
						if err := s.book.Refuse(tx, mei2); err != nil {
							return err
						}
						_, err := s.groups.Create(tx, &groupchatv1.Group{Name: fmt.Sprint("w", w, "-", i), Owner: mei2})
						return err
					})
					if errs.ReasonOf(err) == "CUSTOMER_MERGED" {
						return
					}
					if err != nil && !errs.Is(err, errs.Conflict) {
						t.Error(err)
						return
					}
				}
			})
		}
		s.must(ask(false))
		wg.Wait()
		if left := s.of(mei2); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// TestErase_endsWhatNamesTheAccount: neither is anything brought back from who is
// erased, nor to; what was under way does not go on.
func TestErase_endsWhatNamesTheAccount(t *testing.T) {
	for _, erased := range []string{mei, mei2} {
		eachShop(t, func(t *testing.T, s *shop) {
			s.put(start, mei2, numbered("theirs", 3)...)
			s.must(ask(false))
			more := true
			for more {
				if err := change.DoSystem(t.Context(), s.journal, "erase", func(tx *change.Tx) (err error) {
					tx.Unchanged()
					more, err = s.book.Erase(tx, erased)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if s.rows("move_lines") != 0 || s.rows("moves") != 1 || !s.refused(mei2) {
				t.Errorf("left are %d lines, %d moves", s.rows("move_lines"), s.rows("moves"))
			}
			s.wantRefused(ask(true), "MERGE_FINAL")
		})
	}
}

// TestRenamed_staysBelowTheAccount, also where the id is taken.
func TestRenamed_staysBelowTheAccount(t *testing.T) {
	m := &move.Move{Merge: merge, From: mei2, To: mei}
	free := func(string) (bool, error) { return false, nil }
	if got, err := m.Renamed(mei2+"/complaints/c1", free); err != nil || got != mei+"/complaints/c1" {
		t.Errorf("%s, %v", got, err)
	}
	long := "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz-abcdefghij"
	for _, id := range []string{"c1", long} {
		taken := mei + "/complaints/" + id
		got, err := m.Renamed(mei2+"/complaints/"+id, func(name string) (bool, error) { return name == taken, nil })
		if err != nil || got == taken || len(got) > len(mei+"/complaints/")+63 || got[:len(mei+"/complaints/")] != mei+"/complaints/" {
			t.Errorf("%s becomes %s, %v", id, got, err)
		}
	}
}
