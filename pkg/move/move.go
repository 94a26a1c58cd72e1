// Package move moves what a service keeps of one customer to another, since both are
// accounts of one person, and brings it back when that was a mistake.
//
//	nothing ──▶ MOVING ──no kind has more──▶ MOVED ──keep_until──▶ FINAL
//	   │          │ undo                       │ undo                ▲
//	   │          ▼                            │                     │ either account
//	   │       UNDOING ◀───────────────────────┘                     │ is erased
//	   │ undo     │ no line is left                 MOVING, MOVED, UNDOING
//	   └──────────┴──▶ UNDONE
//
// A person may have thousands of records, a process may end in the middle, and who
// asked may ask again: so each round is a transaction of its own with its part of the
// receipt, a second call goes on where the store says, and one after the end returns
// the receipt that there is. What a service keeps of people it says itself, as Kinds;
// the package knows none of it.
//
// Each record that is moved has a line in a ledger, which says what of it was moved
// and no more. To undo a move is to go through the ledger from the end: what the
// survivor had itself, or has got since, is in no line and stays. A record that was
// changed since comes back as it is now; one that is gone, or is another one of the
// same name, is left alone. The ledger is kept until keep_until, or until one of the
// two accounts is erased; from then on nothing can be undone.
//
// From the first round on nothing is to be written under the duplicate's name any
// more: what was under way, or comes late, is refused by Book.Refuse, which a service
// asks in the transaction of whatever would do that. Such a transaction and a round
// conflict in the store, so that the round sees what it wrote, or it is refused.
package move

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
)

const (
	moving  = storev1.Move_STAGE_MOVING
	moved   = storev1.Move_STAGE_MOVED
	undoing = storev1.Move_STAGE_UNDOING
	undone  = storev1.Move_STAGE_UNDONE
	final   = storev1.Move_STAGE_FINAL
)

// Indexes of the tables.
const (
	byParty  = "party"
	byEnd    = "end"
	byFormer = "former" // of the ledger
)

// Book keeps moves and their ledgers. It is safe for concurrent use.
//
//	moves           merge -> Move
//	moves__party    either account            of those with a ledger
//	moves__end      keep_until                of those that are moved
//	move_lines      merge, number -> MoveLine
//	move_lines__former  merge, former name    of what has got another one
//	merged_subjects account that was moved from -> Merged, until it is undone
type Book struct {
	moves  *kv.Table[*storev1.Move]
	lines  *kv.Table[*storev1.MoveLine]
	merged *kv.Table[*storev1.Merged]
}

// New returns a book. It does no I/O.
func New() *Book {
	return &Book{
		moves: kv.NewTable(kv.TableConfig[*storev1.Move]{
			Name: "moves", Key: func(v *storev1.Move) kv.Key { return key(v.GetReceipt().GetMerge()) },
			Indexes: []kv.Index[*storev1.Move]{{Name: byParty, Keys: parties}, {Name: byEnd, Keys: ends}},
		}),
		lines: kv.NewTable(kv.TableConfig[*storev1.MoveLine]{
			Name: "move_lines", Key: func(l *storev1.MoveLine) kv.Key { return key(l.GetMerge()).With(kv.Int64(l.GetNumber())) },
			Indexes: []kv.Index[*storev1.MoveLine]{{Name: byFormer, Keys: func(l *storev1.MoveLine) []kv.Key {
				if l.GetFormerName() == "" {
					return nil
				}
				return []kv.Key{key(l.GetMerge()).With(kv.String(l.GetFormerName()))}
			}}},
		}),
		merged: kv.NewTable(kv.TableConfig[*storev1.Merged]{
			Name: "merged_subjects", Key: func(m *storev1.Merged) kv.Key { return key(m.GetAccount()) },
		}),
	}
}

func key(name string) kv.Key { return kv.Key{kv.String(name)} }

// parties are both accounts of a move that has a ledger, or may yet.
func parties(v *storev1.Move) []kv.Key {
	if s := v.GetStage(); s == undone || s == final {
		return nil
	}
	return []kv.Key{key(v.GetReceipt().GetFrom()), key(v.GetReceipt().GetTo())}
}

// ends is when the ledger of a move goes. One that may not be undone has none.
func ends(v *storev1.Move) []kv.Key {
	if v.GetStage() != moved {
		return nil
	}
	return []kv.Key{{kv.Time(v.GetKeepUntil().AsTime())}}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return append(append(b.moves.Tables(), b.lines.Tables()...), b.merged.Tables()...)
}

// Refuse returns Precondition (CUSTOMER_MERGED) when one of the subjects was merged
// into another, from the first round on and until that is undone. It does not say
// into which: who asks may not be one to know. An empty subject is none.
func (b *Book) Refuse(r kv.Reader, subjects ...string) error {
	for _, subject := range subjects {
		if subject == "" {
			continue
		}
		if _, found, err := b.merged.Find(r, key(subject)); err != nil {
			return err
		} else if found {
			return errs.New(errs.Precondition, "CUSTOMER_MERGED", "the customer was merged into another account; ask for that one")
		}
	}
	return nil
}

// Survivor returns into which account another one is merged, and the line of what that
// had under a name, for a change of it that comes late. They are "" when it is merged
// into none, and nil when there is no such line, or none any more.
func (b *Book) Survivor(r kv.Reader, account, formerName string) (to string, line *storev1.MoveLine, err error) {
	rec, found, err := b.merged.Find(r, key(account))
	if err != nil || !found {
		return "", nil, err
	}
	merge := key(rec.Value.GetMerge())
	of, err := b.moves.Get(r, merge)
	if err != nil {
		return "", nil, err
	}
	p, err := b.lines.List(r, kv.Query{Index: byFormer, Prefix: merge.With(kv.String(formerName)), Limit: 1})
	if err != nil || len(p.Records) == 0 {
		return of.Value.GetReceipt().GetTo(), nil, err
	}
	return of.Value.GetReceipt().GetTo(), p.Records[0].Value, nil
}

// Amend changes what a line of Survivor's brings back.
func (b *Book) Amend(tx kv.Tx, line *storev1.MoveLine) error {
	_, err := b.lines.Update(tx, line, "")
	return err
}

// eraseChunk is how many lines one transaction removes.
const eraseChunk = 500

// Erase removes some of the ledgers that name an account; see erasure.Step. What was
// moved to it is its own by now, and is erased where it is; what was moved from it
// is the survivor's. The moves become final: their receipts stay, as those of erasures
// do, and hold nothing but names and counts.
func (b *Book) Erase(tx *change.Tx, account string) (more bool, err error) {
	p, err := b.moves.List(tx, kv.Query{Index: byParty, Prefix: key(account), Limit: 1})
	if err != nil {
		return false, err
	}
	for _, v := range p.Values() {
		left, err := b.finish(tx, v)
		if err != nil || left {
			return left, err
		}
	}
	return p.Next != nil, nil
}

// finish removes some of the ledger of a move, makes it final once none of it is
// left, and reports whether there is more.
func (b *Book) finish(tx kv.Tx, v *storev1.Move) (more bool, err error) {
	more, err = b.lines.RemoveAll(tx, kv.Query{Prefix: key(v.GetReceipt().GetMerge()), Limit: eraseChunk})
	if err != nil || more {
		return more, err
	}
	v.Stage, v.KeepUntil = final, nil
	_, err = b.moves.Update(tx, v, "")
	return false, err
}

// Is reports whether a record that was made at a time is the one of a line.
func Is(l *storev1.MoveLine, made *timestamppb.Timestamp) bool {
	return l.GetCreateTime().AsTime().Equal(made.AsTime())
}

// undoable reports whether a move can be undone at a time: one that is under way
// whenever it keeps a ledger.
func undoable(v *storev1.Move, now time.Time) bool {
	if v.GetKeepUntil() == nil || v.GetStage() == final {
		return false
	}
	return v.GetStage() != moved || now.Before(v.GetKeepUntil().AsTime())
}
