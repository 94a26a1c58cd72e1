package kvtest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func transactionTests() map[string]test {
	return map[string]test{
		"ErrorOfTheClosureComesBackUnchanged": testErrorIdentity,
		"AbortLeavesNothing":                  testAbort,
		"PanicReachesItsCallerOnly":           testPanic,
		"GoexitEndsItsCallerOnly":             testGoexit,
		"ReadsSeeOwnWrites":                   testOwnWrites,
		"ViewKeepsItsSnapshot":                testViewSnapshot,
		"ViewCannotWrite":                     testViewReadOnly,
		"EndedContextRunsNothing":             testEndedContext,
		"ContextThatEndsInsideStopsReads":     testContextInside,
		"CommitIsSeenAtOnce":                  testReadAfterWrite,
	}
}

var errAbort = errors.New("the closure says no")

func testErrorIdentity(t *testing.T, s kv.Store) {
	if err := s.Update(t.Context(), func(kv.Tx) error { return errAbort }); err != errAbort {
		t.Errorf("Update = %v, want the closure's error itself", err)
	}
	if err := s.View(t.Context(), func(kv.Reader) error { return errAbort }); err != errAbort {
		t.Errorf("View = %v, want the closure's error itself", err)
	}
	taken := errs.New(errs.Exists, "NAME_TAKEN", "the name is taken")
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if _, err := tx.Get(words, []byte("a")); err != nil {
			return err
		}
		return taken
	})
	if err != taken {
		t.Errorf("Update that read = %v, want the closure's error itself", err)
	}
}

func testAbort(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2")
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := putPairs(tx, words, "a", "9", "c", "9"); err != nil {
			return err
		}
		if err := tx.Put(marks, []byte("m"), nil); err != nil {
			return err
		}
		if err := tx.Delete(words, []byte("b")); err != nil {
			return err
		}
		return errAbort
	})
	if !errors.Is(err, errAbort) {
		t.Errorf("Update = %v", err)
	}
	wantItems(t, s, words, "a", "1", "b", "2")
	wantItems(t, s, marks)
}

// testPanic panics while others commit: they must not be drawn in.
func testPanic(t *testing.T, s kv.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put(words, number(i), nil) }); err != nil {
				t.Errorf("Update beside a panic: %v", err)
			}
		})
		wg.Go(func() {
			defer func() {
				if p := recover(); p != "closure" {
					t.Errorf("recovered %v, want the closure's panic", p)
				}
			}()
			_ = s.Update(t.Context(), func(tx kv.Tx) error {
				if err := tx.Put(marks, number(i), nil); err != nil {
					return err
				}
				panic("closure")
			})
			t.Error("Update returned from a panic")
		})
	}
	wg.Wait()
	wantItems(t, s, marks)
	view(t, s, func(r kv.Reader) error {
		got, err := scan(r, words, kv.Range{})
		if len(got) != 16 {
			t.Errorf("%d of 8 updates took effect beside panics", len(got)/2)
		}
		return err
	})
}

// testGoexit ends a goroutine inside a closure, as t.Fatal does.
func testGoexit(t *testing.T, s kv.Store) {
	for _, run := range []func(){
		func() {
			_ = s.Update(t.Context(), func(tx kv.Tx) error {
				_ = tx.Put(words, []byte("a"), nil)
				runtime.Goexit()
				return nil
			})
		},
		func() {
			_ = s.View(t.Context(), func(r kv.Reader) error {
				runtime.Goexit()
				return nil
			})
		},
	} {
		var wg sync.WaitGroup
		wg.Go(run)
		wg.Wait()
	}
	put(t, s, marks, "after", "")
	wantItems(t, s, words)
	wantItems(t, s, marks, "after", "")
}

func testOwnWrites(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1")
	update(t, s, func(tx kv.Tx) error {
		for _, step := range []struct{ value, want string }{{"2", "2"}, {"", ""}, {"-", ""}, {"3", "3"}} {
			var err error
			if step.value == "-" {
				err = tx.Delete(words, []byte("a"))
			} else {
				err = tx.Put(words, []byte("a"), []byte(step.value))
			}
			if err != nil {
				return err
			}
			got, err := tx.Get(words, []byte("a"))
			if err != nil {
				return err
			}
			if string(got) != step.want || (got == nil) != (step.value == "-") {
				t.Errorf("after %q: Get = %#v", step.value, got)
			}
		}
		return nil
	})
	wantItems(t, s, words, "a", "3")
}

func testViewSnapshot(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "1")
	view(t, s, func(r kv.Reader) error {
		if _, err := r.Get(words, []byte("a")); err != nil { // the snapshot begins here
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx kv.Tx) error { return putPairs(tx, words, "a", "2", "b", "2", "c", "2") })
			if err != nil {
				t.Errorf("Update beside a View: %v", err)
			}
		})
		wg.Wait()
		got, err := scan(r, words, kv.Range{})
		wantPairs(t, got, "a", "1", "b", "1")
		return err
	})
	wantItems(t, s, words, "a", "2", "b", "2", "c", "2")
}

func testViewReadOnly(t *testing.T, s kv.Store) {
	view(t, s, func(r kv.Reader) error {
		if _, ok := r.(kv.Tx); ok {
			t.Error("the reader of a View is a kv.Tx")
		}
		return nil
	})
}

func testEndedContext(t *testing.T, s kv.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"View":   s.View(ctx, func(kv.Reader) error { t.Error("View ran"); return nil }),
		"Update": s.Update(ctx, func(kv.Tx) error { t.Error("Update ran"); return nil }),
		"Ping":   s.Ping(ctx),
	} {
		if !errors.Is(err, context.Canceled) || !errs.Is(err, errs.Canceled) {
			t.Errorf("%s = %v, want Canceled", name, err)
		}
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err := s.Update(late, func(kv.Tx) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) || !errs.Is(err, errs.DeadlineExceeded) {
		t.Errorf("Update = %v, want DeadlineExceeded", err)
	}
}

func testContextInside(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2", "c", "3")
	inside := func(ctx context.Context, cancel func(), r kv.Reader) error {
		for _, err := range r.Scan(words, kv.Range{}) {
			if err != nil {
				return err
			}
			cancel()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.View(ctx, func(r kv.Reader) error { return inside(ctx, cancel, r) }); !errors.Is(err, context.Canceled) {
		t.Errorf("View = %v, want Canceled", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if err := s.Update(ctx, func(tx kv.Tx) error { return inside(ctx, cancel, tx) }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v, want Canceled", err)
	}
	put(t, s, marks, "after", "")
	wantItems(t, s, marks, "after", "")
}

func testReadAfterWrite(t *testing.T, s kv.Store) {
	for i := range 50 {
		put(t, s, words, "a", string(number(i)))
		wantItems(t, s, words, "a", string(number(i)))
	}
}
