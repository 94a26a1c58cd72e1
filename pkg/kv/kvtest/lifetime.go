package kvtest

import (
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func lifetimeTests() map[string]test {
	return map[string]test{
		"PingOfAnOpenStore":            testPing,
		"TransactionDiesWithClosure":   testOutlived,
		"CloseWaitsForTransactions":    testCloseWaits,
		"ClosedStoreRefusesEverything": testClosed,
	}
}

func testPing(t *testing.T, s kv.Store) {
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func testOutlived(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1")
	var reader kv.Reader
	var tx kv.Tx
	view(t, s, func(r kv.Reader) error { reader = r; return nil })
	update(t, s, func(x kv.Tx) error { tx = x; return nil })
	_, viewErr := reader.Get(words, []byte("a"))
	_, scanErr := scan(reader, words, kv.Range{})
	for name, err := range map[string]error{
		"Get": viewErr, "Scan": scanErr, "Put": tx.Put(words, []byte("a"), nil), "Delete": tx.Delete(words, []byte("a")),
	} {
		if errs.ReasonOf(err) != kv.ReasonMisuse {
			t.Errorf("%s after the closure returned: %v, want %s", name, err, kv.ReasonMisuse)
		}
	}
	wantItems(t, s, words, "a", "1")
}

// testCloseWaits closes the store while a View and an Update are inside. Both
// must get through, and Close must come after them.
func testCloseWaits(t *testing.T, s kv.Store) {
	entered := make(chan struct{}, 2)
	leave := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.View(t.Context(), func(r kv.Reader) error {
			entered <- struct{}{}
			<-leave
			_, err := r.Get(words, []byte("a"))
			return err
		})
		if err != nil {
			t.Errorf("View across Close: %v", err)
		}
	})
	wg.Go(func() {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			entered <- struct{}{}
			<-leave
			return tx.Put(words, []byte("a"), nil)
		})
		if err != nil {
			t.Errorf("Update across Close: %v", err)
		}
	})
	<-entered
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for errs.ReasonOf(s.Ping(t.Context())) != kv.ReasonClosed {
		// Close has not shut the door yet.
	}
	select {
	case err := <-closed:
		t.Errorf("Close returned %v with two transactions inside", err)
	default:
	}
	close(leave)
	wg.Wait()
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func testClosed(t *testing.T, s kv.Store) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	for name, err := range map[string]error{
		"View":     s.View(t.Context(), func(kv.Reader) error { return nil }),
		"Update":   s.Update(t.Context(), func(kv.Tx) error { return nil }),
		"Ping":     s.Ping(t.Context()),
		"Snapshot": s.Snapshot(t.Context(), nil),
	} {
		if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != kv.ReasonClosed {
			t.Errorf("%s = %v, want Unavailable %s", name, err, kv.ReasonClosed)
		}
	}
}
