// Package merge keeps which customers were merged into which, how far that is, and what
// it takes to undo it.
//
//	merge            all has moved          the deadline has passed
//	─────▶ MOVING ──────────────▶ MERGED ──────────────────────────▶ FINAL
//	          │                     │                                  ▲
//	          │ undo                │ undo       the survivor goes,    │
//	          ▼                     │            from MOVING never ────┘
//	       UNDOING ◀────────────────┘
//	          │ all is back
//	          ▼
//	       UNDONE
//
// The accounts are one from the transaction in which a merge begins, and two again from
// the one in which its undoing does; what follows is rows, of which a ledger says which
// have moved, so that those go back and no others. Package merger makes the changes;
// this one says what may come after what. A record stays when its content is gone: that
// the two were one person's may be asked for as long as the survivor is there.
package merge

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// Window is how long a merge can be undone.
const Window = 30 * 24 * time.Hour

// Types of events, on the customers and on the record.
const (
	MergedType    = "guildhall.identity.customer.merged.v1"
	UnmergedType  = "guildhall.identity.customer.unmerged.v1"
	CompletedType = "guildhall.identity.merge_record.completed.v1"
	UndoneType    = "guildhall.identity.merge_record.undone.v1"
	FinalType     = "guildhall.identity.merge_record.finalized.v1"
)

// The states of a merge, for short.
const (
	moving  = identityv1.MergeRecord_STATE_MOVING
	merged  = identityv1.MergeRecord_STATE_MERGED
	undoing = identityv1.MergeRecord_STATE_UNDOING
	undone  = identityv1.MergeRecord_STATE_UNDONE
	final   = identityv1.MergeRecord_STATE_FINAL
)

// Known is a merge with the etag of its record.
type Known struct {
	*storev1.CustomerMerge
	Etag string
}

func known(rec kv.Record[*storev1.CustomerMerge]) Known {
	if !rec.Found() {
		return Known{}
	}
	return Known{CustomerMerge: proto.CloneOf(rec.Value), Etag: rec.Etag}
}

// Running reports whether a merge moves rows, one way or the other.
func (k Known) Running() bool { return k.Moving() || k.Undoing() }

// Moving reports whether rows go to the survivor, Undoing whether they go back.
func (k Known) Moving() bool  { return k.GetRecord().GetState() == moving }
func (k Known) Undoing() bool { return k.GetRecord().GetState() == undoing }

// Received reports whether a service has given its receipt for what is under way.
func (k Known) Received(service string) bool {
	return slices.ContainsFunc(k.GetRecord().GetReceipts(), func(r *subjectv1.MoveReceipt) bool { return r.GetService() == service })
}

// Check refuses a merge of two customers while another one is in its way. Errors are
// Precondition (MERGE_RUNNING, MERGE_NOT_FINAL).
func (b *Book) Check(r kv.Reader, survivor, duplicate string) error {
	for _, customer := range []string{survivor, duplicate} {
		for rec, err := range b.of(r, customer) {
			if err != nil {
				return err
			}
			k := Known{CustomerMerge: rec.Value}
			if k.Running() {
				return running()
			}
			if customer == duplicate && k.GetRecord().GetState() == merged && k.GetRecord().GetSurvivor() == duplicate {
				return errs.New(errs.Precondition, "MERGE_NOT_FINAL", "another account was merged into the duplicate, and that can still be undone; merge the other way round, or undo it first")
			}
		}
	}
	return nil
}

func running() error {
	return errs.New(errs.Precondition, "MERGE_RUNNING", "another merge of the customer is still moving its data; try again when it is done", errs.RetryAfter(time.Second))
}

// Busy reports whether a merge of a customer moves rows.
func (b *Book) Busy(r kv.Reader, customer string) (bool, error) {
	for rec, err := range b.of(r, customer) {
		if err != nil {
			return false, err
		}
		if (Known{CustomerMerge: rec.Value}).Running() {
			return true, nil
		}
	}
	return false, nil
}

// Create keeps a merge that begins, and tells of it. The error is Exists
// (MERGE_RECORD_EXISTS).
func (b *Book) Create(tx *change.Tx, m *storev1.CustomerMerge) (Known, error) {
	r := m.GetRecord()
	r.State, r.CreateTime, r.UpdateTime = moving, timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	r.UndoDeadline = timestamppb.New(tx.Time.Add(Window))
	rec, err := b.merges.Create(tx, m)
	if err != nil {
		return Known{}, err
	}
	tellCustomers(tx, r, MergedType)
	return known(rec), nil
}

func tellCustomers(tx *change.Tx, r *identityv1.MergeRecord, event string) {
	for _, customer := range []string{r.GetSurvivor(), r.GetDuplicate()} {
		tx.Record(change.Change{Resource: customer, Type: event, Data: &identityv1.CustomerMerged{
			MergeRecord: r.GetName(), Survivor: r.GetSurvivor(), Duplicate: r.GetDuplicate(),
		}})
	}
}

// put stores a merge that has changed, and records that as an event of the type says;
// an empty type records nothing.
func (b *Book) put(tx *change.Tx, k Known, event string) (Known, error) {
	k.Record.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.merges.Update(tx, k.CustomerMerge, "")
	if err != nil {
		return k, err
	}
	if event != "" {
		tx.Record(change.Change{Resource: k.Record.GetName(), Type: event, ChangedFields: []string{"state"}})
	}
	return known(rec), nil
}

// Undoable returns a merge that is to be undone, and whether there is anything to do:
// of one that is undone there is not. Errors are NotFound (MERGE_RECORD_NOT_FOUND),
// Conflict (ETAG_MISMATCH) and Precondition: MERGE_FINAL, MERGE_RUNNING when another
// merge of the survivor runs, and MERGE_NOT_LAST when another account was merged into
// it since.
func (b *Book) Undoable(r kv.Reader, name, etag string, now time.Time) (Known, bool, error) {
	k, err := b.Get(r, name)
	if err != nil {
		return k, false, err
	}
	state := k.GetRecord().GetState()
	if state == undoing || state == undone {
		return k, false, nil
	}
	if etag != "" && etag != "*" && etag != k.Etag {
		rec, err := b.merges.Get(r, key(name))
		if err != nil {
			return k, false, err
		}
		return k, false, rec.CheckEtag(etag)
	}
	if state == final || !now.Before(k.GetRecord().GetUndoDeadline().AsTime()) {
		return k, false, errs.New(errs.Precondition, "MERGE_FINAL", "the merge can not be undone any more: its time is over, or the survivor is gone")
	}
	for rec, err := range b.of(r, k.GetRecord().GetSurvivor()) {
		if err != nil {
			return k, false, err
		}
		other := Known{CustomerMerge: rec.Value}
		if other.GetRecord().GetName() == name {
			continue
		}
		if other.Running() {
			return k, false, running()
		}
		if later(other, k) {
			return k, false, errs.New(errs.Precondition, "MERGE_NOT_LAST", "another account was merged into the survivor later, and rests on this merge; undo that one first")
		}
	}
	return k, true, nil
}

// later reports whether another merge into the same survivor came after one, and holds.
func later(other, k Known) bool {
	a, b := other.GetRecord(), k.GetRecord()
	return a.GetSurvivor() == b.GetSurvivor() && a.GetState() != undone && a.GetCreateTime().AsTime().After(b.GetCreateTime().AsTime())
}

// Undo begins to undo a merge, of which the fields did not go back, and tells of it.
// What it takes to undo is not needed from then on but for the ledger.
func (b *Book) Undo(tx *change.Tx, k Known, kept []string) (Known, error) {
	k.Record.State, k.Record.KeptFields = undoing, kept
	k.Record.Receipts, k.Record.Moved, k.Record.CompleteTime = nil, nil, nil
	empty(k)
	tellCustomers(tx, k.Record, UnmergedType)
	return b.put(tx, k, "")
}

// empty takes out of a merge what it took to undo it.
func empty(k Known) {
	k.Former, k.Result, k.Duplicate = nil, nil, nil
	k.FormerConsents, k.ResultConsents, k.DuplicateLists, k.JoinedLists = nil, nil, nil, nil
}

// Complete ends what runs of a merge.
func (b *Book) Complete(tx *change.Tx, k Known) error {
	event := CompletedType
	if k.Undoing() {
		k.Record.State, event = undone, UndoneType
	} else {
		k.Record.State = merged
	}
	k.Record.CompleteTime = timestamppb.New(tx.Time)
	_, err := b.put(tx, k, event)
	return err
}

// Receive keeps the receipt of a service.
func (b *Book) Receive(tx *change.Tx, k Known, receipt *subjectv1.MoveReceipt) error {
	k.Record.Receipts = append(k.Record.Receipts, proto.CloneOf(receipt))
	_, err := b.put(tx, k, "")
	return err
}

// stateName returns a state as filters spell it: "MERGED".
func stateName(s identityv1.MergeRecord_State) string {
	return strings.TrimPrefix(s.String(), "STATE_")
}
