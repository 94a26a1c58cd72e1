package oauth

import (
	"context"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/contact"
)

// GetUserInfo says who the person is whose access token it is. Errors are
// Unauthenticated (TOKEN_INVALID) for a token that is not good now, and Denied
// (INSUFFICIENT_SCOPE).
func (s *Server) GetUserInfo(ctx context.Context, req *identityv1.GetUserInfoRequest) (info *identityv1.UserInfo, err error) {
	err = s.cfg.Store.View(ctx, func(r kv.Reader) error {
		t, err := s.access(r, req.GetAccessToken(), s.cfg.Clock())
		if err != nil {
			return err
		}
		if t == nil {
			return tokenInvalid()
		}
		granted := strings.Fields(t.claims.Scope)
		if !slices.Contains(granted, OpenID) || t.session == nil {
			return errs.New(errs.Denied, "INSUFFICIENT_SCOPE", "the token needs the scope openid")
		}
		rec, found, err := s.cfg.Accounts.Find(r, t.claims.Subject)
		if err != nil {
			return err
		}
		if !found || !account.CanLogIn(rec.Value) {
			return tokenInvalid()
		}
		info = about(rec.Value, granted)
		return nil
	})
	return info, err
}

func tokenInvalid() error {
	return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the token is not valid here")
}

// about returns of an account what the scopes allow (OpenID Connect Core section
// 5.4).
func about(a *storev1.Account, granted []string) *identityv1.UserInfo {
	info := &identityv1.UserInfo{Sub: a.GetName()}
	for _, scope := range granted {
		switch scope {
		case "profile":
			info.Name, info.Locale = a.GetDisplayName(), a.GetLanguage()
		case "email":
			info.Email, info.EmailVerified = a.GetEmail(), contact.Verified(a, identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL)
		case "phone":
			info.PhoneNumber, info.PhoneNumberVerified = a.GetPhone(), contact.Verified(a, identityv1.MessageChannel_MESSAGE_CHANNEL_SMS)
		}
	}
	return info
}
