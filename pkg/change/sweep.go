package change

import (
	"context"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
)

// The sweep of answers that are past their time.
const (
	sweepEvery = time.Minute
	sweepBatch = 500
)

func (j *Journal) sweepLoop(ctx context.Context) error {
	return rounds.Loop{
		Do:     func(ctx context.Context) error { _, err := j.Sweep(ctx); return err },
		Failed: "change: cannot sweep request ids", Logger: j.cfg.Logger, Every: sweepEvery,
	}.Run(ctx)
}

// Sweep removes the answers to request ids that are past Config.Keep, and
// returns how many there were. Run does it every minute. Replicas may sweep at
// once.
func (j *Journal) Sweep(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := j.sweepOnce(ctx)
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}

func (j *Journal) sweepOnce(ctx context.Context) (int, error) {
	now := j.now()
	// An answer that ends now is past its time, and the end of a range is not
	// in it.
	end, err := kv.Key{kv.Time(now.Add(1))}.Encode(nil, nil, "")
	if err != nil {
		return 0, err
	}
	due, err := j.due(ctx, end)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return len(due), j.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, raw := range due {
			if err := forget(tx, raw, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// due returns expiries before end. It is a read of its own, so that the
// transaction which removes them scans no range that mutations add to.
func (j *Journal) due(ctx context.Context, end []byte) ([][]byte, error) {
	var due [][]byte
	err := j.cfg.Store.View(ctx, func(r kv.Reader) error {
		due = nil
		for item, err := range r.Scan(tableExpiries, kv.Range{End: end, Limit: sweepBatch}) {
			if err != nil {
				return err
			}
			due = append(due, item.Key)
		}
		return nil
	})
	return due, err
}

// forget removes an expiry and its answer, unless the id has been used again
// since and has a later answer.
func forget(tx kv.Tx, raw []byte, now time.Time) error {
	expiry, err := kv.DecodeKey(raw)
	if err != nil || len(expiry) < 2 {
		return internal("an expiry of unknown format: %w", err)
	}
	key, err := expiry[1:].Encode(nil, nil, "")
	if err != nil {
		return err
	}
	row, err := tx.Get(tableAnswers, key)
	if err != nil {
		return err
	}
	if row != nil {
		expires, _, _, err := parseAnswer(row)
		if err != nil {
			return err
		}
		if !now.Before(expires) {
			if err := tx.Delete(tableAnswers, key); err != nil {
				return err
			}
		}
	}
	return tx.Delete(tableExpiries, raw)
}
