// Package factors serves identity's RPCs about second factors: those by which
// people keep their own, and the one by which an administrator takes them away from
// somebody who has lost them.
//
// Like package api beside it, it turns requests into calls of the centres and
// decides nothing.
package factors

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/factor"
)

// Register registers the service of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterFactorServiceServer(r, factors{c})
}

// factors implements FactorService.
type factors struct{ *api.Centres }

// EnrollTotp begins to add an authenticator app of the caller's.
func (s factors) EnrollTotp(ctx context.Context, req *identityv1.EnrollTotpRequest) (*identityv1.TotpEnrollment, error) {
	return s.Gate.EnrollTotp(ctx, authn.CallerOf(ctx), req)
}

// ConfirmTotp adds it.
func (s factors) ConfirmTotp(ctx context.Context, req *identityv1.ConfirmTotpRequest) (*identityv1.ConfirmTotpResponse, error) {
	return s.Gate.ConfirmTotp(ctx, authn.CallerOf(ctx), req)
}

// RegenerateRecoveryCodes gives the caller new recovery codes.
func (s factors) RegenerateRecoveryCodes(ctx context.Context, req *identityv1.RegenerateRecoveryCodesRequest) (*identityv1.RecoveryCodes, error) {
	return s.Gate.RegenerateRecoveryCodes(ctx, authn.CallerOf(ctx), req)
}

// ListFactors returns an account's factors.
func (s factors) ListFactors(ctx context.Context, req *identityv1.ListFactorsRequest) (*identityv1.ListFactorsResponse, error) {
	if _, err := account.ParseName("parent", req.GetParent()); err != nil {
		return nil, err
	}
	resp := &identityv1.ListFactorsResponse{}
	err := s.Store.View(ctx, func(r kv.Reader) error {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return err
		}
		all, left, err := s.Factors.List(r, req.GetParent())
		resp.Factors, resp.RecoveryCodeCount = all, int32(left)
		return err
	})
	return resp, err
}

// UpdateFactor changes what a factor is called.
func (s factors) UpdateFactor(ctx context.Context, req *identityv1.UpdateFactorRequest) (*identityv1.Factor, error) {
	if err := checkName("factor.name", req.GetFactor().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Factor, error) {
		return s.Factors.Update(tx, req.GetFactor(), req.GetUpdateMask())
	})
}

// DeleteFactor removes one of the caller's factors.
func (s factors) DeleteFactor(ctx context.Context, req *identityv1.DeleteFactorRequest) (*identityv1.Factor, error) {
	if err := checkName("name", req.GetName()); err != nil {
		return nil, err
	}
	return s.Gate.RemoveFactor(ctx, authn.CallerOf(ctx), req)
}

// ResetFactors removes all factors of an account.
func (s factors) ResetFactors(ctx context.Context, req *identityv1.ResetFactorsRequest) (*identityv1.ResetFactorsResponse, error) {
	if _, err := account.ParseName("account", req.GetAccount()); err != nil {
		return nil, err
	}
	if authn.CallerOf(ctx).Name == req.GetAccount() {
		return nil, errs.New(errs.Precondition, "SELF_FORBIDDEN", "nobody resets the own factors: remove them one by one, or ask another to do it")
	}
	if err := s.Covers(ctx, req.GetAccount()); err != nil {
		return nil, err
	}
	return s.Gate.ResetFactors(ctx, req)
}

// checkName checks that a name is a person's factor's. The error is Invalid on the
// field.
func checkName(field, name string) error {
	if _, err := account.ParseName(field, factor.AccountOf(name)); err != nil {
		return errs.InvalidField(field, resource.Reason, "send the name of a factor, as in organizations/acme/staff/s1/factors/f1")
	}
	return nil
}
