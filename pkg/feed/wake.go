package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
)

// trimEvery is how often Run trims.
const trimEvery = time.Minute

// Notify tells the readers of this process at once, and those of others soon,
// that a transaction with events has committed. It does not block. Without it
// Run finds the events at its next poll.
func (l *Log) Notify() {
	l.broadcast()
	select {
	case l.announce <- struct{}{}:
	default: // a word for Redis is due already
	}
}

// Changed returns a channel that is closed when there may be new events. Take
// it before a Read, and wait on it when the Read found nothing.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *Log) broadcast() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Run does the background work until ctx ends: it finds events of other
// replicas, speaks to Redis, and trims. When it returns, streams of this log
// end too, so that their consumers go to another replica. Run it once.
func (l *Log) Run(ctx context.Context) error {
	defer l.stopOnce.Do(func() { close(l.stopping) })
	var wg sync.WaitGroup
	wg.Go(func() { l.poll(ctx) })
	wg.Go(func() { l.trimLoop(ctx) })
	if l.cfg.Redis != nil {
		wg.Go(func() { l.publish(ctx) })
		wg.Go(func() { l.subscribe(ctx) })
	}
	wg.Wait()
	return nil
}

// poll broadcasts when the heads have moved: one read for all the streams.
func (l *Log) poll(ctx context.Context) {
	ticker := time.NewTicker(l.cfg.Poll)
	defer ticker.Stop()
	var last []uint64
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var now bounds
		err := l.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			now, err = l.readBounds(r)
			return err
		})
		if err != nil {
			if !failing && ctx.Err() == nil {
				l.cfg.Logger.Warn("feed: cannot look for new events", "error", err)
			}
			failing = true
			continue
		}
		if failing || !slices.Equal(last, now.heads) {
			l.broadcast()
		}
		last, failing = now.heads, false
	}
}

func (l *Log) trimLoop(ctx context.Context) {
	_ = rounds.Loop{Do: l.trimRound, Failed: "feed: cannot trim", Logger: l.cfg.Logger, Every: trimEvery}.Run(ctx)
}

func (l *Log) trimRound(ctx context.Context) error {
	n, err := l.Trim(ctx)
	if err == nil && n > 0 {
		l.cfg.Logger.InfoContext(ctx, "feed: trimmed", "events", n)
	}
	return err
}

// channel is the Redis channel of the feed. What is said on it means nothing.
func (l *Log) channel() string { return "guildhall:feed:" + l.cfg.Service }

// publish tells Redis of commits, one word for all those since the last.
func (l *Log) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.announce:
		}
		// A lost word costs the other replicas one poll interval. The client
		// bounds the call by its own timeouts.
		if err := l.cfg.Redis.Publish(ctx, l.channel(), "").Err(); err != nil && ctx.Err() == nil {
			l.cfg.Logger.Debug("feed: cannot wake other replicas over Redis", "error", err)
		}
	}
}

// subscribe wakes the readers of this process when Redis says so. The client's
// channel checks the connection and connects again; a plain receive would
// neither notice a dead one nor end with ctx.
func (l *Log) subscribe(ctx context.Context) {
	sub := l.cfg.Redis.Subscribe(ctx, l.channel())
	words := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			if err := sub.Close(); err != nil {
				l.cfg.Logger.Debug("feed: cannot end the Redis subscription", "error", err)
			}
			return
		case _, open := <-words:
			if !open {
				return // the client was closed
			}
			l.broadcast()
		}
	}
}
