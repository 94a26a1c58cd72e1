package lease

import (
	"context"
	"time"
)

// channel is the Redis channel of announcements. A word on it says that
// something has changed and nothing else, not even whose: it is the random id
// of the replica that speaks, so that it need not listen to itself.
const channel = "guildhall:permission:leases"

// rest is how long Redis is left alone after a failure.
const rest = time.Second

// announce has other replicas told that there is something to look for. It does
// not block, and several changes make one word.
func (k *Keeper) announce() {
	if k.cfg.Redis != nil && k.stats.others.Load() > 0 {
		nudge(k.words)
	}
}

// publish speaks to Redis until ctx ends. A lost word costs a renewal interval.
func (k *Keeper) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.words:
		}
		if err := k.cfg.Redis.Publish(ctx, channel, k.id).Err(); err != nil && ctx.Err() == nil {
			k.cfg.Logger.DebugContext(ctx, "changes cannot be announced over Redis", "error", err)
			sleep(ctx, rest)
		}
	}
}

// subscribe listens to Redis until ctx ends. Whatever comes, true or not, is a
// reason to look, and nothing more.
func (k *Keeper) subscribe(ctx context.Context) {
	sub := k.cfg.Redis.Subscribe(ctx, channel)
	words := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			if err := sub.Close(); err != nil {
				k.cfg.Logger.DebugContext(ctx, "the subscription to Redis cannot be ended", "error", err)
			}
			return
		case word, open := <-words:
			if !open {
				return // the client was closed
			}
			if word.Payload != k.id {
				nudge(k.wake)
			}
		}
	}
}

// sleep waits, but not past the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// nudge puts one into a channel that holds one, if there is none.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
