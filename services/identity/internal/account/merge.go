package account

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/segment"
)

const merged = identityv1.AccountState_ACCOUNT_STATE_MERGED

// Merge makes a duplicate a tombstone that leads to its survivor, and the survivor what
// the union says: the duplicate ends as one that is deleted does, and keeps, besides its
// name, its times and its tags, the contacts that the survivor does not have from then
// on, so that nobody gets them while the merge can be undone. It returns the survivor.
// Errors are what the permit returns for segments that the survivor would join or leave.
func (b *Book) Merge(tx *change.Tx, u *Union, by ownership.By, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	none := kv.Record[*storev1.Account]{}
	tombstone, err := b.bury(tx, u, by)
	if err != nil {
		return none, err
	}
	rec, err := b.update(tx, u.Survivor, proto.CloneOf(u.Result), manner{permit: permit, covered: true})
	if err != nil {
		return none, err
	}
	if u.Owner != "" {
		if rec, err = b.SetOwner(tx, rec, ownership.Move{To: u.Owner, Cause: ownership.Merged, By: by}); err != nil {
			return none, err
		}
	}
	// What the survivor has no more is free only now.
	now := proto.CloneOf(tombstone.Value)
	for _, channel := range contact.Channels() {
		for _, a := range []*storev1.Account{u.Survivor.Value, u.Duplicate.Value} {
			if c := contact.On(a, channel); c.Target != "" && !contact.Same(a, rec.Value, channel) {
				contact.Set(now, c)
			}
		}
	}
	_, err = b.customers.Update(tx, now, "")
	return rec, err
}

// bury makes a duplicate a tombstone without contacts.
func (b *Book) bury(tx *change.Tx, u *Union, by ownership.By) (rec kv.Record[*storev1.Account], err error) {
	rec = u.Duplicate
	name := rec.Value.GetName()
	if rec.Value.GetOwner() != "" {
		if rec, err = b.SetOwner(tx, rec, ownership.Move{Cause: ownership.Merged, By: by}); err != nil {
			return rec, err
		}
	}
	// Before the account has no contacts: what is to be sent there is withdrawn.
	bare := proto.CloneOf(rec.Value)
	for _, channel := range contact.Channels() {
		contact.Set(bare, contact.Contact{Channel: channel})
	}
	if err := b.followContacts(tx, rec.Value, bare); err != nil {
		return rec, err
	}
	rec, err = b.turn(tx, rec, nil, func(a *storev1.Account) error {
		was := proto.CloneOf(a)
		proto.Reset(a)
		proto.Merge(a, &storev1.Account{
			Name: name, State: merged, MergedInto: u.Survivor.Value.GetName(), StateVersion: was.GetStateVersion(), Tags: was.GetTags(),
			CreateTime: was.GetCreateTime(), DeleteTime: timestamppb.New(tx.Time), LegalHold: was.GetLegalHold(),
			Stage: was.GetStage(), StageTime: was.GetStageTime(),
		})
		return nil
	})
	if err != nil {
		return rec, err
	}
	if err := b.endAll(tx, name); err != nil {
		return rec, err
	}
	if err := b.cfg.Credentials.VoidInvitation(tx, name); err != nil {
		return rec, err
	}
	return rec, b.cfg.Teams.RemoveAccount(tx, name)
}

// Separation is what it takes to make two accounts of one again: those before a merge,
// and what that made of the survivor.
type Separation struct {
	Former, Result, Duplicate *storev1.Account
	// Since is when they were merged.
	Since time.Time
	By    ownership.By
}

// Unmerge makes a tombstone the account again that it was, and gives the survivor back
// what it had in each field that is as the merge made it. It returns which were not, and
// with "duplicate." before it what the duplicate did not get back because somebody else
// has it. Errors are what the permit returns for segments that either would join or
// leave.
func (b *Book) Unmerge(tx *change.Tx, s Separation, permit segment.Permit) (kept []string, err error) {
	tombstone, is, err := b.tombstone(tx, s.Duplicate.GetName())
	if err != nil {
		return nil, err
	}
	if !is {
		return nil, final("nothing is left of the duplicate")
	}
	bare := proto.CloneOf(tombstone.Value)
	for _, channel := range contact.Channels() {
		contact.Set(bare, contact.Contact{Channel: channel})
	}
	if tombstone, err = b.customers.Update(tx, bare, ""); err != nil {
		return nil, err
	}
	if kept, err = b.restore(tx, s, permit); err != nil {
		return nil, err
	}
	lost, err := b.exhume(tx, tombstone, s, permit)
	return append(kept, lost...), err
}

func final(why string) error { return errs.New(errs.Precondition, "MERGE_FINAL", why) }

// restore gives a survivor back what it had.
func (b *Book) restore(tx *change.Tx, s Separation, permit segment.Permit) (kept []string, err error) {
	rec, found, err := b.Find(tx, s.Former.GetName())
	if err != nil {
		return nil, err
	}
	if !found || rec.Value.GetState() == erased {
		return nil, final("nothing is left of the survivor")
	}
	now, kept := separate(rec.Value, s)
	if kept, err = b.keepTaken(tx, rec.Value, now, kept); err != nil {
		return nil, err
	}
	lost := rec.Value.GetEmail() != now.GetEmail() || rec.Value.GetPhone() != now.GetPhone()
	if rec, err = b.update(tx, rec, now, manner{permit: permit, covered: true}); err != nil {
		return nil, err
	}
	if lost {
		if err := b.shutOut(tx, s); err != nil {
			return nil, err
		}
	}
	switch given := s.Result.GetOwner(); {
	case given == s.Former.GetOwner():
	case rec.Value.GetOwner() != given:
		kept = append(kept, "owner")
	default:
		_, err = b.SetOwner(tx, rec, ownership.Move{Cause: ownership.Merged, By: s.By})
	}
	return kept, err
}

// shutOut is for a survivor who has lost a contact again, which may be a stranger's: by
// it that one could set a password, log in and add factors since the merge. All of these
// end, so that nobody else goes on in the survivor's name.
func (b *Book) shutOut(tx *change.Tx, s Separation) error {
	name := s.Former.GetName()
	if err := b.endAll(tx, name); err != nil {
		return err
	}
	password, found, err := b.cfg.Credentials.Password(tx, name)
	if err != nil {
		return err
	}
	if found && !password.GetUpdateTime().AsTime().Before(s.Since) {
		if err := b.cfg.Credentials.VoidPassword(tx, name); err != nil {
			return err
		}
	}
	return b.cfg.Factors.RemoveSince(tx, name, s.Since)
}

// exhume makes a tombstone the account that it was.
func (b *Book) exhume(tx *change.Tx, tombstone kv.Record[*storev1.Account], s Separation, permit segment.Permit) (lost []string, err error) {
	back := proto.CloneOf(s.Duplicate)
	if lost, err = b.keepTaken(tx, &storev1.Account{Name: back.GetName()}, back, nil); err != nil {
		return nil, err
	}
	for i, path := range lost {
		lost[i] = "duplicate." + path
	}
	back.Owner, back.LegalHold = "", tombstone.Value.GetLegalHold()
	rec, err := b.turn(tx, tombstone, permit, func(a *storev1.Account) error {
		version := a.GetStateVersion()
		proto.Reset(a)
		proto.Merge(a, back)
		a.StateVersion = version
		return nil
	})
	owner := s.Duplicate.GetOwner()
	if err != nil || owner == "" {
		return lost, err
	}
	there, err := b.there(tx, owner)
	if err != nil || !there {
		return append(lost, "duplicate.owner"), err
	}
	_, err = b.SetOwner(tx, rec, ownership.Move{To: owner, Cause: ownership.Merged, By: s.By})
	return lost, err
}
