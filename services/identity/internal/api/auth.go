package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/rpc"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/session"
)

// auth implements AuthService.
type auth struct{ *Centres }

// CreateInvitation makes a code with which an account sets its password.
func (s auth) CreateInvitation(ctx context.Context, req *identityv1.CreateInvitationRequest) (*identityv1.Invitation, error) {
	if _, err := account.ParseName("account", req.GetAccount()); err != nil {
		return nil, err
	}
	// Whoever has the code can be the account.
	if err := s.Covers(ctx, req.GetAccount()); err != nil {
		return nil, err
	}
	return s.Gate.CreateInvitation(ctx, req)
}

// AcceptInvitation sets the invited account's password and logs it in. An account
// that is in other segments from then on does not act by those before.
func (s auth) AcceptInvitation(ctx context.Context, req *identityv1.AcceptInvitationRequest) (*identityv1.TokenSet, error) {
	tokens, moved, err := s.Gate.AcceptInvitation(ctx, req, RemoteAddress(ctx))
	if !moved {
		return tokens, err
	}
	return Heard(ctx, s.Centres, tokens, err)
}

// Login logs an account in.
func (s auth) Login(ctx context.Context, req *identityv1.LoginRequest) (*identityv1.TokenSet, error) {
	return s.Gate.Login(ctx, req, RemoteAddress(ctx))
}

// AnswerChallenge opens the session of a login whose second factor is proven.
func (s auth) AnswerChallenge(ctx context.Context, req *identityv1.AnswerChallengeRequest) (*identityv1.TokenSet, error) {
	return s.Gate.AnswerChallenge(ctx, req, RemoteAddress(ctx))
}

// RefreshToken trades a refresh token for new tokens.
func (s auth) RefreshToken(ctx context.Context, req *identityv1.RefreshTokenRequest) (*identityv1.TokenSet, error) {
	return s.Gate.Refresh(ctx, req)
}

// Logout ends the caller's session.
func (s auth) Logout(ctx context.Context, req *identityv1.LogoutRequest) (*identityv1.LogoutResponse, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return s.Gate.Logout(ctx, caller, req)
}

// ChangePassword sets a new password for the caller.
func (s auth) ChangePassword(ctx context.Context, req *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return s.Gate.ChangePassword(ctx, caller, req)
}

// BeginSessionProof says what proves the caller's session again.
func (s auth) BeginSessionProof(ctx context.Context, _ *identityv1.BeginSessionProofRequest) (*identityv1.BeginSessionProofResponse, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return s.Gate.BeginSessionProof(ctx, caller)
}

// ProveSession proves it.
func (s auth) ProveSession(ctx context.Context, req *identityv1.ProveSessionRequest) (*identityv1.ProveSessionResponse, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return s.Gate.ProveSession(ctx, caller, req)
}

// RequestPasswordReset has a code sent for a new password.
func (s auth) RequestPasswordReset(ctx context.Context, req *identityv1.RequestPasswordResetRequest) (*identityv1.RequestPasswordResetResponse, error) {
	return s.Gate.RequestPasswordReset(ctx, req, RemoteAddress(ctx))
}

// ResetPassword sets a new password with the code.
func (s auth) ResetPassword(ctx context.Context, req *identityv1.ResetPasswordRequest) (*identityv1.ResetPasswordResponse, error) {
	return s.Gate.ResetPassword(ctx, req, RemoteAddress(ctx))
}

// WhoAmI says who the caller's token speaks for.
func (s auth) WhoAmI(ctx context.Context, _ *identityv1.WhoAmIRequest) (*identityv1.WhoAmIResponse, error) {
	caller, err := CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	resp := &identityv1.WhoAmIResponse{
		Account: caller.Name, Organization: caller.Organization(), Session: sessionOf(caller),
		ExpireTime: timestamppb.New(caller.Expires), Factors: caller.Factors,
	}
	if !caller.AuthTime.IsZero() {
		resp.AuthTime = timestamppb.New(caller.AuthTime)
	}
	return resp, nil
}

// ListSessions returns a page of an account's live sessions.
func (s auth) ListSessions(ctx context.Context, req *identityv1.ListSessionsRequest) (*identityv1.ListSessionsResponse, error) {
	if _, err := account.ParseName("parent", req.GetParent()); err != nil {
		return nil, err
	}
	l, err := s.start(ctx, page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()}, "ListSessions", req.GetParent())
	if err != nil {
		return nil, err
	}
	caller, _ := authn.FromContext(ctx) // without one, no session is current
	resp := &identityv1.ListSessionsResponse{}
	err = s.Store.View(ctx, func(r kv.Reader) error {
		found, next, err := s.Sessions.List(r, req.GetParent(), l.after, l.limit, s.Clock())
		resp.Sessions, resp.NextPageToken = nil, l.next(next)
		for _, each := range found {
			resp.Sessions = append(resp.Sessions, Session(each, sessionOf(caller)))
		}
		return err
	})
	return resp, err
}

// RevokeSession ends one session of an account, or all.
func (s auth) RevokeSession(ctx context.Context, req *identityv1.RevokeSessionRequest) (*identityv1.RevokeSessionResponse, error) {
	name, id, ok := session.Split(req.GetName())
	if _, err := account.ParseName("name", name); err != nil || !ok || id != "-" && !resource.ValidID(id) {
		return nil, errs.InvalidField("name", resource.Reason, "send the name of a session, or one that ends in /sessions/- for all")
	}
	resp, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.RevokeSessionResponse, error) {
		end := func() (int, error) { return s.Sessions.End(tx, req.GetName()) }
		if id == "-" {
			end = func() (int, error) { return s.Sessions.EndAll(tx, name, "") }
		}
		n, err := end()
		if n == 0 {
			tx.Unchanged()
		}
		return &identityv1.RevokeSessionResponse{RevokedCount: int32(n)}, err
	})
	return Everywhere(ctx, s.Centres, name, resp, err)
}

// GetJwks returns the keys that access tokens verify with.
func (s auth) GetJwks(context.Context, *identityv1.GetJwksRequest) (*identityv1.GetJwksResponse, error) {
	resp := &identityv1.GetJwksResponse{}
	for _, k := range s.Keys.Public().Keys {
		resp.Keys = append(resp.Keys, jwk(k))
	}
	return resp, nil
}

// CallerOf returns the caller of an RPC that is open to any, and so must have
// one: without, the interceptors are not there.
func CallerOf(ctx context.Context) (authn.Caller, error) {
	caller, ok := authn.FromContext(ctx)
	if !ok {
		return caller, errs.New(errs.Unauthenticated, "TOKEN_MISSING", "the call needs an access token")
	}
	return caller, nil
}

// sessionOf returns the name of the caller's session, "" when it has none.
func sessionOf(caller authn.Caller) string {
	if caller.Session == "" {
		return ""
	}
	return session.Name(caller.Name, caller.Session)
}

// RemoteAddress returns where a call comes from, "" within the process.
func RemoteAddress(ctx context.Context) string {
	if a := rpc.RemoteAddress(ctx); a.IsValid() {
		return a.String()
	}
	return ""
}
