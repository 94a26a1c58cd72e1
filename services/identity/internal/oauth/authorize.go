package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/access"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/session"
)

// challengeLength is that of a SHA-256 in base64url (RFC 7636 section 4.2).
const challengeLength = 43

// fault is what is wrong with a request for authorization in which the client and
// its address are in order: an error to send there (RFC 6749 section 4.1.2.1).
type fault struct{ code, description string }

// PrepareAuthorization says what to show the person who is asked. Errors, after
// which nobody may be sent anywhere, are Unauthenticated (INVALID_CLIENT) and
// Invalid (INVALID_REDIRECT_URI).
func (s *Server) PrepareAuthorization(ctx context.Context, req *identityv1.PrepareAuthorizationRequest) (resp *identityv1.PrepareAuthorizationResponse, err error) {
	err = s.cfg.Store.View(ctx, func(r kv.Reader) error {
		a, asked, wrong, err := s.requested(r, req.GetRequest())
		if err != nil {
			return err
		}
		if wrong.code != "" {
			resp = &identityv1.PrepareAuthorizationResponse{Error: wrong.code, ErrorDescription: wrong.description}
			return nil
		}
		organization, err := s.cfg.Organizations.Get(r, resource.Parent(a.GetName()))
		if err != nil {
			return err
		}
		options, err := s.cfg.Gate.PasskeyOptions(a.GetName())
		if err != nil {
			return err
		}
		resp = &identityv1.PrepareAuthorizationResponse{
			ClientDisplayName: a.GetDisplayName(), OrganizationDisplayName: organization.GetDisplayName(),
			Organization: organization.GetName(), Scopes: asked, PasskeyOptions: options,
		}
		return nil
	})
	return resp, err
}

// Authorize logs a person in, as AuthService.Login does, and returns a code for
// the app, or a challenge, whose answer gets the code. Errors are those of
// PrepareAuthorization and of access.Gate's Enter, Answer and EnterByPasskey, and
// Invalid (AUTHORIZATION_INVALID) for a request that has a fault.
func (s *Server) Authorize(ctx context.Context, req *identityv1.AuthorizeRequest, address string) (*identityv1.AuthorizeResponse, error) {
	// Before the login, so that no password is tried for nothing; and within it
	// again, for the app may have changed.
	if err := s.cfg.Store.View(ctx, func(r kv.Reader) error {
		_, _, err := s.inOrder(r, req.GetRequest())
		return err
	}); err != nil {
		return nil, err
	}
	code := session.NewCode()
	purpose := access.Purpose{Client: req.GetRequest().GetClientId(), Open: s.promise(req.GetRequest(), code)}
	e, err := s.enter(ctx, req, address, purpose)
	switch {
	case err != nil:
		return nil, err
	case e.Challenge != nil:
		return &identityv1.AuthorizeResponse{Challenge: e.Challenge}, nil
	}
	return &identityv1.AuthorizeResponse{Code: code}, nil
}

// enter logs a person in by passkey, by password, or by the answer to the challenge
// that the password got.
func (s *Server) enter(ctx context.Context, req *identityv1.AuthorizeRequest, address string, p access.Purpose) (access.Entry, error) {
	organization := resource.Parent(p.Client)
	if key := req.GetPasskey(); key != nil {
		return s.cfg.Gate.EnterByPasskey(ctx, req, access.Key{Credential: key, Organization: organization}, address, p)
	}
	if answer := req.GetAnswer(); answer != nil {
		return s.cfg.Gate.Answer(ctx, req, answer, address, p)
	}
	return s.cfg.Gate.Enter(ctx, &identityv1.LoginRequest{
		Organization: organization, Identifier: req.GetIdentifier(), Password: req.GetPassword(), NewPassword: req.GetNewPassword(),
	}, address, p)
}

// promise returns what a login for an app opens: the code.
func (s *Server) promise(q *identityv1.AuthorizationRequest, code string) func(*change.Tx, string, string, session.Login) (*storev1.Session, error) {
	return func(tx *change.Tx, account, id string, l session.Login) (*storev1.Session, error) {
		a, asked, err := s.inOrder(tx, q)
		if err != nil {
			return nil, err
		}
		l.Device = a.GetDisplayName()
		return &storev1.Session{Name: session.Name(account, id)}, s.cfg.Sessions.Promise(tx, account, code, &storev1.AuthorizationCode{
			Client: a.GetName(), RedirectUri: q.GetRedirectUri(), CodeChallenge: q.GetCodeChallenge(), Nonce: q.GetNonce(), Scopes: asked,
		}, l)
	}
}

// inOrder is requested with faults as errors.
func (s *Server) inOrder(r kv.Reader, q *identityv1.AuthorizationRequest) (*identityv1.OAuthClient, []string, error) {
	a, asked, wrong, err := s.requested(r, q)
	if err == nil && wrong.code != "" {
		err = errs.New(errs.Invalid, "AUTHORIZATION_INVALID", wrong.description)
	}
	return a, asked, err
}

// requested reads a request for authorization: the app, the scopes it asks for,
// and what is wrong with it.
func (s *Server) requested(r kv.Reader, q *identityv1.AuthorizationRequest) (*identityv1.OAuthClient, []string, fault, error) {
	a, err := s.app(r, q.GetClientId())
	if err != nil {
		return nil, nil, fault{}, err
	}
	if !app.MayRedirect(a, q.GetRedirectUri()) {
		return nil, nil, fault{}, errs.New(errs.Invalid, "INVALID_REDIRECT_URI", "redirect_uri is none of those that the app registered")
	}
	asked, err := scopes(q.GetScope(), a.GetScopes())
	switch {
	case q.GetResponseType() != "code":
		return a, nil, fault{"unsupported_response_type", "response_type is code"}, nil
	case q.GetResponseMode() != "" && q.GetResponseMode() != "query":
		return a, nil, fault{"invalid_request", "response_mode is query"}, nil
	case q.GetCodeChallengeMethod() != "S256" || len(q.GetCodeChallenge()) != challengeLength:
		return a, nil, fault{"invalid_request", "send code_challenge with code_challenge_method S256 (RFC 7636)"}, nil
	case err != nil:
		return a, nil, fault{"invalid_scope", "ask for scopes that the app may have"}, nil
	case slices.Contains(strings.Fields(q.GetPrompt()), "none"):
		return a, nil, fault{"login_required", "a person logs in for each authorization"}, nil
	}
	return a, asked, fault{}, nil
}

// app returns an app that may have tokens. The error is Unauthenticated
// (INVALID_CLIENT).
func (s *Server) app(r kv.Reader, name string) (*identityv1.OAuthClient, error) {
	if !app.Pattern.Matches(name) {
		return nil, invalidClient(errors.New("no client has such a name"))
	}
	a, err := s.cfg.Apps.Get(r, name)
	switch {
	case errs.Is(err, errs.NotFound):
		return nil, invalidClient(err)
	case err == nil && a.GetDisabled():
		return nil, invalidClient(errors.New("the app is disabled"))
	}
	return a, err
}
