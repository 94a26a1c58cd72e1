package identity_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) apps() identityv1.OAuthClientServiceClient {
	return identityv1.NewOAuthClientServiceClient(p.conn)
}

const (
	callback = "https://shop.example/back?keep=1"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
)

// app makes an app that may ask for all scopes.
func (p *process) app(ctx context.Context, id string, kind identityv1.OAuthClient_Type) *identityv1.OAuthClient {
	p.t.Helper()
	made, err := p.apps().CreateOAuthClient(ctx, &identityv1.CreateOAuthClientRequest{Parent: org, OauthClientId: id, OauthClient: &identityv1.OAuthClient{
		DisplayName: "Shop", Type: kind, RedirectUris: []string{callback},
		Scopes: []string{"openid", "profile", "email", "phone", "offline_access", "api"},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// asking is a request for authorization in order.
func asking(app, scope string) *identityv1.AuthorizationRequest {
	sum := sha256.Sum256([]byte(verifier))
	return &identityv1.AuthorizationRequest{
		ClientId: app, RedirectUri: callback, ResponseType: "code", Scope: scope, Nonce: "n1",
		CodeChallenge: b64.URL.EncodeToString(sum[:]), CodeChallengeMethod: "S256",
	}
}

// authorize logs an account in for an app and returns the code.
func (p *process) authorize(account, app, scope string) string {
	p.t.Helper()
	resp, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{
		Request: asking(app, scope), Identifier: account, Password: goodPassword,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.GetCode()
}

// exchange asks for the tokens of a code.
func (p *process) exchange(c *identityv1.ClientAuthentication, code string) (*identityv1.IssueTokenResponse, error) {
	return p.oauth().IssueToken(context.Background(), &identityv1.IssueTokenRequest{
		GrantType: "authorization_code", Client: c, Code: code, RedirectUri: callback, CodeVerifier: verifier,
	})
}

func (p *process) refresh(c *identityv1.ClientAuthentication, token, scope string) (*identityv1.IssueTokenResponse, error) {
	return p.oauth().IssueToken(context.Background(), &identityv1.IssueTokenRequest{GrantType: "refresh_token", Client: c, RefreshToken: token, Scope: scope})
}

const (
	confidential = identityv1.OAuthClient_TYPE_CONFIDENTIAL
	public       = identityv1.OAuthClient_TYPE_PUBLIC
)

func TestOAuthClient_createUpdateListDelete(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		chief, _ := other(t, p, ctx)
		made := p.app(ctx, "shop", confidential)
		key := p.key(ctx, made.GetName(), &identityv1.ClientKey{})
		updated, err := p.apps().UpdateOAuthClient(ctx, &identityv1.UpdateOAuthClientRequest{
			OauthClient: &identityv1.OAuthClient{Name: made.GetName(), DisplayName: "Store", Etag: made.GetEtag()},
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		})
		if err != nil || updated.GetDisplayName() != "Store" || len(updated.GetRedirectUris()) != 1 {
			t.Errorf("updated: %v %v", updated, err)
		}
		_, err = p.apps().DeleteOAuthClient(ctx, &identityv1.DeleteOAuthClientRequest{Name: made.GetName(), Etag: made.GetEtag()})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = p.apps().GetOAuthClient(chief, &identityv1.GetOAuthClientRequest{Name: made.GetName()})
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("another organisation sees it: %v", err)
		}
		p.app(ctx, "app", public)
		list, err := p.apps().ListOAuthClients(ctx, &identityv1.ListOAuthClientsRequest{Parent: org, PageSize: 1})
		if err != nil || len(list.GetOauthClients()) != 1 || list.GetNextPageToken() == "" {
			t.Errorf("listed: %v %v", list, err)
		}
		_, err = p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: org + "/oauthClients/app", ClientKey: &identityv1.ClientKey{}})
		wantError(t, err, errs.Precondition, "CLIENT_IS_PUBLIC")
		if _, err := p.apps().DeleteOAuthClient(ctx, &identityv1.DeleteOAuthClientRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
		_, err = p.keys().GetClientKey(ctx, &identityv1.GetClientKeyRequest{Name: key.GetName()})
		wantError(t, err, errs.NotFound, "CLIENT_KEY_NOT_FOUND")
		if got := about(p.events(ctx), made.GetName()); strings.Join(got, " ") != "oauth_client.created oauth_client.updated oauth_client.deleted" {
			t.Errorf("events are %v", got)
		}
	})
}

func TestOAuthClient_redirectsNowhereUnsafe(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	try := func(kind identityv1.OAuthClient_Type, address string) error {
		_, err := p.apps().CreateOAuthClient(ctx, &identityv1.CreateOAuthClientRequest{Parent: org, OauthClient: &identityv1.OAuthClient{
			DisplayName: "Shop", Type: kind, RedirectUris: []string{address}, Scopes: []string{"openid"},
		}})
		return err
	}
	for _, address := range []string{"https://shop.example/back", "http://127.0.0.1:8080/back", "http://[::1]/back", "http://localhost/back"} {
		if err := try(confidential, address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := try(public, "com.example.shop:/back"); err != nil {
		t.Errorf("a scheme of its own: %v", err)
	}
	for _, address := range []string{
		"http://shop.example/back", "http://127.0.0.1.evil.example/", "https://", "/back", "//evil.example", "javascript:alert(1)", "data:text/html,x",
		"https://user@shop.example/", "https://shop.example/#part", "https://shop.example/#", "https://shop.example\\@evil.example/", "https://shop.example/ x",
		"https://*.shop.example/", "https://shop.example;script-src/", "https://shop.example,evil.example/", "https://'self'/", "https://shop.example:port/",
		"com.example.shop:/back", // not of a confidential one
	} {
		wantErrorOf(t, address, try(confidential, address), "REDIRECT_URI_INVALID")
	}
}

func TestAuthorize_givesACodeForTokensOfThePerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com", Language: "zh-CN"})
		shop := p.app(ctx, "shop", confidential).GetName()
		c := by(shop, p.key(ctx, shop, &identityv1.ClientKey{}).GetSecret())
		tokens, err := p.exchange(c, p.authorize("ada@example.com", shop, "openid profile api offline_access"))
		if err != nil || tokens.GetIdToken() == "" || tokens.GetRefreshToken() == "" || tokens.GetScope() != "openid profile api offline_access" {
			t.Fatalf("exchanged for %v %v", tokens, err)
		}
		me, err := p.whoAmI(tokens.GetAccessToken())
		if err != nil || me.GetAccount() != ada.GetName() {
			t.Errorf("with api the token speaks for %v %v", me, err)
		}
		info, err := p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: tokens.GetAccessToken()})
		if err != nil || info.GetSub() != ada.GetName() || info.GetName() != "Ada" || info.GetLocale() != "zh-CN" || info.GetEmail() != "" {
			t.Errorf("userinfo: %v %v", info, err)
		}
		sessions, err := p.auth().ListSessions(ctx, &identityv1.ListSessionsRequest{Parent: ada.GetName()})
		if err != nil || len(sessions.GetSessions()) != 2 || sessions.GetSessions()[0].GetClient() != shop {
			t.Errorf("sessions: %v %v", sessions, err)
		}
		if _, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: sessions.GetSessions()[0].GetName()}); err != nil {
			t.Fatal(err)
		}
		_, err = p.whoAmI(tokens.GetAccessToken())
		wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
		_, err = p.refresh(c, tokens.GetRefreshToken(), "")
		wantErrorOf(t, "a refresh after that", err, "INVALID_GRANT")
	})
}

func TestAuthorize_withoutAPIATokenOpensNothingElse(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
	phone := p.app(ctx, "phone", public).GetName()
	tokens, err := p.exchange(by(phone, ""), p.authorize("ada@example.com", phone, "openid email"))
	if err != nil || tokens.GetRefreshToken() != "" {
		t.Fatalf("exchanged for %v %v: no offline_access, no refresh token", tokens, err)
	}
	_, err = p.whoAmI(tokens.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "TOKEN_INVALID")
	info, err := p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: tokens.GetAccessToken()})
	if err != nil || info.GetEmail() != "ada@example.com" || info.GetName() != "" {
		t.Errorf("userinfo: %v %v", info, err)
	}
	// An id token is no access token (RFC 8725 section 3.11).
	for _, token := range []string{tokens.GetIdToken(), "x", ""} {
		_, err := p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: token})
		wantErrorOf(t, "userinfo of another token", err, "TOKEN_INVALID")
	}
	_, err = p.whoAmI(tokens.GetIdToken())
	wantError(t, err, errs.Unauthenticated, "TOKEN_INVALID")
	plain, err := p.exchange(by(phone, ""), p.authorize("ada@example.com", phone, "email"))
	if err != nil || plain.GetIdToken() != "" {
		t.Fatalf("without openid: %v %v", plain, err)
	}
	_, err = p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: plain.GetAccessToken()})
	wantError(t, err, errs.Denied, "INSUFFICIENT_SCOPE")
	if _, err := p.oauth().IntrospectToken(context.Background(), &identityv1.IntrospectTokenRequest{Token: tokens.GetAccessToken(), Client: by(phone, "")}); errs.ReasonOf(err) != "INVALID_CLIENT" {
		t.Errorf("a public app introspects: %v", err)
	}
}

func TestAuthorizationCode_isForOneUseAndOneApp(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	ada, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
	shop := p.app(ctx, "shop", confidential).GetName()
	c := by(shop, p.key(ctx, shop, &identityv1.ClientKey{}).GetSecret())
	thief := by(p.app(ctx, "thief", public).GetName(), "")
	code := p.authorize("ada@example.com", shop, "openid api offline_access")
	spoilt := func(change func(*identityv1.IssueTokenRequest)) error {
		req := &identityv1.IssueTokenRequest{GrantType: "authorization_code", Client: c, Code: code, RedirectUri: callback, CodeVerifier: verifier}
		change(req)
		_, err := p.oauth().IssueToken(context.Background(), req)
		return err
	}
	for label, change := range map[string]func(*identityv1.IssueTokenRequest){
		"another code":         func(r *identityv1.IssueTokenRequest) { r.Code = "ghc_x" },
		"another app":          func(r *identityv1.IssueTokenRequest) { r.Client = thief },
		"another redirect_uri": func(r *identityv1.IssueTokenRequest) { r.RedirectUri = "https://shop.example/back" },
		"another verifier":     func(r *identityv1.IssueTokenRequest) { r.CodeVerifier = strings.Repeat("x", 43) },
	} {
		wantErrorOf(t, label, spoilt(change), "INVALID_GRANT")
	}
	wantErrorOf(t, "no verifier", spoilt(func(r *identityv1.IssueTokenRequest) { r.CodeVerifier = "" }), "INVALID_REQUEST")
	wantErrorOf(t, "a wrong secret", spoilt(func(r *identityv1.IssueTokenRequest) { r.Client = by(shop, "x") }), "INVALID_CLIENT")
	tokens, err := p.exchange(c, code)
	if err != nil {
		t.Fatalf("the code after all that: %v", err)
	}
	// Used twice it ends what it gave (RFC 6749 section 4.1.2).
	_, err = p.exchange(c, code)
	wantErrorOf(t, "a second time", err, "INVALID_GRANT")
	_, err = p.whoAmI(tokens.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
	_, err = p.refresh(c, tokens.GetRefreshToken(), "")
	wantErrorOf(t, "its refresh token", err, "INVALID_GRANT")

	late := p.authorize("ada@example.com", shop, "openid")
	p.clock.advance(61 * time.Second)
	_, err = p.exchange(c, late)
	wantErrorOf(t, "after a minute", err, "INVALID_GRANT")
	reset := p.authorize("ada@example.com", shop, "openid")
	if _, err := p.auth().CreateInvitation(p.asAdminAgain(), &identityv1.CreateInvitationRequest{Account: ada.GetName(), ResetPassword: true}); err != nil {
		t.Fatal(err)
	}
	_, err = p.exchange(c, reset)
	wantErrorOf(t, "a code from before the password was reset", err, "INVALID_GRANT")
}

func TestRefreshToken_ofAnAppRotatesAndIsItsAlone(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
	shop := p.app(ctx, "shop", confidential).GetName()
	c := by(shop, p.key(ctx, shop, &identityv1.ClientKey{}).GetSecret())
	thief := by(p.app(ctx, "thief", public).GetName(), "")
	first, err := p.exchange(c, p.authorize("ada@example.com", shop, "openid api offline_access"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.refresh(thief, first.GetRefreshToken(), "")
	wantErrorOf(t, "another app", err, "INVALID_GRANT")
	_, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: first.GetRefreshToken()})
	wantErrorOf(t, "the suite's own refresh", err, "REFRESH_TOKEN_INVALID")
	_, err = p.refresh(c, first.GetRefreshToken(), "openid phone")
	wantErrorOf(t, "more than was agreed to", err, "INVALID_SCOPE")
	second, err := p.refresh(c, first.GetRefreshToken(), "openid")
	if err != nil || second.GetScope() != "openid" || second.GetRefreshToken() == first.GetRefreshToken() {
		t.Fatalf("refreshed to %v %v", second, err)
	}
	third, err := p.refresh(c, second.GetRefreshToken(), "")
	if err != nil || third.GetScope() != "openid api offline_access" {
		t.Fatalf("all of it again: %v %v", third, err)
	}
	// One behind the last that came back is a thief's, or its victim's.
	_, err = p.refresh(c, first.GetRefreshToken(), "")
	wantErrorOf(t, "an old token", err, "INVALID_GRANT")
	_, err = p.whoAmI(third.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
}

func TestPrepareAuthorization_saysWhereAnErrorMayGo(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	shop := p.app(ctx, "shop", confidential).GetName()
	prepare := func(change func(*identityv1.AuthorizationRequest)) (*identityv1.PrepareAuthorizationResponse, error) {
		q := asking(shop, "openid")
		change(q)
		return p.oauth().PrepareAuthorization(context.Background(), &identityv1.PrepareAuthorizationRequest{Request: q})
	}
	got, err := prepare(func(*identityv1.AuthorizationRequest) {})
	if err != nil || got.GetError() != "" || got.GetClientDisplayName() != "Shop" || got.GetOrganization() != org {
		t.Errorf("in order: %v %v", got, err)
	}
	for code, change := range map[string]func(*identityv1.AuthorizationRequest){
		"unsupported_response_type": func(q *identityv1.AuthorizationRequest) { q.ResponseType = "token" },
		"invalid_scope":             func(q *identityv1.AuthorizationRequest) { q.Scope = "openid everything" },
		"invalid_request":           func(q *identityv1.AuthorizationRequest) { q.CodeChallengeMethod = "plain" },
		"login_required":            func(q *identityv1.AuthorizationRequest) { q.Prompt = "none" },
	} {
		if got, err := prepare(change); err != nil || got.GetError() != code {
			t.Errorf("%s: %v %v", code, got, err)
		}
	}
	for _, address := range []string{"", "https://shop.example/back", callback + "&more=1", strings.ToUpper(callback), "https://evil.example/"} {
		_, err := prepare(func(q *identityv1.AuthorizationRequest) { q.RedirectUri = address })
		wantErrorOf(t, address, err, "INVALID_REDIRECT_URI")
	}
	_, err = prepare(func(q *identityv1.AuthorizationRequest) { q.ClientId = org + "/oauthClients/none" })
	wantErrorOf(t, "an unknown app", err, "INVALID_CLIENT")
	if _, err := p.apps().UpdateOAuthClient(ctx, &identityv1.UpdateOAuthClientRequest{OauthClient: &identityv1.OAuthClient{Name: shop, Disabled: true}}); err != nil {
		t.Fatal(err)
	}
	_, err = prepare(func(*identityv1.AuthorizationRequest) {})
	wantErrorOf(t, "a disabled app", err, "INVALID_CLIENT")
}

// TestAuthorize_isTheLoginThatEverybodyPasses: the same refusals, and no more is
// learned from them.
func TestAuthorize_isTheLoginThatEverybodyPasses(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	shop := p.app(p.asAdmin(), "shop", public).GetName()
	before := p.count("guildhall.identity.logins")
	for identifier, password := range map[string]string{admin: "wrong", "nobody@example.com": goodPassword, "organizations/other/staff/chief": goodPassword} {
		_, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: asking(shop, "openid"), Identifier: identifier, Password: password})
		wantErrorOf(t, identifier, err, "LOGIN_FAILED")
	}
	if n := p.count("guildhall.identity.logins") - before; n != 3 {
		t.Errorf("%d of 3 logins were counted", n)
	}
	_, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: asking(shop, "nothing"), Identifier: admin, Password: goodPassword})
	wantErrorOf(t, "a request with a fault", err, "AUTHORIZATION_INVALID")
}
