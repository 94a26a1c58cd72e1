package identity_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) oauth() identityv1.OAuthServiceClient {
	return identityv1.NewOAuthServiceClient(p.conn)
}

// by is a client with a secret.
func by(client, secret string) *identityv1.ClientAuthentication {
	return &identityv1.ClientAuthentication{ClientId: client, ClientSecret: secret}
}

// asserted is a client with a JWT that the key signed.
func asserted(t testing.TB, private jose.JSONWebKey, alg jose.SignatureAlgorithm, typ jose.ContentType, claims map[string]any) *identityv1.ClientAuthentication {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return &identityv1.ClientAuthentication{ClientAssertionType: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", ClientAssertion: text}
}

// credentials asks for a token for a key.
func (p *process) credentials(c *identityv1.ClientAuthentication) (*identityv1.IssueTokenResponse, error) {
	return p.oauth().IssueToken(context.Background(), &identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: c})
}

// whoAmI asks whom an access token speaks for.
func (p *process) whoAmI(token string) (*identityv1.WhoAmIResponse, error) {
	return p.auth().WhoAmI(with(&identityv1.TokenSet{AccessToken: token}), &identityv1.WhoAmIRequest{})
}

// isActive reports whether a token is, in the eyes of a client.
func (p *process) isActive(c *identityv1.ClientAuthentication, token string) bool {
	p.t.Helper()
	resp, err := p.oauth().IntrospectToken(context.Background(), &identityv1.IntrospectTokenRequest{Token: token, Client: c})
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.GetActive()
}

func TestClientCredentials_aKeyGivesTokensUntilItIsRevoked(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		name := p.program(ctx, "ci").GetName()
		key := p.key(ctx, name, &identityv1.ClientKey{})
		c := by(name, key.GetSecret())
		got, err := p.credentials(c)
		if err != nil || got.GetTokenType() != "Bearer" || got.GetScope() != "api" || got.GetExpiresIn() != 300 {
			t.Fatalf("got %v %v", got, err)
		}
		me, err := p.whoAmI(got.GetAccessToken())
		if err != nil || me.GetAccount() != name || me.GetOrganization() != org {
			t.Errorf("the token speaks for %v %v", me, err)
		}
		if used, _ := p.keys().GetClientKey(ctx, &identityv1.GetClientKeyRequest{Name: key.GetName()}); !used.GetLastUsedTime().AsTime().Equal(p.clock.now().Truncate(time.Minute)) {
			t.Errorf("last used %v, want now to the minute", used.GetLastUsedTime().AsTime())
		}
		if _, err := p.keys().RevokeClientKey(ctx, &identityv1.RevokeClientKeyRequest{Name: key.GetName()}); err != nil {
			t.Fatal(err)
		}
		_, err = p.whoAmI(got.GetAccessToken())
		wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
		_, err = p.credentials(c)
		wantError(t, err, errs.Unauthenticated, "INVALID_CLIENT")
		// A key that gets the name begins anew.
		p.clock.advance(time.Second)
		again, err := p.keys().CreateClientKey(ctx, &identityv1.CreateClientKeyRequest{Parent: name, ClientKeyId: key.GetName()[len(name)+len("/clientKeys/"):], ClientKey: &identityv1.ClientKey{}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err = p.credentials(by(name, again.GetSecret())); err != nil {
			t.Fatal(err)
		}
		if _, err := p.whoAmI(got.GetAccessToken()); err != nil {
			t.Errorf("the token of a later key of the name: %v", err)
		}
	})
}

func TestClientCredentials_suspensionAndDeletionEndTokens(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	c := by(name, p.key(ctx, name, &identityv1.ClientKey{}).GetSecret())
	first, err := p.credentials(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.programs().DisableServiceAccount(ctx, &identityv1.DisableServiceAccountRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	_, err = p.whoAmI(first.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "ACCOUNT_SUSPENDED")
	_, err = p.credentials(c)
	wantError(t, err, errs.Unauthenticated, "INVALID_CLIENT")
	if _, err := p.programs().EnableServiceAccount(ctx, &identityv1.EnableServiceAccountRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	// The key is good again; the token from before is not.
	_, err = p.whoAmI(first.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
	second, err := p.credentials(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.whoAmI(second.GetAccessToken()); err != nil {
		t.Error(err)
	}
	if _, err := p.programs().DeleteServiceAccount(ctx, &identityv1.DeleteServiceAccountRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	_, err = p.whoAmI(second.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "ACCOUNT_SUSPENDED")
}

func TestClientCredentials_bothKeysOfARotationAreGood(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	old := p.key(ctx, name, &identityv1.ClientKey{})
	fresh, err := p.keys().RotateClientKey(ctx, &identityv1.RotateClientKeyRequest{Name: old.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{old.GetSecret(), fresh.GetSecret()} {
		if _, err := p.credentials(by(name, secret)); err != nil {
			t.Errorf("within the overlap: %v", err)
		}
	}
	p.clock.advance(25 * time.Hour)
	_, err = p.credentials(by(name, old.GetSecret()))
	wantError(t, err, errs.Unauthenticated, "INVALID_CLIENT")
	if _, err := p.credentials(by(name, fresh.GetSecret())); err != nil {
		t.Errorf("the new key after the overlap: %v", err)
	}
}

func TestIssueToken_refuses(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	secret := p.key(ctx, name, &identityv1.ClientKey{}).GetSecret()
	elsewhere := p.program(ctx, "other").GetName()
	for label, c := range map[string]struct {
		req    *identityv1.IssueTokenRequest
		reason string
	}{
		"no grant type":       {&identityv1.IssueTokenRequest{Client: by(name, secret)}, "INVALID_REQUEST"},
		"a password":          {&identityv1.IssueTokenRequest{GrantType: "password", Client: by(name, secret)}, "UNSUPPORTED_GRANT_TYPE"},
		"no client":           {&identityv1.IssueTokenRequest{GrantType: "client_credentials"}, "INVALID_CLIENT"},
		"no proof":            {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(name, "")}, "INVALID_CLIENT"},
		"a wrong secret":      {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(name, secret+"x")}, "INVALID_CLIENT"},
		"another's secret":    {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(elsewhere, secret)}, "INVALID_CLIENT"},
		"an unknown client":   {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(org+"/serviceAccounts/none", secret)}, "INVALID_CLIENT"},
		"a person":            {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(admin, goodPassword)}, "INVALID_CLIENT"},
		"another scope":       {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: by(name, secret), Scope: "api admin"}, "INVALID_SCOPE"},
		"two proofs":          {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: &identityv1.ClientAuthentication{ClientId: name, ClientSecret: secret, ClientAssertionType: "x", ClientAssertion: "y"}}, "INVALID_REQUEST"},
		"another assertion":   {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: &identityv1.ClientAuthentication{ClientId: name, ClientAssertionType: "x", ClientAssertion: "y"}}, "INVALID_REQUEST"},
		"a damaged assertion": {&identityv1.IssueTokenRequest{GrantType: "client_credentials", Client: &identityv1.ClientAuthentication{ClientAssertionType: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", ClientAssertion: "a.b.c"}}, "INVALID_CLIENT"},
	} {
		if _, err := p.oauth().IssueToken(context.Background(), c.req); errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %s", label, err, c.reason)
		}
	}
}

// TestPrivateKeyJWT_isHeldToRFC7523 also holds it to RFC 8725: of the algorithms
// the key decides, of the type the server.
func TestPrivateKeyJWT_isHeldToRFC7523(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	public, private := newJWK(t)
	p.key(ctx, name, &identityv1.ClientKey{PublicJwk: public})
	ids := 0
	claims := func(changes map[string]any) map[string]any {
		ids++
		out := map[string]any{"iss": name, "sub": name, "aud": issuer, "exp": p.clock.now().Add(time.Minute).Unix(), "jti": ids}
		out["jti"] = time.Duration(ids).String()
		maps.Copy(out, changes)
		maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
		return out
	}
	ask := func(typ jose.ContentType, c map[string]any) error {
		_, err := p.credentials(asserted(t, private, jose.EdDSA, typ, c))
		return err
	}
	for label, c := range map[string]map[string]any{
		"the issuer as audience": claims(nil),
		"the token endpoint":     claims(map[string]any{"aud": issuer + "/oauth2/token"}),
		"issued just now":        claims(map[string]any{"iat": p.clock.now().Unix(), "nbf": p.clock.now().Unix()}),
	} {
		if err := ask("JWT", c); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
	once := claims(nil)
	if err := ask("client-authentication+jwt", once); err != nil {
		t.Fatal(err)
	}
	now := p.clock.now()
	for label, c := range map[string]map[string]any{
		"used before":            once,
		"no id":                  claims(map[string]any{"jti": nil}),
		"no expiry":              claims(map[string]any{"exp": nil}),
		"expired":                claims(map[string]any{"exp": now.Add(-authn.Skew - time.Second).Unix()}),
		"good for hours":         claims(map[string]any{"exp": now.Add(time.Hour).Unix()}),
		"of the future":          claims(map[string]any{"nbf": now.Add(5 * time.Minute).Unix()}),
		"for another":            claims(map[string]any{"aud": "https://elsewhere.example"}),
		"for two":                claims(map[string]any{"aud": []string{issuer, "https://elsewhere.example"}}),
		"for nobody":             claims(map[string]any{"aud": nil}),
		"by another issuer":      claims(map[string]any{"iss": admin}),
		"for another subject":    claims(map[string]any{"sub": org + "/serviceAccounts/other", "iss": org + "/serviceAccounts/other"}),
		"claims of another type": claims(map[string]any{"exp": "soon"}),
	} {
		wantErrorOf(t, label, ask("JWT", c), "INVALID_CLIENT")
	}
	wantErrorOf(t, "an access token's type", ask("at+jwt", claims(nil)), "INVALID_CLIENT")
	_, foreign := newJWK(t)
	_, err := p.credentials(asserted(t, foreign, jose.EdDSA, "JWT", claims(nil)))
	wantErrorOf(t, "another key", err, "INVALID_CLIENT")
	_, err = p.credentials(asserted(t, jose.JSONWebKey{Key: []byte(public)[:64]}, jose.HS256, "JWT", claims(nil)))
	wantErrorOf(t, "the public key as a secret", err, "INVALID_CLIENT")
}

func wantErrorOf(t testing.TB, label string, err error, reason string) {
	t.Helper()
	if errs.ReasonOf(err) != reason {
		t.Errorf("%s: %v, want %s", label, err, reason)
	}
}

func TestIntrospectToken_saysWhetherATokenIsGoodNow(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	name := p.program(ctx, "ci").GetName()
	c := by(name, p.key(ctx, name, &identityv1.ClientKey{}).GetSecret())
	mine, err := p.credentials(c)
	if err != nil {
		t.Fatal(err)
	}
	ada, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	resp, err := p.oauth().IntrospectToken(context.Background(), &identityv1.IntrospectTokenRequest{Token: tokens.GetAccessToken(), Client: c})
	if err != nil || !resp.GetActive() || resp.GetSub() != ada.GetName() || resp.GetClientId() != "guildhall" || resp.GetIss() != issuer || resp.GetJti() == "" || resp.GetAud() != "guildhall" {
		t.Errorf("of a person's token it says %v %v", resp, err)
	}
	if !p.isActive(c, mine.GetAccessToken()) || !p.isActive(c, tokens.GetRefreshToken()) {
		t.Error("good tokens are not active")
	}
	for _, token := range []string{"x", tokens.GetAccessToken() + "x", "ghr_AAAA", "organizations/acme"} {
		if p.isActive(c, token) {
			t.Errorf("%q is active", token)
		}
	}
	if _, err := p.oauth().IntrospectToken(context.Background(), &identityv1.IntrospectTokenRequest{Token: mine.GetAccessToken()}); errs.ReasonOf(err) != "INVALID_CLIENT" {
		t.Errorf("who does not say who it is: %v", err)
	}
	// Another organisation's program learns nothing.
	spy, err := p.programs().CreateServiceAccount(chief, &identityv1.CreateServiceAccountRequest{Parent: "organizations/other", ServiceAccount: &identityv1.ServiceAccount{DisplayName: "Spy"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.isActive(by(spy.GetName(), p.key(chief, spy.GetName(), &identityv1.ClientKey{}).GetSecret()), tokens.GetAccessToken()) {
		t.Error("a program sees another organisation's token")
	}
	if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: ada.GetName()}); err != nil {
		t.Fatal(err)
	}
	if p.isActive(c, tokens.GetAccessToken()) || p.isActive(c, tokens.GetRefreshToken()) {
		t.Error("tokens of a suspended account are active")
	}
	p.clock.advance(6 * time.Minute)
	if p.isActive(c, mine.GetAccessToken()) {
		t.Error("an expired token is active")
	}
}

func TestRevokeToken_endsTheClientsOwn(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := p.program(ctx, "ci").GetName()
	c := by(name, p.key(ctx, name, &identityv1.ClientKey{}).GetSecret())
	mine, err := p.credentials(c)
	if err != nil {
		t.Fatal(err)
	}
	_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	revoke := func(c *identityv1.ClientAuthentication, token string) error {
		_, err := p.oauth().RevokeToken(context.Background(), &identityv1.RevokeTokenRequest{Token: token, Client: c})
		return err
	}
	if err := revoke(c, "nothing of ours"); err != nil {
		t.Errorf("an unknown token: %v", err)
	}
	wantErrorOf(t, "another's token", revoke(c, tokens.GetAccessToken()), "UNAUTHORIZED_CLIENT")
	wantErrorOf(t, "no client", revoke(nil, mine.GetAccessToken()), "INVALID_CLIENT")
	if err := revoke(c, mine.GetAccessToken()); err != nil {
		t.Fatal(err)
	}
	_, err = p.whoAmI(mine.GetAccessToken())
	wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
	if err := revoke(c, mine.GetAccessToken()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	// The key itself is as good as before.
	if mine, err = p.credentials(c); err != nil {
		t.Fatal(err)
	}
	if _, err := p.whoAmI(mine.GetAccessToken()); err != nil {
		t.Error(err)
	}
}
