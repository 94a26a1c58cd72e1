package rounds_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"guildhall.dev/pkg/rounds"
)

// TestRun_failuresRestLongerAndAreNotTheLast: rests grow from Least to Most while
// rounds fail, nothing wakes them, and the first round that succeeds ends that.
func TestRun_failuresRestLongerAndAreNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var log strings.Builder
		var at []time.Duration
		began, wake := time.Now(), make(chan struct{}, 1)
		wake <- struct{}{}
		loop := rounds.Loop{
			Do: func(context.Context) error {
				if at = append(at, time.Since(began)); len(at) <= 8 {
					return errors.New("away")
				}
				if len(at) == 11 {
					stop()
				}
				return nil
			},
			Failed: "not done", Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Every: time.Second, Least: time.Second, Most: 4 * time.Second, Wake: wake,
		}
		if err := loop.Run(ctx); err != nil {
			t.Fatal(err)
		}
		// Jitter is half of a rest to either side.
		if first := at[1] - at[0]; first < 500*time.Millisecond || first > 1500*time.Millisecond {
			t.Errorf("the first rest was %v, want Least", first)
		}
		if last := at[8] - at[7]; last < 2*time.Second || last > 6*time.Second {
			t.Errorf("the last rest after a failure was %v, want Most", last)
		}
		if woken := at[9] - at[8]; woken != 0 {
			t.Errorf("what woke it rested %v after the first success, want none", woken)
		}
		if usual := at[10] - at[9]; usual != time.Second {
			t.Errorf("the rest after a success was %v, want Every", usual)
		}
		if n := strings.Count(log.String(), "not done"); n != 8 || !strings.Contains(log.String(), "away") {
			t.Errorf("the log is %q, want each failure", &log)
		}
	})
}

// TestRun_endsWithoutAWord: a round that ends with its context is no failure.
func TestRun_endsWithoutAWord(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var log strings.Builder
	loop := rounds.Loop{
		Do:     func(ctx context.Context) error { stop(); return ctx.Err() },
		Failed: "not done", Logger: slog.New(slog.NewTextHandler(&log, nil)), Every: time.Hour,
	}
	if err := loop.Run(ctx); err != nil || log.Len() > 0 {
		t.Errorf("%v, and the log is %q; want neither", err, &log)
	}
}
