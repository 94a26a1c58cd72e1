package move

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/subject/store/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Kind is one kind of records that a service keeps of people.
type Kind struct {
	// Name is that of the table where it can be, as in "messages": in receipts, and in
	// lines.
	Name string
	// Move moves some of what there is under m.From to m.To, gives m.Note a line for
	// each record, and reports whether there is more, for another transaction. It
	// finds nothing in what is moved.
	Move func(m *Move) (more bool, err error)
	// Back undoes a line, and reports whether there was something to undo: the record
	// is there, and what was moved in it is still the survivor's.
	Back func(m *Move, line *storev1.MoveLine) (done bool, err error)
}

// Move is one round of a move, in a transaction.
type Move struct {
	*change.Tx
	// Merge is the record in whose name, From the duplicate, To the survivor.
	Merge, From, To string

	book   *Book
	record *storev1.Move
	counts map[string]int64
}

// Note counts a record that was moved, and keeps the line: kind, name, and whatever
// Back needs, which is nothing when the move can not be undone.
func (m *Move) Note(line *storev1.MoveLine) error {
	m.counts[line.GetKind()]++
	if m.record.GetKeepUntil() == nil {
		return nil
	}
	m.record.Lines++
	line.Merge, line.Number = m.Merge, m.record.GetLines()
	_, err := m.book.lines.Create(m, line)
	return err
}

// Renamed returns the name that a resource of an account has as one of another: the
// same, below the other account. When that is taken, as by a choice of a client's,
// it ends in eight digits that follow from the merge.
func (m *Move) Renamed(name string, taken func(name string) (bool, error)) (string, error) {
	name = m.To + strings.TrimPrefix(name, m.From)
	is, err := taken(name)
	if err != nil || !is {
		return name, err
	}
	sum := sha256.Sum256([]byte(m.Merge))
	const most = 63 // of an id, AIP-122
	id := name[strings.LastIndexByte(name, '/')+1:]
	parent := strings.TrimSuffix(name, id)
	return parent + strings.TrimRight(id[:min(len(id), most-9)], "-") + "-" + hex.EncodeToString(sum[:4]), nil
}

// Place is a field of a record that names an account, or something below one: its
// path, as in "sender" or "history.2.actor", and where it is.
type Place struct {
	Path string
	At   *string
}

// Replace has those of the places that name the duplicate name the survivor, and
// returns their paths, for a line.
func (m *Move) Replace(places []Place) (paths []string) {
	for _, p := range places {
		if rest, of := below(*p.At, m.From); of {
			*p.At, paths = m.To+rest, append(paths, p.Path)
		}
	}
	return paths
}

// Restore undoes Replace in those of the places that the line names, and reports
// whether one of them still named the survivor.
func (m *Move) Restore(line *storev1.MoveLine, places []Place) (done bool) {
	for _, p := range places {
		if rest, of := below(*p.At, m.To); of && slices.Contains(line.GetPlaces(), p.Path) {
			*p.At, done = m.From+rest, true
		}
	}
	return done
}

// below returns what follows the account in a name, and whether it is the account's
// or of something below it.
func below(name, account string) (rest string, of bool) {
	rest, of = strings.CutPrefix(name, account)
	return rest, of && (rest == "" || rest[0] == '/')
}

// Config says what a Mover needs, all of it.
type Config struct {
	// Service is the short name of the service, as in "groupchat".
	Service string
	Book    *Book
	// Erasures are those of the service: nothing is moved to who is erased.
	Erasures *erasure.Book
	Journal  *change.Journal
	Store    kv.Store
	// Kinds are all that the service moves, in the order in which it does.
	Kinds  []Kind
	Logger *slog.Logger
	Clock  func() time.Time
}

// Mover moves. It is safe for concurrent use.
type Mover struct{ cfg Config }

// NewMover returns a mover. Start Run for what is final.
func NewMover(cfg Config) *Mover { return &Mover{cfg} }

// Move moves what there is, or brings it back, and returns the receipt: the same one
// on each call once all is. It goes on until then or until ctx ends; what it has done
// stays done, and the next call goes on. Errors are Precondition: MERGE_MISMATCH when
// the merge is known with other accounts, MERGE_UNDONE of a move that was undone,
// MERGE_FINAL of one that cannot be any more, CUSTOMER_ERASED, and CUSTOMER_MERGED
// when one of the two was merged into yet another account.
func (v *Mover) Move(ctx context.Context, req *subjectv1.MoveSubjectRequest) (*subjectv1.MoveReceipt, error) {
	for {
		receipt, err := v.round(ctx, req)
		if err != nil || receipt.GetCompleteTime() != nil {
			return receipt, err
		}
	}
}

// round moves, or brings back, some.
func (v *Mover) round(ctx context.Context, req *subjectv1.MoveSubjectRequest) (receipt *subjectv1.MoveReceipt, err error) {
	action := v.cfg.Service + ".subjects.move"
	if req.GetUndo() {
		action = v.cfg.Service + ".subjects.restore"
	}
	err = change.DoSystem(ctx, v.cfg.Journal, action, func(tx *change.Tx) error {
		tx.Unchanged() // unless a kind records something
		record, begins, err := v.open(tx, req)
		if err != nil {
			return err
		}
		if receipt = record.GetReceipt(); receipt.GetCompleteTime() != nil {
			return nil
		}
		m := &Move{
			Tx: tx, Merge: req.GetMerge(), From: req.GetFrom(), To: req.GetTo(),
			book: v.cfg.Book, record: record, counts: map[string]int64{},
		}
		if err := v.refuse(m); err != nil {
			return err
		}
		if begins {
			// The entries of all that the move changes: what that is, the ledger says.
			tx.Record(change.Change{Resource: m.From})
			tx.Record(change.Change{Resource: m.To})
		}
		if record.GetStage() == moving {
			err = v.forward(m)
		} else {
			err = v.back(m)
		}
		if err != nil {
			return err
		}
		add(receipt, m.counts)
		_, err = v.cfg.Book.moves.Put(tx, record, "")
		return err
	})
	return receipt, err
}

// open returns the move as this call goes on with it: a copy, in the stage that the
// call brings it to, and whether it begins there. Its receipt is complete when there
// is nothing to do.
func (v *Mover) open(tx *change.Tx, req *subjectv1.MoveSubjectRequest) (record *storev1.Move, begins bool, err error) {
	old, found, err := v.cfg.Book.moves.Find(tx, key(req.GetMerge()))
	if err != nil {
		return nil, false, err
	}
	fresh := &subjectv1.MoveReceipt{
		Service: v.cfg.Service, Merge: req.GetMerge(), From: req.GetFrom(), To: req.GetTo(),
		Undone: req.GetUndo(), BeginTime: timestamppb.New(tx.Time),
	}
	if !found {
		stage := moving
		if req.GetUndo() { // and no move comes after it
			stage = undoing
		}
		return &storev1.Move{Receipt: fresh, Stage: stage, KeepUntil: req.GetKeepUntil()}, true, nil
	}
	record = proto.CloneOf(old.Value)
	if r := record.GetReceipt(); r.GetFrom() != req.GetFrom() || r.GetTo() != req.GetTo() {
		return nil, false, errs.New(errs.Precondition, "MERGE_MISMATCH", "the merge is one of other accounts; send those that it began with")
	}
	stage := record.GetStage()
	backwards := stage == undoing || stage == undone
	switch {
	case backwards == req.GetUndo():
		return record, false, nil
	case backwards:
		return nil, false, errs.New(errs.Precondition, "MERGE_UNDONE", "the merge was undone; merge the accounts anew")
	case !undoable(record, tx.Time):
		return nil, false, errs.New(errs.Precondition, "MERGE_FINAL", "the merge cannot be undone any more")
	}
	record.Receipt, record.Stage = fresh, undoing
	return record, true, nil
}

// refuse returns why a round may not be: somebody is erased, the survivor was merged
// itself, or the duplicate was, in another merge.
func (v *Mover) refuse(m *Move) error {
	if err := v.cfg.Erasures.Refuse(m, m.From, m.To); err != nil {
		return err
	}
	if err := v.cfg.Book.Refuse(m, m.To); err != nil {
		return err
	}
	merged, found, err := v.cfg.Book.merged.Find(m, key(m.From))
	if err != nil || found && merged.Value.GetMerge() == m.Merge {
		return err
	}
	return v.cfg.Book.Refuse(m, m.From)
}

// forward moves some of each kind. The round that leaves none is the last.
func (v *Mover) forward(m *Move) error {
	if _, err := v.cfg.Book.merged.Put(m, &storev1.Merged{Account: m.From, Merge: m.Merge}, ""); err != nil {
		return err
	}
	more := false
	for _, kind := range v.cfg.Kinds {
		left, err := kind.Move(m)
		if err != nil {
			return err
		}
		more = more || left
	}
	if !more {
		m.record.Stage = moved
		m.record.Receipt.CompleteTime = timestamppb.New(m.Time)
		if m.record.GetKeepUntil() == nil {
			m.record.Stage = final
		}
	}
	return nil
}

// backChunk is how many lines one transaction undoes.
const backChunk = 50

// back undoes the last lines. The round that leaves none is the last.
func (v *Mover) back(m *Move) error {
	p, err := v.cfg.Book.lines.List(m, kv.Query{Prefix: key(m.Merge), Reverse: true, Limit: backChunk})
	if err != nil {
		return err
	}
	for _, line := range p.Values() {
		i := slices.IndexFunc(v.cfg.Kinds, func(k Kind) bool { return k.Name == line.GetKind() })
		if i < 0 {
			return fmt.Errorf("move: a line of kind %q, which this version knows nothing of", line.GetKind())
		}
		done, err := v.cfg.Kinds[i].Back(m, line)
		if err != nil {
			return err
		}
		if done {
			m.counts[line.GetKind()]++
		}
		if _, err := v.cfg.Book.lines.Remove(m, v.cfg.Book.lines.KeyOf(line)); err != nil {
			return err
		}
	}
	if p.Next != nil {
		return nil
	}
	m.record.Stage = undone
	m.record.Receipt.CompleteTime = timestamppb.New(m.Time)
	_, err = v.cfg.Book.merged.Remove(m, key(m.From))
	return err
}

// add adds counts to a receipt, whose kinds are in order.
func add(receipt *subjectv1.MoveReceipt, counts map[string]int64) {
	for _, k := range receipt.GetKinds() {
		counts[k.GetKind()] += k.GetCount()
	}
	receipt.Kinds = nil
	for kind, n := range counts {
		receipt.Kinds = append(receipt.Kinds, &subjectv1.MovedKind{Kind: kind, Count: n})
	}
	slices.SortFunc(receipt.GetKinds(), func(a, b *subjectv1.MovedKind) int { return cmp.Compare(a.GetKind(), b.GetKind()) })
}
