package account

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// A tombstone is an account that was merged into another. It stays as long as that one:
// who comes with its name is led on.

// tombstone returns an account that was merged, and whether it is one.
func (b *Book) tombstone(r kv.Reader, name string) (kv.Record[*storev1.Account], bool, error) {
	rec, found, err := b.Find(r, name)
	return rec, found && rec.Value.GetState() == merged, err
}

// Strip takes off a tombstone what it kept for an undo, and leaves its name, its times
// and where it leads. Of any other account it takes nothing.
func (b *Book) Strip(tx kv.Tx, name string) error {
	rec, is, err := b.tombstone(tx, name)
	if err != nil || !is {
		return err
	}
	now := proto.CloneOf(rec.Value)
	now.Email, now.Phone, now.Tags, now.LegalHold = "", "", nil, false
	_, err = b.customers.Update(tx, now, "")
	return err
}

// EraseTombstone makes a tombstone one of an erased account, which leads nowhere. Of any
// other account it changes nothing. There is never more.
func (b *Book) EraseTombstone(tx *change.Tx, name string) (more bool, err error) {
	rec, is, err := b.tombstone(tx, name)
	if err != nil || !is {
		return false, err
	}
	return false, b.leaveName(tx, rec.Value)
}

// leaveName leaves nothing of an account but its name, its times and its state.
func (b *Book) leaveName(tx *change.Tx, old *storev1.Account) error {
	now := &storev1.Account{
		Name: old.GetName(), State: erased, StateVersion: nextVersion(old, tx.Time),
		CreateTime: old.GetCreateTime(), UpdateTime: timestamppb.New(tx.Time), DeleteTime: old.GetDeleteTime(),
	}
	if _, err := b.customers.Update(tx, now, ""); err != nil {
		return err
	}
	tx.Record(stateChanged(now, change.ChangedFields(old, now)))
	return b.cfg.Standing.SetState(tx, tx.Time, now.GetName(), StateName(erased), now.GetStateVersion())
}

// purgeMerged removes some of what is left of those who were merged into a customer that
// is purged, the merges last, and reports whether there is more.
func (b *Book) purgeMerged(tx *change.Tx, survivor string) (more bool, err error) {
	names, err := b.cfg.Merges.Tombstones(tx, survivor)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		_, found, err := b.Find(tx, name)
		if err != nil {
			return false, err
		}
		if !found {
			continue
		}
		if more, err := b.forget(tx, name); more || err != nil {
			return more, err
		}
		if more, err := b.cfg.Merges.ForgetInto(tx, name); more || err != nil {
			return more, err
		}
		return true, b.remove(tx, name)
	}
	return b.cfg.Merges.Forget(tx, survivor)
}
