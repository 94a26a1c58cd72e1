package access

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/device"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// CreateInvitation makes a code for an account, in place of one it may have, and
// sends it to the account's contact; see sendInvitation.
// Errors are Invalid for what is no account's name, NotFound
// (ACCOUNT_NOT_FOUND), Precondition (ILLEGAL_STATE): the account is suspended or
// deleted, and Unavailable (SUSPENSION_PENDING) when a reset has yet to reach
// permission.
func (g *Gate) CreateInvitation(ctx context.Context, req *identityv1.CreateInvitationRequest) (*identityv1.Invitation, error) {
	name := req.GetAccount()
	if _, err := account.ParseName("account", name); err != nil {
		return nil, err
	}
	code := credential.NewCode()
	made, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.Invitation, error) {
		rec, found, err := g.cfg.Accounts.Find(tx, name)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, errs.NotFoundName("ACCOUNT_NOT_FOUND", name)
		case !account.CanBeInvited(rec.Value):
			return nil, errs.New(errs.Precondition, "ILLEGAL_STATE", "only an account that is pending or active can be invited")
		}
		changed := []string{"invitation"}
		if req.GetResetPassword() {
			changed = append(changed, "password")
			if err := g.cfg.Credentials.VoidPassword(tx, name); err != nil {
				return nil, err
			}
			if _, err := g.cfg.Sessions.EndAll(tx, name, ""); err != nil {
				return nil, err
			}
		}
		tx.Record(change.Change{Resource: name, ChangedFields: changed})
		invitation, err := g.Invite(tx, name, code)
		if err != nil {
			return nil, err
		}
		return invitation, g.sendInvitation(tx, rec.Value, invitation, req.GetShowCode())
	})
	if err != nil || !req.GetResetPassword() {
		return made, err
	}
	return made, g.cfg.Standings.Deliver(ctx, name)
}

// Invite opens an invitation of an account in a change that is under way. The
// code comes from credential.NewCode.
func (g *Gate) Invite(tx *change.Tx, name, code string) (*identityv1.Invitation, error) {
	expire, err := g.cfg.Credentials.Invite(tx, name, code, tx.Time)
	if err != nil {
		return nil, err
	}
	return &identityv1.Invitation{Account: name, Code: code, ExpireTime: timestamppb.New(expire)}, nil
}

// AcceptInvitation sets the password of the invited account, ends the sessions
// it may have, and logs it in from an address, with a challenge when it has a second
// factor. A contact that the code was sent to, and that alone, is verified then. It
// reports whether the account has joined or left segments by it. Errors
// are Unauthenticated (INVITATION_INVALID), those of credential.Check on password,
// and Exhausted (HASHING_BUSY, LOGIN_THROTTLED).
//
// It is also the way past a wait for wrong passwords: who brings a code has proven
// more than a password would.
func (g *Gate) AcceptInvitation(ctx context.Context, req *identityv1.AcceptInvitationRequest, address string) (tokens *identityv1.TokenSet, moved bool, err error) {
	name, fresh, err := g.byCode(ctx, address, req.GetPassword(), func(r kv.Reader) (*storev1.Account, error) {
		a, _, err := g.findInvited(r, req.GetCode())
		return a, err
	})
	if err != nil {
		return nil, false, err
	}
	e, moved, err := g.accept(ctx, req, name, fresh, address)
	if err == nil {
		g.tell(ctx, name)
	}
	tokens, err = g.entered(e, err)
	return tokens, moved && err == nil, err
}

// accept takes an invitation, and reports whether the account has moved between
// segments by it.
func (g *Gate) accept(ctx context.Context, req *identityv1.AcceptInvitationRequest, name string, fresh choice, address string) (e Entry, moved bool, err error) {
	id, challenge, newDevice := resource.NewID(), session.NewChallenge(), device.NewID()
	s, err := change.Do(as(ctx, name, id), g.cfg.Journal, req, func(tx *change.Tx) (*storev1.Session, error) {
		// Another call may have used the code, or an administrator voided it.
		a, invitation, err := g.findInvited(tx, req.GetCode())
		if err != nil {
			return nil, err
		}
		moved = false
		if err := g.cfg.Accounts.Activate(tx, name, segment.Note(&moved)); err != nil {
			return nil, err
		}
		if invitation.GetUnseen() {
			if err := g.proved(tx, a, invitation.GetTarget(), segment.Note(&moved)); err != nil {
				return nil, err
			}
		}
		if _, err := g.cfg.Waits.ClearPasswords(tx, organizationOf(name), identifiers(a)); err != nil {
			return nil, err
		}
		fresh.Contact = invitation.GetTarget()
		if err := g.setPassword(tx, name, fresh, ""); err != nil {
			return nil, err
		}
		e.Challenge, err = g.challenge(tx, challenge, &storev1.LoginChallenge{
			Account: name, PasswordTime: timestamppb.New(tx.Time), Session: id, DeviceLabel: req.GetDeviceLabel(), Device: []byte(newDevice),
		})
		if err != nil || e.Challenge != nil {
			return &storev1.Session{}, err
		}
		return g.cfg.Sessions.Open(tx, name, id, session.Login{Device: req.GetDeviceLabel(), Address: address, Factors: passwordOnly()})
	})
	if err != nil || e.Challenge != nil {
		return e, moved, err
	}
	return Entry{Session: s, Device: g.deviceToken(s, s.GetCreateTime().AsTime(), false, newDevice)}, moved, nil
}

// byCode returns the account that somebody at an address has a code of, as find
// finds it, and the password that it is to have.
func (g *Gate) byCode(ctx context.Context, address, password string, find func(kv.Reader) (*storev1.Account, error)) (name string, fresh choice, err error) {
	ticket, err := g.cfg.Throttle.Admit(ctx, throttle.Attempt{Address: address})
	if err != nil {
		return "", choice{}, err
	}
	var words []string
	err = g.cfg.Store.View(ctx, func(r kv.Reader) error {
		a, err := find(r)
		if err != nil {
			return err
		}
		name = a.GetName()
		words, err = g.words(r, a)
		return err
	})
	if errs.Is(err, errs.Unauthenticated) {
		ticket.Failed(ctx)
		return "", choice{}, err
	}
	// The code was no guess, or could not be looked up.
	if err := errors.Join(err, ticket.Return(ctx)); err != nil {
		return "", choice{}, err
	}
	fresh, err = g.choose(ctx, name, chosen{field: "password", password: password, words: words})
	return name, fresh, err
}

// findInvited returns the account that a code invites, and the invitation: the
// account may be invited, and is still reached where the code was sent.
func (g *Gate) findInvited(r kv.Reader, code string) (*storev1.Account, *storev1.Invitation, error) {
	i, err := g.cfg.Credentials.Invited(r, code, g.cfg.Clock())
	if err != nil {
		return nil, nil, err
	}
	rec, found, err := g.cfg.Accounts.Find(r, i.GetAccount())
	if err != nil {
		return nil, nil, err
	}
	if !found || !account.CanBeInvited(rec.Value) {
		return nil, nil, credential.InvitationInvalid()
	}
	if _, found := at(contact.All(rec.Value), i.GetTarget()); !found && i.GetTarget() != "" {
		return nil, nil, credential.InvitationInvalid()
	}
	return rec.Value, i, nil
}
