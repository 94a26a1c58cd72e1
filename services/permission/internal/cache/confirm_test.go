package cache

import (
	"sync"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/revision"
)

// TestConfirmer_readBeginsAfterTheCall: a read that was under way when a
// change returned must not answer who came after the change.
func TestConfirmer_readBeginsAfterTheCall(t *testing.T) {
	s := newSuite(t, "bolt")
	reading, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var reads atomic.Int64
	c := &confirmer{reads: &reads, store: &shared{Store: s.store, read: func() {
		once.Do(func() { close(reading); <-resume })
	}}}
	var callers sync.WaitGroup
	callers.Go(func() {
		if v, err := c.head(t.Context(), acme); err != nil || v.Number != 0 {
			t.Errorf("first: %v, %v", v, err)
		}
	})
	<-reading
	s.change(s.store, func(tx kv.Tx) error { _, err := revision.Bump(tx, acme, at, sue); return err })
	const late = 50
	arrived := make(chan struct{}, late)
	for i := range late {
		organization := acme
		if i%2 == 1 {
			organization = "organizations/zeta"
		}
		callers.Go(func() {
			arrived <- struct{}{}
			v, err := c.head(t.Context(), organization)
			if want := int64(1 - i%2); err != nil || v.Number != want {
				t.Errorf("late %d: %v, %v", i, v, err)
			}
		})
	}
	for range late {
		<-arrived
	}
	close(resume)
	callers.Wait()
	if n := reads.Load(); n > late/2 {
		t.Errorf("%d reads for %d callers: they share none", n, late)
	}
}

// TestConfirmer_leaderThatPanicsLeavesNobodyWaiting: the interceptors turn a
// panic into one failed call, and it must stay one.
func TestConfirmer_leaderThatPanicsLeavesNobodyWaiting(t *testing.T) {
	s := newSuite(t, "bolt")
	var reads atomic.Int64
	var once sync.Once
	c := &confirmer{reads: &reads, store: &shared{Store: s.store, read: func() { once.Do(func() { panic("a damaged page") }) }}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic: the test proves nothing")
			}
		}()
		c.head(t.Context(), acme)
	}()
	if _, err := c.head(t.Context(), acme); err != nil {
		t.Error(err)
	}
}
