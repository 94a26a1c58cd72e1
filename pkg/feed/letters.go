package feed

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

func letterKey(consumer string, e *eventv1.Event) ([]byte, error) {
	return encode(kv.Key{kv.String(consumer), kv.Uint64(uint64(e.GetPartition())), kv.Uint64(e.GetSequence())})
}

// park keeps an event as a dead letter.
func (c *Consumer) park(tx kv.Tx, e *eventv1.Event) error {
	key, err := letterKey(c.cfg.Name, e)
	if err != nil {
		return err
	}
	row, err := proto.Marshal(e)
	if err != nil {
		return internal("encode a dead letter: %w", err)
	}
	return tx.Put(tableLetters, key, row)
}

// letters returns the first dead letters of the consumer.
func (c *Consumer) letters(r kv.Reader, limit int) ([]*eventv1.Event, error) {
	prefix, err := c.cursorKey()
	if err != nil {
		return nil, err
	}
	rng := kv.Prefix(prefix)
	rng.Limit = limit
	var events []*eventv1.Event
	for item, err := range r.Scan(tableLetters, rng) {
		if err != nil {
			return nil, err
		}
		e := new(eventv1.Event)
		if err := proto.Unmarshal(item.Value, e); err != nil {
			return nil, corrupt("a dead letter of consumer %s: %w", c.cfg.Name, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// Parked returns the first events that the consumer has parked, by partition
// and sequence, at most limit; zero is all.
func (c *Consumer) Parked(ctx context.Context, limit int) ([]*eventv1.Event, error) {
	var events []*eventv1.Event
	err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		events, err = c.letters(r, limit)
		return err
	})
	return events, err
}

// Redrive gives the parked events to Handle again, each in a transaction of
// its own, and removes those that succeed. It returns how many did, and the
// first error; the event it belongs to and those behind it stay parked.
func (c *Consumer) Redrive(ctx context.Context) (int, error) {
	total := 0
	for {
		found := false
		err := c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			events, err := c.letters(tx, 1)
			found = len(events) > 0
			if err != nil || !found {
				return err
			}
			if err := c.cfg.Handle(tx, events[0]); err != nil {
				return err
			}
			key, err := letterKey(c.cfg.Name, events[0])
			if err != nil {
				return err
			}
			return tx.Delete(tableLetters, key)
		})
		if err != nil || !found {
			return total, err
		}
		total++
	}
}
