package move

import (
	"context"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

// every is how often Run looks for ledgers whose time is over. None counts meanwhile.
const every = time.Minute

// Run removes the ledgers of moves that cannot be undone any more, now and every
// minute, until ctx ends. Replicas may do so at once.
func (v *Mover) Run(ctx context.Context) error {
	return rounds.Loop{
		Do: v.Once, Failed: "what is kept to undo moves was not removed; trying again", Logger: v.cfg.Logger, Every: every,
	}.Run(ctx)
}

// Once removes the ledgers that are due.
func (v *Mover) Once(ctx context.Context) error {
	q := kv.Query{Index: byEnd, Until: kv.Key{kv.Time(v.cfg.Clock())}, Limit: 100}
	for {
		var due kv.Page[*storev1.Move]
		err := v.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = v.cfg.Book.moves.List(r, q)
			return err
		})
		if err != nil {
			return err
		}
		for _, m := range due.Values() {
			if err := v.expire(ctx, m.GetReceipt().GetMerge()); err != nil {
				return err
			}
		}
		if q.After = due.Next; q.After == nil {
			return nil
		}
	}
}

// expire removes the ledger of a move that is still due.
func (v *Mover) expire(ctx context.Context, merge string) error {
	for more := true; more; {
		err := change.DoSystem(ctx, v.cfg.Journal, v.cfg.Service+".subjects.finalize", func(tx *change.Tx) error {
			tx.Unchanged() // the move has its entries
			more = false
			rec, found, err := v.cfg.Book.moves.Find(tx, key(merge))
			if err != nil || !found || rec.Value.GetStage() != moved || undoable(rec.Value, tx.Time) {
				return err
			}
			more, err = v.cfg.Book.finish(tx, rec.Value)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
