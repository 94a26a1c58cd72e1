// Package rounds repeats what a service does on its own: to look, again and again,
// whether there is something to do, and to do it.
//
// A round that fails is logged and never the last one. It does not know what is done,
// and how far: that is for a store to keep, so that a process may end at any time and
// replicas may be at it at once.
package rounds

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Loop is what is repeated, and when. Do, Failed, Every and Logger are required.
type Loop struct {
	// Do is a round.
	Do func(ctx context.Context) error
	// Failed is what the log says of a round that failed.
	Failed string
	Logger *slog.Logger
	// Every is the rest between a round and the next one.
	Every time.Duration
	// Least and Most bound the rest after rounds that failed, which grows from one
	// failure to the next and is jittered. Zero is Every.
	Least, Most time.Duration
	// Wake ends a rest, unless it is one after a failure; nil never does.
	Wake <-chan struct{}
}

// Run makes a round now, and rounds after rests until ctx ends. It returns nil.
func (l Loop) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = or(l.Least, l.Every), or(l.Most, l.Every)
	for {
		rest, wake := l.Every, l.Wake
		if err := l.Do(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			rest, wake = wait.NextBackOff(), nil
			l.Logger.WarnContext(ctx, l.Failed, "error", err, "wait", rest)
		} else {
			wait.Reset()
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-wake:
			timer.Stop()
		}
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
