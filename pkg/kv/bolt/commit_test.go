package bolt_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/bolt"
	"guildhall.dev/pkg/kv/kvtest"
)

// hold runs an Update that keeps its turn until release is called.
func hold(t *testing.T, s *bolt.Store) (release func()) {
	t.Helper()
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Update(t.Context(), func(tx kv.Tx) error {
			close(inside)
			<-leave
			return tx.Put("words", []byte("holder"), nil)
		})
	}()
	<-inside
	return func() {
		close(leave)
		if err := <-done; err != nil {
			t.Errorf("the Update that held the turn: %v", err)
		}
	}
}

func TestUpdate_waitingUpdatesShareOneCommit(t *testing.T) {
	const waiting = 20
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	s, err := bolt.Open(t.Context(), t.TempDir(), kv.Options{
		Name: "test", Tables: kvtest.Tables(), Meter: provider.Meter("test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range waiting {
		wg.Go(func() {
			if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put("words", []byte{byte(i)}, nil) }); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	for bolt.Waiting(s) < waiting {
		// They are on their way into the queue.
	}
	release()
	wg.Wait()
	if commits, updates := committed(t, reader); commits != 1 || updates != waiting+1 {
		t.Errorf("%d updates in %d commits, want %d in one", updates, commits, waiting+1)
	}
}

// committed returns the count and the sum of the metric of updates a commit.
func committed(t *testing.T, reader sdk.Reader) (commits uint64, updates int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Histogram[int64]); ok && m.Name == "guildhall.kv.commit.updates" {
				return data.DataPoints[0].Count, data.DataPoints[0].Sum
			}
		}
	}
	t.Fatal("the metric guildhall.kv.commit.updates is missing")
	return 0, 0
}

func TestUpdate_callerThatGivesUpWhileWaitingIsDropped(t *testing.T) {
	s := open(t, t.TempDir())
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Update(ctx, func(tx kv.Tx) error {
			t.Error("the closure ran")
			return nil
		})
	}()
	for bolt.Waiting(s) == 0 {
		// It is on its way into the queue.
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errs.Is(err, errs.Canceled) {
		t.Errorf("Update = %v, want Canceled while the turn is another's", err)
	}
	release()
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put("words", []byte("a"), nil) }); err != nil {
		t.Errorf("Update after a dropped one: %v", err)
	}
}

func TestUpdate_laterOfABatchSeesTheEarlier(t *testing.T) {
	s := open(t, t.TempDir())
	release := hold(t, s)
	done := make(chan error, 1)
	go func() {
		done <- s.Update(t.Context(), func(tx kv.Tx) error {
			got, err := tx.Get("words", []byte("holder"))
			if got == nil {
				t.Error("the write of an earlier update of the batch is not seen")
			}
			return err
		})
	}()
	for bolt.Waiting(s) == 0 {
		// It is on its way into the queue.
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
