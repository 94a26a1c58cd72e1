package decision

import (
	"context"
	"time"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	// writeEvery is how long an answer waits for company, and writeBatch how
	// many of them one transaction writes.
	writeEvery = 100 * time.Millisecond
	writeBatch = 500
	// sweepEvery is how often entries past their time are looked for, and
	// sweepBatch how many of them one transaction deletes.
	sweepEvery = time.Minute
	sweepBatch = 500
	// lastWrite bounds the writes at the end of the process.
	lastWrite = 2 * time.Second
)

// Run writes what was recorded and deletes what is past its time, until ctx
// ends; what waits then is still written.
func (l *Log) Run(ctx context.Context) error {
	write, sweep := time.NewTicker(writeEvery), time.NewTicker(sweepEvery)
	defer write.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			l.flush(last)
			return nil
		case <-write.C:
			l.flush(ctx)
		case <-sweep.C:
			if _, err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Logger.WarnContext(ctx, "decisions past their time were not deleted; trying again", "error", err)
			}
		}
	}
}

// flush writes all that waits. What cannot be written is dropped: a log that
// waited for its store would grow, and checks go on.
func (l *Log) flush(ctx context.Context) {
	for {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			for _, d := range batch {
				if _, err := l.entries.Create(tx, d); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			l.dropped.Add(int64(len(batch)))
			l.cfg.Logger.WarnContext(ctx, "decisions were not logged", "decisions", len(batch), "error", err)
		}
	}
}

// take returns up to writeBatch of what waits, without waiting for any.
func (l *Log) take() []*permissionv1.Decision {
	var batch []*permissionv1.Decision
	for len(batch) < writeBatch {
		select {
		case a := <-l.queue:
			batch = append(batch, a.entry())
		default:
			return batch
		}
	}
	return batch
}

// Sweep deletes the entries past their time, and returns how many there were.
// Run does it every minute. Replicas may sweep at once.
func (l *Log) Sweep(ctx context.Context) (int, error) {
	end := l.cfg.Clock().Add(-l.cfg.Keep)
	for total := 0; ; {
		n, err := l.sweepOnce(ctx, end)
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}

// sweepOnce looks for entries in a read of its own, so that the transaction
// that deletes them scans no range that others add to.
func (l *Log) sweepOnce(ctx context.Context, end time.Time) (int, error) {
	var due []*permissionv1.Decision
	err := l.cfg.Store.View(ctx, func(r kv.Reader) error {
		due = nil
		for rec, err := range l.entries.Scan(r, kv.Query{Index: byTime, Until: kv.Key{kv.Time(end)}, Limit: sweepBatch}) {
			if err != nil {
				return err
			}
			due = append(due, rec.Value)
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return len(due), l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, d := range due {
			if err := l.forget(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// forget deletes an entry unless another replica has.
func (l *Log) forget(tx kv.Tx, d *permissionv1.Decision) error {
	key := keyOf(d)
	_, found, err := l.entries.Find(tx, key)
	if err != nil || !found {
		return err
	}
	_, err = l.entries.Delete(tx, key, "")
	return err
}
