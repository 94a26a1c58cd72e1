package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/sequence"
)

func TestView_changesOfAnotherProcessAreSeenAtOnce(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store}, nil)
	for range 3 {
		s.wantMay(c, false, sue)
		name := s.grant(s.store, sue, "roles/viewer", acme)
		s.wantMay(c, true, sue)
		s.revoke(s.store, name)
	}
	s.wantMay(c, false, sue)
}

func TestView_changeOfARoleReachesItsHolders(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%t", alone), func(t *testing.T) {
			s := newSuite(t, "bolt")
			c := s.cache(&shared{Store: s.store, alone: alone}, nil)
			clerk := &permissionv1.Role{Name: acme + "/roles/clerk", Permissions: []string{"identity.staff.get"}}
			s.change(c.Writes(), func(tx kv.Tx) error {
				_, _, err := s.loader.Roles.Create(tx, at, "services/test", clerk)
				return err
			})
			s.grant(c.Writes(), sales, clerk.GetName(), acme)
			s.change(c.Writes(), func(tx kv.Tx) error { return s.loader.Subjects.AddMember(tx, at, sales, sue) })
			s.wantMay(c, false, sue)
			for _, permissions := range [][]string{{"identity.teams.list"}, {"identity.teams.get"}} {
				clerk.Permissions = permissions
				s.change(c.Writes(), func(tx kv.Tx) error {
					_, _, err := s.loader.Roles.Update(tx, at, "services/test", clerk, "")
					return err
				})
				s.wantMay(c, permissions[0] == "identity.teams.list", sue)
			}
		})
	}
}

func TestView_aloneReadsNothingOnceFilled(t *testing.T) {
	s := newSuite(t, "bolt")
	var reads atomic.Int64
	c := s.cache(&shared{Store: s.store, alone: true, read: func() { reads.Add(1) }}, nil)
	s.grant(c.Writes(), sue, "roles/viewer", acme)
	s.wantMay(c, true, sue)
	before := reads.Load()
	for range 100 {
		s.wantMay(c, true, sue)
	}
	if n := reads.Load() - before; n != 0 {
		t.Errorf("%d reads of the store by 100 checks, want none", n)
	}
}

// TestView_lostAnswerOfAWriteIsNoStaleYes: the write took effect although its
// caller was told otherwise; whoever asks next must see it.
func TestView_lostAnswerOfAWriteIsNoStaleYes(t *testing.T) {
	s := newSuite(t, "bolt")
	store := &shared{Store: s.store, alone: true}
	c := s.cache(store, nil)
	name := s.grant(c.Writes(), sue, "roles/viewer", acme)
	s.wantMay(c, true, sue)
	store.fail = true
	err := c.Writes().Update(context.Background(), func(tx kv.Tx) error {
		_, _, err := s.loader.Grants.Delete(tx, at, name, "")
		return err
	})
	if !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	s.wantMay(c, false, sue)
}

// TestView_entryOvertakenByAChangeIsRefused holds a fill up between its read
// and its arrival, while the grant that it has read is revoked.
func TestView_entryOvertakenByAChangeIsRefused(t *testing.T) {
	s := newSuite(t, "bolt")
	name := s.grant(s.store, sue, "roles/viewer", acme)
	reading, resume := make(chan struct{}), make(chan struct{})
	var reads atomic.Int64
	c := s.cache(&shared{Store: s.store, read: func() {
		if reads.Add(1) == 3 { // the revision, the journal, the subject
			close(reading)
			<-resume
		}
	}}, nil)
	answer := make(chan bool)
	go func() { answer <- s.may(c, sue) }()
	<-reading
	s.revoke(s.store, name)
	if err := c.confirm(t.Context(), c.journal(acme)); err != nil { // brings the journal past the change
		t.Fatal(err)
	}
	close(resume)
	// The check began before the revocation, so either answer is right; what
	// it must not do is leave its entry behind.
	<-answer
	if c.Stats().Refused.Load() == 0 {
		t.Error("the entry was not refused: the test proves nothing")
	}
	s.wantMay(c, false, sue)
}

// TestApplyChanges_lostShardIsReadAnew: what a lease cannot tell, because it
// came too late, the next check of each organisation finds out.
func TestApplyChanges_lostShardIsReadAnew(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store, alone: true}, nil)
	name := s.grant(c.Writes(), sue, "roles/viewer", acme)
	s.wantMay(c, true, sue)
	s.revoke(s.store, name) // behind the cache's back
	s.wantMay(c, true, sue)
	var changes sequence.Changes
	changes.Lost[sequence.Of(acme)] = true
	if err := c.applyChanges(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	s.wantMay(c, false, sue)
}

func TestCatchUp_trimmedLogVoidsWhatIsKept(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store}, nil)
	name := s.grant(s.store, sue, "roles/viewer", acme)
	s.wantMay(c, true, sue)
	s.revoke(s.store, name)
	s.change(s.store, func(tx kv.Tx) error {
		for range revision.Kept + 1 {
			if _, err := revision.Bump(tx, acme, at, tom); err != nil {
				return err
			}
		}
		return nil
	})
	s.wantMay(c, false, sue)
}

// TestCatchUp_replacedHistoryVoidsWhatIsKept puts another history of the same
// length, and one that is shorter, in the place of the one that is known, as
// a fail-over to a lagging server does.
func TestCatchUp_replacedHistoryVoidsWhatIsKept(t *testing.T) {
	for _, changes := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(changes), func(t *testing.T) {
			s, other := newSuite(t, "bolt"), newSuite(t, "bolt")
			store := &shared{Store: s.store}
			c := s.cache(store, nil)
			s.grant(s.store, tom, "roles/viewer", acme)
			s.grant(s.store, sue, "roles/viewer", acme)
			s.wantMay(c, true, sue)
			for range changes {
				other.change(other.store, func(tx kv.Tx) error { _, err := revision.Bump(tx, acme, at, tom); return err })
			}
			store.Store = other.store
			s.wantMay(c, false, sue)
		})
	}
}

func TestJournal_pruneKeepsTheEnd(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store}, nil)
	s.wantMay(c, false, sue)
	for range 3 {
		s.change(s.store, func(tx kv.Tx) error {
			for i := range revision.Kept - 1 {
				if _, err := revision.Bump(tx, acme, at, fmt.Sprintf("%s/staff/s%d", acme, i%1000)); err != nil {
					return err
				}
			}
			return nil
		})
		s.wantMay(c, false, sue)
	}
	j := c.journal(acme)
	head := j.state.Load().revision
	if n := int64(len(j.marks)); n >= 2*revision.Kept || j.floor.Number+n != head.Number {
		t.Errorf("%d marks behind %d, head %d", n, j.floor.Number, head.Number)
	}
	if !j.covers(head) || j.covers(revision.Revision{Number: head.Number, Mark: head.Mark + 1}) || j.covers(revision.Revision{}) {
		t.Error("covers what it should not, or not what it should")
	}
}

// TestView_beginsAgainAtAnEntryOfALaterState changes two things while a
// decision is between them: sue leaves the team, then the team gets a grant.
func TestView_beginsAgainAtAnEntryOfALaterState(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store, alone: true}, nil)
	s.change(c.Writes(), func(tx kv.Tx) error { return s.loader.Subjects.AddMember(tx, at, sales, sue) })
	s.wantMay(c, false, sue) // fills memory
	runs, member, granted := 0, false, false
	v, err := c.View(t.Context(), acme, func(facts decide.Facts) error {
		runs++
		account, err := facts.Subject(sue)
		if err != nil {
			return err
		}
		if runs == 1 {
			s.change(c.Writes(), func(tx kv.Tx) error { return s.loader.Subjects.RemoveMember(tx, at, sales, sue) })
			s.grant(c.Writes(), sales, "roles/viewer", acme)
		}
		team, err := facts.Subject(sales)
		if err != nil {
			return err
		}
		member, granted = len(account.Facts().Teams) > 0, len(team.Holds()) > 0
		return nil
	})
	if err != nil || runs != 2 || member || !granted || v.Number != 3 {
		t.Errorf("run %d times, member %t, granted %t, revision %d, %v", runs, member, granted, v.Number, err)
	}
}

// TestView_keepsToItsStateWhenWhatItReadIsChanged: an answer as of when the
// check began is right, and need not be made again.
func TestView_keepsToItsStateWhenWhatItReadIsChanged(t *testing.T) {
	s := newSuite(t, "bolt")
	c := s.cache(&shared{Store: s.store, alone: true}, nil)
	name := s.grant(c.Writes(), sue, "roles/viewer", acme)
	s.wantMay(c, true, sue)
	s.wantMay(c, false, tom)
	runs := 0
	v, err := c.View(t.Context(), acme, func(facts decide.Facts) error {
		runs++
		if _, err := facts.Subject(sue); err != nil {
			return err
		}
		s.revoke(c.Writes(), name)
		_, err := facts.Subject(tom)
		return err
	})
	if err != nil || runs != 1 || v.Number != 1 {
		t.Errorf("run %d times, revision %d, %v", runs, v.Number, err)
	}
	s.wantMay(c, false, sue)
}

// TestView_isOneState moves sue out of the team before the team may, and into
// it after it may not any more. She was never allowed; who looks at her teams
// in one state and at the team's grants in another would say yes.
func TestView_isOneState(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%t", alone), func(t *testing.T) {
			s := newSuite(t, "bolt")
			c := s.cache(&shared{Store: s.store, alone: alone}, nil)
			stop := make(chan struct{})
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if s.may(c, sue) {
							t.Error("yes to what was never allowed")
							return
						}
					}
				})
			}
			for range 60 {
				s.change(c.Writes(), func(tx kv.Tx) error { return s.loader.Subjects.AddMember(tx, at, sales, sue) })
				s.change(c.Writes(), func(tx kv.Tx) error { return s.loader.Subjects.RemoveMember(tx, at, sales, sue) })
				s.revoke(c.Writes(), s.grant(c.Writes(), sales, "roles/viewer", acme))
			}
			close(stop)
			readers.Wait()
		})
	}
}

func TestView_givesUpWithItsCaller(t *testing.T) {
	s := newSuite(t, "bolt")
	reading, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := s.cache(&shared{Store: s.store, read: func() { once.Do(func() { close(reading); <-resume }) }}, nil)
	var first sync.WaitGroup
	first.Go(func() { s.may(c, sue) })
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.ask(ctx, c, sue); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(resume)
	first.Wait()
	s.wantMay(c, false, sue) // the round that was left has a new leader
}
