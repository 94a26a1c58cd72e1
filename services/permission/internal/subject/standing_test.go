package subject_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

func update(t interface{ Fatal(...any) }, s kv.Store, fn func(tx kv.Tx) error) {
	if err := s.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func factsOf(t interface{ Fatal(...any) }, s kv.Store, subjects *subject.Subjects, account string) (f subject.Facts) {
	if err := s.View(ctx, func(r kv.Reader) (err error) {
		f, err = subjects.Facts(r, account)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestHear_takesTheHighestVersionInAnyOrder(t *testing.T) {
	subjects := subject.New()
	testkit.EachStore(t, "permission", append(subjects.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		account := 0
		rapid.Check(t, func(t *rapid.T) {
			account++
			name := fmt.Sprintf("%s/staff/s%d", acme, account)
			words := make([]subject.Word, rapid.IntRange(1, 6).Draw(t, "words"))
			for i := range words {
				state := rapid.SampledFrom([]string{"ACTIVE", "SUSPENDED", "DELETED", "PENDING"}).Draw(t, "state")
				words[i] = subject.Word{Account: name, State: state, Version: int64(i + 1)}
			}
			last := words[len(words)-1]
			// Each is said once, the last of them directly; the feed repeats all.
			said := append(rapid.Permutation(words).Draw(t, "order"), words...)
			for i, w := range said {
				update(t, s, func(tx kv.Tx) error {
					if i >= len(words) {
						return subjects.Follow(tx, at, w)
					}
					inForce, err := subjects.Hear(tx, at, w)
					if inForce < w.Version {
						t.Fatalf("version %d is in force after %d was said", inForce, w.Version)
					}
					return err
				})
			}
			if got, want := factsOf(t, s, subjects, name).Denied, last.State == "SUSPENDED" || last.State == "DELETED"; got != want {
				t.Fatalf("denied is %t after %v, want %t", got, said, want)
			}
		})
	})
}

// TestFollow_neverTakesBackADirectWord: the feed is behind.
func TestFollow_neverTakesBackADirectWord(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	say := func(direct bool, state string, version int64, want bool) {
		t.Helper()
		w := subject.Word{Account: sue, State: state, Version: version}
		update(t, s, func(tx kv.Tx) (err error) {
			if direct {
				_, err = subjects.Hear(tx, at, w)
				return err
			}
			return subjects.Follow(tx, at, w)
		})
		if got := factsOf(t, s, subjects, sue).Denied; got != want {
			t.Errorf("after %s %d (direct: %t) denied is %t", state, version, direct, got)
		}
	}
	say(false, "ACTIVE", 1, false)
	say(true, "SUSPENDED", 2, true)
	say(false, "ACTIVE", 1, true)
	say(true, "ACTIVE", 3, false)
	say(false, "SUSPENDED", 2, false)
	say(false, "ACTIVE", 3, false)
	say(false, "DELETED", 4, true)
	update(t, s, func(tx kv.Tx) error { return subjects.RemoveAccount(tx, at, sue) })
	say(false, "PENDING", 9, false)
}

func TestHear_refusesWhatIsNoAccount(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	for _, name := range []string{"", acme, sales, "services/identity"} {
		err := s.Update(ctx, func(tx kv.Tx) error {
			_, err := subjects.Hear(tx, at, subject.Word{Account: name, State: "SUSPENDED", Version: 1})
			return err
		})
		if errs.ReasonOf(err) != "SUBJECT_INVALID" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestEndSessions_endedStaysEnded holds ends of sessions against a plain list:
// whatever is swept or bounded meanwhile, a session that ended is ended as long
// as a token of it may be alive, and one that began after all of them is not.
func TestEndSessions_endedStaysEnded(t *testing.T) {
	subjects := subject.New()
	testkit.EachStore(t, "permission", append(subjects.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		account := 0
		rapid.Check(t, func(t *rapid.T) {
			account++
			name, now := fmt.Sprintf("%s/staff/e%d", acme, account), at
			forget := make(map[string]time.Time)
			for range rapid.IntRange(1, 8).Draw(t, "calls") {
				now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
				var ends []subject.Ended
				for _, n := range rapid.SliceOfN(rapid.IntRange(1, 300), 1, 60).Draw(t, "sessions") {
					id := fmt.Sprintf("%03d", n)
					e := subject.Ended{Session: id, Forget: now.Add(5 * time.Minute)}
					if _, known := forget[id]; !known {
						forget[id] = e.Forget
						ends = append(ends, e)
					}
				}
				update(t, s, func(tx kv.Tx) error { return subjects.EndSessions(tx, now, name, ends) })
				update(t, s, func(tx kv.Tx) error { return subjects.ForgetEnded(tx, now, name) })
			}
			facts := factsOf(t, s, subjects, name)
			if len(facts.Ended) > 64 || !slices.IsSorted(facts.Ended) {
				t.Fatalf("%d sessions are named: %v", len(facts.Ended), facts.Ended)
			}
			for id, until := range forget {
				if now.Before(until) && !facts.HasEnded(id) {
					t.Fatalf("session %s is alive again: %+v", id, facts)
				}
			}
			if facts.HasEnded("301") || facts.HasEnded("") {
				t.Fatalf("a session that never ended has: %+v", facts)
			}
		})
	})
}

func TestForgetEnded_isNoChangeOfWhatChecksSay(t *testing.T) {
	subjects := subject.New()
	s := testkit.Store(t, "bolt", "permission", append(subjects.Tables(), revision.Tables()...))
	end := []subject.Ended{{Session: "s1", Forget: at.Add(time.Minute)}}
	update(t, s, func(tx kv.Tx) error { return subjects.EndSessions(tx, at, sue, end) })
	before := head(t, s)
	update(t, s, func(tx kv.Tx) error { return subjects.EndSessions(tx, at, sue, end) })
	for _, step := range []struct {
		after time.Duration
		left  bool
	}{{time.Minute - 1, true}, {time.Minute + time.Second, false}, {2 * time.Minute, false}} {
		update(t, s, func(tx kv.Tx) error { return subjects.ForgetEnded(tx, at.Add(step.after), sue) })
		if left := factsOf(t, s, subjects, sue).HasEnded("s1"); left != step.left {
			t.Errorf("after %s it is still known that the session ended: %t, want %t", step.after, left, step.left)
		}
	}
	if head(t, s) != before {
		t.Error("what is repeated or forgotten counts as a change")
	}
}
