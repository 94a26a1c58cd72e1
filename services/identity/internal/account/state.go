package account

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/segment"
)

// The states of an account, for short.
const (
	pending   = identityv1.AccountState_ACCOUNT_STATE_PENDING
	active    = identityv1.AccountState_ACCOUNT_STATE_ACTIVE
	suspended = identityv1.AccountState_ACCOUNT_STATE_SUSPENDED
	gone      = identityv1.AccountState_ACCOUNT_STATE_DELETED
)

// StateName returns a state as events and filters spell it: "ACTIVE".
func StateName(s identityv1.AccountState) string {
	return strings.TrimPrefix(s.String(), "ACCOUNT_STATE_")
}

// CanLogIn reports whether the account may have sessions.
func CanLogIn(a *storev1.Account) bool { return a.GetState() == active }

// CanBeInvited reports whether the account may be sent an invitation and
// accept it.
func CanBeInvited(a *storev1.Account) bool { return a.GetState() == pending || a.GetState() == active }

// Activate makes a PENDING account ACTIVE, as accepting an invitation does; an
// ACTIVE one stays as it is. The permit hears of the segments that the customer
// joins and leaves by it, and has been asked when that was decided. The error is
// Precondition (ILLEGAL_STATE) in any other state.
func (b *Book) Activate(tx *change.Tx, name string, permit segment.Permit) error {
	_, err := b.move(tx, name, "", permit, func(a *storev1.Account) error {
		if !CanBeInvited(a) {
			return illegalState("the account cannot be activated in its present state")
		}
		a.State, a.Activated = active, true
		return nil
	})
	return err
}

// Disable suspends an account and ends its sessions and tokens. Errors are NotFound,
// Conflict (ETAG_MISMATCH) and Precondition (ILLEGAL_STATE): it is suspended
// or deleted.
func (b *Book) Disable(tx *change.Tx, name, etag string) (kv.Record[*storev1.Account], error) {
	rec, err := b.move(tx, name, etag, nil, func(a *storev1.Account) error {
		if a.GetState() != active && a.GetState() != pending {
			return illegalState("only an account that is active or pending can be disabled")
		}
		a.State = suspended
		return nil
	})
	if err != nil {
		return rec, err
	}
	return rec, b.endAll(tx, name)
}

// endAll makes all tokens of an account void: those of a person's sessions, the codes
// that it may have been sent for a new password or a new contact, and what a program
// had for its keys.
func (b *Book) endAll(tx *change.Tx, name string) error {
	if ServicePattern.Matches(name) {
		return b.cfg.Keys.EndTokens(tx, name)
	}
	if err := b.cfg.Credentials.VoidReset(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Verifications.VoidAll(tx, name); err != nil {
		return err
	}
	_, err := b.cfg.Sessions.EndAll(tx, name, "")
	return err
}

// Enable lifts a suspension: back to ACTIVE, or to PENDING when the account
// never had a password. Errors are NotFound, Conflict (ETAG_MISMATCH),
// Precondition (ILLEGAL_STATE): it is not suspended, and what the permit returns
// for segments that the customer would join or leave.
func (b *Book) Enable(tx *change.Tx, name, etag string, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	return b.move(tx, name, etag, permit, func(a *storev1.Account) error {
		if a.GetState() != suspended {
			return illegalState("only a suspended account can be enabled")
		}
		a.State = pending
		if a.GetActivated() {
			a.State = active
		}
		return nil
	})
}

// Delete marks an account deleted and says when it is purged. It ends the
// account's sessions and memberships, voids its invitation and revokes its keys. Deleting a
// deleted one changes nothing. Errors are NotFound and Conflict
// (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (kv.Record[*storev1.Account], error) {
	rec, err := b.Get(tx, name)
	if err != nil {
		return rec, err
	}
	if deleted(rec.Value) {
		tx.Unchanged()
		return rec, nil
	}
	rec, err = b.move(tx, name, etag, nil, func(a *storev1.Account) error {
		a.StateBeforeDelete, a.State = a.GetState(), gone
		a.DeleteTime = timestamppb.New(tx.Time)
		a.PurgeTime = timestamppb.New(tx.Time.Add(b.cfg.PurgeAfter))
		return nil
	})
	if err != nil {
		return rec, err
	}
	if err := b.endAll(tx, name); err != nil {
		return rec, err
	}
	if ServicePattern.Matches(name) {
		_, err := b.cfg.Keys.RevokeAll(tx, name)
		return rec, err
	}
	if err := b.cfg.Credentials.VoidInvitation(tx, name); err != nil {
		return rec, err
	}
	return rec, b.cfg.Teams.RemoveAccount(tx, name)
}

// Undelete brings a deleted account back to the state it was in. Its sessions
// and memberships stay ended. Errors are NotFound, also past its purge time,
// Conflict (ETAG_MISMATCH), Exists (NOT_DELETED, after AIP-164), and what the
// permit returns for segments whose rules are true of the customer, and for the
// lists that it was on.
func (b *Book) Undelete(tx *change.Tx, name, etag string, permit segment.Permit) (kv.Record[*storev1.Account], error) {
	return b.move(tx, name, etag, permit, func(a *storev1.Account) error {
		if a.GetState() == erased {
			return notFound(name)
		}
		if !deleted(a) {
			return errs.New(errs.Exists, "NOT_DELETED", "the account is not deleted")
		}
		if !tx.Time.Before(a.GetPurgeTime().AsTime()) {
			return notFound(name)
		}
		if err := b.cfg.Segments.CheckReturn(tx, name, a.GetDeleteTime().AsTime(), permit); err != nil {
			return err
		}
		a.State, a.StateBeforeDelete = a.GetStateBeforeDelete(), 0
		a.DeleteTime, a.PurgeTime = nil, nil
		return nil
	})
}

// move makes one change of state and records it, unless the state stays what
// it was.
func (b *Book) move(tx *change.Tx, name, etag string, permit segment.Permit, to func(*storev1.Account) error) (kv.Record[*storev1.Account], error) {
	old, err := b.Get(tx, name)
	if err != nil {
		return old, err
	}
	if err := old.CheckEtag(etag); err != nil {
		return old, err
	}
	return b.turn(tx, old, permit, to)
}

// turn is move for a record that is the present one.
func (b *Book) turn(tx *change.Tx, old kv.Record[*storev1.Account], permit segment.Permit, to func(*storev1.Account) error) (kv.Record[*storev1.Account], error) {
	name := old.Value.GetName()
	now := proto.CloneOf(old.Value)
	if err := to(now); err != nil {
		return old, err
	}
	changed := change.ChangedFields(old.Value, now)
	if len(changed) == 0 {
		tx.Unchanged()
		return old, nil
	}
	if err := b.cfg.Segments.Reassess(tx, old.Value, now, permit); err != nil {
		return old, err
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	now.StateVersion = nextVersion(old.Value, tx.Time)
	rec, err := b.tableOf(name).Update(tx, now, "")
	if err != nil {
		return rec, err
	}
	tx.Record(stateChanged(now, changed))
	if err := b.followLikeness(tx, old.Value, now); err != nil {
		return rec, err
	}
	if err := b.followOwners(tx, old.Value, now); err != nil {
		return rec, err
	}
	if err := b.followStage(tx, old.Value, now); err != nil {
		return rec, err
	}
	if mayAct(old.Value) && mayAct(now) {
		return rec, nil
	}
	return rec, b.cfg.Standing.SetState(tx, tx.Time, name, StateName(now.GetState()), now.GetStateVersion())
}

// mayAct reports whether the account is in a state in which what it was granted
// counts: to service permission these are all the same.
func mayAct(a *storev1.Account) bool { return a.GetState() == active || a.GetState() == pending }

// nextVersion returns the version of a new state of an account; old is nil for
// a new one. It begins at the time, so that an account that is revived under the
// name of one that was purged goes on above it.
func nextVersion(old *storev1.Account, now time.Time) int64 {
	return max(old.GetStateVersion()+1, now.UnixMicro())
}

func stateChanged(a *storev1.Account, fields []string) change.Change {
	return change.Change{
		Resource: a.GetName(), Type: StateChangedType, ChangedFields: fields,
		Data: &identityv1.AccountStateChanged{State: StateName(a.GetState()), Version: a.GetStateVersion()},
	}
}

// Purgeable returns the names of deleted accounts that are past their purge
// time, at most limit of each kind, without those that a merge still moves.
func (b *Book) Purgeable(r kv.Reader, now time.Time, limit int) ([]string, error) {
	var names []string
	for _, t := range []*kv.Table[*storev1.Account]{b.staff, b.customers, b.services} {
		due, err := t.Due(r, byPurge, now, limit)
		if err != nil {
			return nil, err
		}
		for _, a := range due {
			if busy, err := b.Merging(r, a.GetName()); err != nil {
				return nil, err
			} else if !busy {
				names = append(names, a.GetName())
			}
		}
	}
	return names, nil
}

// Purge removes a deleted account that is past its purge time, with its
// password and factors, its place in every index, its history in segments, the
// messages it was sent and what permission was yet to hear of it, and records it.
// A member of staff loses the customers first, a customer what was written down of
// it, and both their tasks, some at a time: until there are none left the account
// stays, for the next call. An account that is gone, was brought back or came under a
// legal hold meanwhile is left alone. A customer who has asked to be erased becomes a
// tombstone instead.
func (b *Book) Purge(tx *change.Tx, name string) error {
	rec, found, err := b.Find(tx, name)
	if err != nil {
		return err
	}
	if !found || !purgeable(rec.Value) || tx.Time.Before(rec.Value.GetPurgeTime().AsTime()) {
		tx.Unchanged()
		return nil
	}
	if busy, err := b.Merging(tx, name); busy || err != nil {
		tx.Unchanged()
		return err
	}
	if request, err := b.cfg.Rights.Wanted(tx, name); err != nil {
		return err
	} else if request != "" {
		// Nothing can bring the customer back: there is no time to think it over.
		if err := b.Erase(tx, name); err != nil {
			return err
		}
		return b.cfg.Rights.Begin(tx, request)
	}
	if more, err := b.release(tx, name); more || err != nil {
		return err
	}
	for _, some := range []func(*change.Tx, string) (bool, error){
		b.purgeMerged, func(tx *change.Tx, name string) (bool, error) { return b.forget(tx, name) },
	} {
		if more, err := some(tx, name); more || err != nil {
			tx.Unchanged()
			return err
		}
	}
	return b.remove(tx, name)
}

// remove removes an account of which nothing was written down any more, and records it.
func (b *Book) remove(tx *change.Tx, name string) error {
	if _, err := b.tableOf(name).Delete(tx, key(name), ""); err != nil {
		return err
	}
	if err := b.retire(tx, name); err != nil {
		return err
	}
	if err := b.removeOwn(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Rights.Forget(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Standing.Forget(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Organizations.Forget(tx, resource.Parent(name), name); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: name, Type: PurgedType})
	return nil
}

// removeOwn removes what is an account's own: password and factors, history in
// segments, who looked after it, and the messages it was sent.
func (b *Book) removeOwn(tx *change.Tx, name string) error {
	if err := b.cfg.Credentials.Purge(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Factors.Purge(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Verifications.VoidAll(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Segments.Forget(tx, name); err != nil {
		return err
	}
	if err := b.cfg.Ownerships.ForgetCustomer(tx, name); err != nil {
		return err
	}
	return b.cfg.Outbox.Forget(tx, name)
}

// forget removes some of what was written down of an account, and reports whether
// there is more.
func (b *Book) forget(tx kv.Tx, name string) (more bool, err error) {
	for _, some := range []func(kv.Tx, string) (bool, error){b.cfg.Orders.Forget, b.cfg.Interactions.Forget, b.cfg.Preferences.Forget, b.cfg.Stages.Forget, b.cfg.Consents.Forget, b.cfg.Tasks.Forget, b.cfg.Takeouts.Forget, b.cfg.Dismissals.Forget, b.cfg.Timeline.Forget} {
		if more, err = some(tx, name); more || err != nil {
			return more, err
		}
	}
	return false, nil
}
