package usage

import (
	"context"
	"maps"
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

const (
	// writeBatch is how many uses one transaction writes.
	writeBatch = 500
	// sweepBatch is how many uses are looked at after each write.
	sweepBatch = 500
	// lastWrite bounds the write at the end of the process.
	lastWrite = 2 * time.Second
)

// Run writes what was noted at every interval, and once more when ctx ends.
func (u *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(u.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			u.log(last, u.Flush(last))
			return nil
		case <-tick.C:
		}
		u.log(ctx, u.Flush(ctx))
		u.log(ctx, u.sweep(ctx))
	}
}

func (u *Recorder) log(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		u.cfg.Logger.WarnContext(ctx, "the uses of grants were not written; trying again", "error", err)
	}
}

// Flush writes what was noted so far. What it cannot write it keeps.
func (u *Recorder) Flush(ctx context.Context) error {
	u.mu.Lock()
	noted := u.pending
	u.pending = make(map[string]int32)
	u.mu.Unlock()
	names := slices.Sorted(maps.Keys(noted))
	for batch := range slices.Chunk(names, writeBatch) {
		if err := u.write(ctx, batch, noted); err != nil {
			u.giveBack(noted)
			return err
		}
		for _, name := range batch {
			delete(noted, name)
		}
	}
	return nil
}

// giveBack keeps notes for the next write.
func (u *Recorder) giveBack(noted map[string]int32) {
	for name, day := range noted {
		u.add(name, day)
	}
}

// write stores the uses of grants that are still there. Another replica may
// have stored them, or later ones, already.
func (u *Recorder) write(ctx context.Context, names []string, noted map[string]int32) error {
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = keyOf(name)
	}
	return u.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		grants, err := u.cfg.Grants.GetMany(tx, names)
		if err != nil {
			return err
		}
		stored, err := u.uses.GetMany(tx, keys)
		if err != nil {
			return err
		}
		for i, name := range names {
			day := noted[name]
			if grants[i] == nil || stored[i].Found() && stored[i].Value.GetDay() >= day {
				continue
			}
			if _, err := u.uses.Put(tx, &storev1.GrantUse{Grant: name, Day: day}, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweep looks at the next uses, in the order of their keys, and deletes those
// of grants that are gone. So grants need not know of their uses.
func (u *Recorder) sweep(ctx context.Context) error {
	var gone []string
	var next []byte
	err := u.cfg.Store.View(ctx, func(r kv.Reader) error {
		page, err := u.uses.List(r, kv.Query{After: u.swept, Limit: sweepBatch})
		if err != nil {
			return err
		}
		names := make([]string, len(page.Records))
		for i, rec := range page.Records {
			names[i] = rec.Value.GetGrant()
		}
		gone, err = u.missing(r, names)
		next = page.Next
		return err
	})
	if err != nil || len(gone) == 0 {
		u.swept = next
		return err
	}
	u.swept = next
	return u.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		// Once more: a grant of the name may have been made since.
		still, err := u.missing(tx, gone)
		if err != nil {
			return err
		}
		for _, name := range still {
			if _, err := u.uses.Delete(tx, keyOf(name), ""); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
		}
		return nil
	})
}

// missing returns the names of which there is no grant.
func (u *Recorder) missing(r kv.Reader, names []string) ([]string, error) {
	grants, err := u.cfg.Grants.GetMany(r, names)
	if err != nil {
		return nil, err
	}
	var missing []string
	for i, g := range grants {
		if g == nil {
			missing = append(missing, names[i])
		}
	}
	return missing, nil
}
