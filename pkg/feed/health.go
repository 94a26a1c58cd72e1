package feed

import (
	"context"
	"errors"
	"io"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// Ready returns nil unless the consumer is stuck at an event that Handle
// refuses, or at a lost cursor, and then Unavailable (FEED_STUCK) with the
// reason as its cause. That the source is away is no reason: services start
// in any order, and two that follow each other would wait for each other.
// Lag and CaughtUp tell of that.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuck == nil {
		return nil
	}
	return errs.New(errs.Unavailable, "FEED_STUCK", "a change of another service cannot be applied", errs.Cause(c.stuck))
}

// Lag returns how late the consumer is: the age that the last event had when
// it took effect, zero after a heartbeat, plus, while there is no word from
// the source for longer than the idle time, the length of the silence. It is
// zero before the first word.
func (c *Consumer) Lag() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.contact.IsZero() {
		return 0
	}
	silence := c.cfg.Clock().Sub(c.contact)
	if c.stuck == nil && silence <= c.cfg.Idle {
		return c.lag
	}
	return c.lag + silence
}

// Heard returns when the last word of the source came; zero when there was none yet.
func (c *Consumer) Heard() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contact
}

// CaughtUp waits until everything that the source had committed when it was
// called has taken effect here, and returns nil, or an error when ctx ends or
// the source cannot be asked. The consumer must be running. One that waits
// before its next attempt waits no longer: the source was there to be asked.
func (c *Consumer) CaughtUp(ctx context.Context) error {
	end, err := c.end(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	behind := !c.applied.covers(end)
	c.mu.Unlock()
	if behind {
		select {
		case c.nudge <- struct{}{}:
		default:
		}
	}
	for {
		c.mu.Lock()
		done, moved := c.applied.covers(end), c.moved
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-moved:
		}
	}
}

// advance records that all up to a position has taken effect.
func (c *Consumer) advance(to position, events []*eventv1.Event) {
	now := c.cfg.Clock()
	c.mu.Lock()
	c.applied, c.contact, c.lag, c.stuck = to, now, 0, nil
	if n := len(events); n > 0 {
		c.lag = max(0, now.Sub(events[n-1].GetTime().AsTime()))
	}
	close(c.moved)
	c.moved = make(chan struct{})
	c.mu.Unlock()
	if len(events) > 0 && c.cfg.Applied != nil {
		c.cfg.Applied()
	}
}

// failed records the end of an attempt.
func (c *Consumer) failed(ctx context.Context, err error) {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, errBehind) {
		return // the source is shutting down, or a replica was quicker
	}
	var stuck *stuckError
	if errors.As(err, &stuck) {
		c.mu.Lock()
		c.stuck = stuck.cause
		c.mu.Unlock()
		c.cfg.Logger.Error("feed: stuck, trying again", "error", err)
	} else {
		c.cfg.Logger.Warn("feed: the stream broke, trying again", "error", err)
	}
	c.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("consumer", c.cfg.Name)))
}

func (c *Consumer) instrument() error {
	meter := c.cfg.Meter
	if meter == nil {
		meter = noop.Meter{}
	}
	var err error
	if c.failures, err = meter.Int64Counter("guildhall.feed.consumer.failures",
		metric.WithDescription("Attempts to follow a feed that ended in an error.")); err != nil {
		return err
	}
	_, err = meter.Float64ObservableGauge("guildhall.feed.consumer.lag", metric.WithUnit("s"),
		metric.WithDescription("How late events of another service take effect here."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(c.Lag().Seconds(), metric.WithAttributes(attribute.String("consumer", c.cfg.Name)))
			return nil
		}))
	return err
}
