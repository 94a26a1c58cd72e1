package access

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/session"
)

// EnrollTotp begins to add an authenticator app of the caller's. Errors are
// Precondition (ILLEGAL_STATE) for a program, and Exhausted (FACTOR_LIMIT).
func (g *Gate) EnrollTotp(ctx context.Context, caller authn.Caller, req *identityv1.EnrollTotpRequest) (*identityv1.TotpEnrollment, error) {
	secret := factor.NewSecret()
	return change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.TotpEnrollment, error) {
		a, err := g.person(tx, caller)
		if err != nil {
			return nil, err
		}
		org, err := g.cfg.Organizations.Get(tx, organizationOf(caller.Name))
		if err != nil {
			return nil, err
		}
		expire, err := g.cfg.Factors.Enroll(tx, caller.Name, req.GetDisplayName(), secret)
		return &identityv1.TotpEnrollment{
			Secret: factor.Spell(secret), OtpauthUri: factor.URI(secret, org.GetDisplayName(), label(a)), ExpireTime: timestamppb.New(expire),
		}, err
	})
}

// person returns the caller's account, who is one that has a password.
func (g *Gate) person(r kv.Reader, caller authn.Caller) (*storev1.Account, error) {
	if _, err := account.ParseName("", caller.Name); err != nil {
		return nil, errs.New(errs.Precondition, "ILLEGAL_STATE", "only people have second factors; a program proves itself with its keys")
	}
	rec, err := g.cfg.Accounts.Get(r, caller.Name)
	return rec.Value, err
}

// label is what an account is called in an authenticator app.
func label(a *storev1.Account) string {
	for _, text := range []string{a.GetEmail(), a.GetDisplayName()} {
		if text != "" {
			return text
		}
	}
	return a.GetName()
}

// ConfirmTotp adds the caller's authenticator app for a code of it. With the first
// factor there are recovery codes, and all sessions end that were opened without
// one, but the caller's: that is what proves it now. Errors are those of
// factor.Book's Confirm, and Unavailable (SUSPENSION_PENDING).
func (g *Gate) ConfirmTotp(ctx context.Context, caller authn.Caller, req *identityv1.ConfirmTotpRequest) (*identityv1.ConfirmTotpResponse, error) {
	id, codes := resource.NewID(), factor.NewRecoveryCodes()
	resp, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.ConfirmTotpResponse, error) {
		f, first, err := g.cfg.Factors.Confirm(tx, caller.Name, id, req.GetCode())
		if err != nil {
			return nil, err
		}
		codes, err := g.added(tx, caller, f, first, codes, factor.OTP, factor.Multiple)
		return &identityv1.ConfirmTotpResponse{Factor: f, RecoveryCodes: codes}, err
	})
	if err != nil {
		return nil, err
	}
	return resp, g.cfg.Standings.Deliver(ctx, caller.Name)
}

// added tells the caller of a new factor, and notes in the session that it was proven
// there. With the first factor it ends the other sessions and sets the recovery codes,
// and returns these.
func (g *Gate) added(tx *change.Tx, caller authn.Caller, f *identityv1.Factor, first bool, codes []string, methods ...string) ([]string, error) {
	if err := g.tellOfFactors(tx, caller.Name, message.FactorAdded, typeName(f)); err != nil {
		return nil, err
	}
	own := session.Name(caller.Name, caller.Session)
	if !first {
		return nil, g.cfg.Sessions.Proved(tx, own, methods...)
	}
	if _, err := g.cfg.Sessions.EndAll(tx, caller.Name, own); err != nil {
		return nil, err
	}
	if err := g.cfg.Factors.SetRecoveryCodes(tx, caller.Name, codes); err != nil {
		return nil, err
	}
	return codes, g.cfg.Sessions.Proved(tx, own, methods...)
}

// RegenerateRecoveryCodes gives the caller new recovery codes. The error is
// Precondition (NO_SECOND_FACTOR).
func (g *Gate) RegenerateRecoveryCodes(ctx context.Context, caller authn.Caller, req *identityv1.RegenerateRecoveryCodesRequest) (*identityv1.RecoveryCodes, error) {
	codes := factor.NewRecoveryCodes()
	return change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.RecoveryCodes, error) {
		if err := g.cfg.Factors.SetRecoveryCodes(tx, caller.Name, codes); err != nil {
			return nil, err
		}
		return &identityv1.RecoveryCodes{Codes: codes}, g.tellOfFactors(tx, caller.Name, message.CodesRegenerated, "")
	})
}

// RemoveFactor removes one of the caller's factors. Errors are NotFound
// (FACTOR_NOT_FOUND), Conflict (ETAG_MISMATCH), and Precondition
// (PASSWORD_NEEDS_FACTOR): without it the password would stand alone and is too weak.
func (g *Gate) RemoveFactor(ctx context.Context, caller authn.Caller, req *identityv1.DeleteFactorRequest) (*identityv1.Factor, error) {
	if factor.AccountOf(req.GetName()) != caller.Name {
		return nil, errs.NotFoundName("FACTOR_NOT_FOUND", req.GetName())
	}
	return change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.Factor, error) {
		was, last, err := g.cfg.Factors.Remove(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := g.tellOfFactors(tx, caller.Name, message.FactorRemoved, typeName(was)); err != nil || !last {
			return was, err
		}
		password, _, err := g.cfg.Credentials.Password(tx, caller.Name)
		if err == nil && password.GetNeedsFactor() {
			err = credential.NeedsFactor()
		}
		return was, err
	})
}

// ResetFactors removes all factors of an account, and ends its sessions. A
// password that needs one is good only to set a better one from then. Errors are NotFound, and
// Unavailable (SUSPENSION_PENDING).
func (g *Gate) ResetFactors(ctx context.Context, req *identityv1.ResetFactorsRequest) (*identityv1.ResetFactorsResponse, error) {
	name := req.GetAccount()
	resp, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.ResetFactorsResponse, error) {
		if _, err := g.cfg.Accounts.Get(tx, name); err != nil {
			return nil, err
		}
		n, err := g.cfg.Factors.Reset(tx, name)
		if err != nil || n == 0 {
			tx.Unchanged()
			return &identityv1.ResetFactorsResponse{}, err
		}
		tx.Record(change.Change{Resource: name, ChangedFields: []string{"factors"}})
		if err := g.cfg.Credentials.StandAlone(tx, name); err != nil {
			return nil, err
		}
		if _, err := g.cfg.Sessions.EndAll(tx, name, ""); err != nil {
			return nil, err
		}
		return &identityv1.ResetFactorsResponse{RemovedCount: int32(n)}, g.tellOfFactors(tx, name, message.FactorRemoved, message.AllFactors)
	})
	if err != nil {
		return nil, err
	}
	return resp, g.cfg.Standings.Deliver(ctx, name)
}
