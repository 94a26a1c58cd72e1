package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// shop is an app of a company, written with the libraries that others use.
type shop struct {
	*company
	provider *oidc.Provider
	config   *oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// callback is where the app's people are sent back to. Nobody listens there: the
// test reads the address.
const callback = "http://127.0.0.1:1/callback"

// openShop registers an app and configures it by discovery.
func openShop(t *testing.T, c *company) *shop {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), c.http)
	if err != nil {
		t.Fatalf("go-oidc does not take the discovery document: %v", err)
	}
	apps := identityv1.NewOAuthClientServiceClient(c.admin.conn("identity"))
	app := need(apps.CreateOAuthClient(t.Context(), &identityv1.CreateOAuthClientRequest{
		Parent: c.name, OauthClientId: "shop", OauthClient: &identityv1.OAuthClient{
			DisplayName: "商店 Shop", Type: identityv1.OAuthClient_TYPE_CONFIDENTIAL, RedirectUris: []string{callback},
			Scopes: []string{"openid", "profile", "email", "offline_access"},
		},
	}))(t)
	key := need(identityv1.NewClientKeyServiceClient(c.admin.conn("identity")).CreateClientKey(t.Context(), &identityv1.CreateClientKeyRequest{
		Parent: app.GetName(), ClientKey: &identityv1.ClientKey{},
	}))(t)
	return &shop{
		company: c, provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: app.GetName()}),
		config: &oauth2.Config{
			ClientID: app.GetName(), ClientSecret: key.GetSecret(), Endpoint: provider.Endpoint(), RedirectURL: callback,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess},
		},
	}
}

// hidden matches the fields that the login page sends back.
var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// step is what a person fills in on a page.
type step func(t *testing.T, page []byte) url.Values

// fill fills the same in on every page.
func fill(what url.Values) step {
	return func(*testing.T, []byte) url.Values { return what }
}

// browse opens the login page, fills it in as a person would, step by step, and
// returns where the browser is sent.
func (s *shop) browse(t *testing.T, address string, steps ...step) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp := need(browser.Get(address))(t)
	for _, next := range steps {
		page := read(t, resp, http.StatusOK)
		form := url.Values{"decision": {"allow"}}
		for _, field := range hidden.FindAllSubmatch(page, -1) {
			form.Set(string(field[1]), unescape(string(field[2])))
		}
		for name, values := range next(t, page) {
			form[name] = values
		}
		resp = need(browser.PostForm(s.http+"/oauth2/authorize", form))(t)
	}
	read(t, resp, http.StatusSeeOther)
	return need(resp.Location())(t)
}

// read returns a page, and fails the test when it comes with another status.
func read(t *testing.T, resp *http.Response, status int) []byte {
	t.Helper()
	page := need(io.ReadAll(resp.Body))(t)
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		t.Fatalf("the page is %d, want %d: %s", resp.StatusCode, status, page)
	}
	return page
}

// unescape undoes what html/template does to the values of fields.
func unescape(text string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(text)
}

// login logs a person in and returns the code and what proves that it is ours.
func (s *shop) login(t *testing.T, mail string, more ...url.Values) (code, verifier, nonce string) {
	t.Helper()
	state := rand.Text()
	verifier, nonce = oauth2.GenerateVerifier(), rand.Text()
	steps := []step{fill(url.Values{"identifier": {mail}, "password": {password}})}
	for _, each := range more {
		steps = append(steps, fill(each))
	}
	to := s.browse(t, s.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)), steps...)
	q := to.Query()
	if !strings.HasPrefix(to.String(), callback+"?") || q.Get("state") != state || q.Get("iss") != s.http || q.Get("code") == "" {
		t.Fatalf("the browser is sent to %s", to)
	}
	return q.Get("code"), verifier, nonce
}

// standardClients: go-oidc and x/oauth2, who know nothing of us but the address,
// log in, refresh, ask who it is, introspect and revoke; and what they must not
// get they do not.
func standardClients(t *testing.T, s *suite) {
	c := s.found(t, grpcDoor)
	shop := openShop(t, c)
	ada := c.enrol("ada")
	t.Run("login", func(t *testing.T) { shop.wholeLife(t, ada) })
	t.Run("replayed code", func(t *testing.T) { shop.replay(t) })
	t.Run("wrong proofs", func(t *testing.T) { shop.wrongProofs(t) })
	t.Run("programs", func(t *testing.T) { program(t, c) })
}

func (s *shop) wholeLife(t *testing.T, ada *person) {
	code, verifier, nonce := s.login(t, "ada@customer.example")
	token := need(s.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)))(t)
	raw, _ := token.Extra("id_token").(string)
	id, err := s.verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("go-oidc does not take the id token: %v", err)
	}
	wants(t, "its subject", id.Subject, ada.name)
	wants(t, "its nonce", id.Nonce, nonce)
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("its at_hash: %v", err)
	}
	info := need(s.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)))(t)
	wants(t, "userinfo's subject", info.Subject, ada.name)
	wants(t, "userinfo's mail", info.Email, "ada@customer.example")

	// What the app was not given it cannot do.
	refused(s.open(t, grpcDoor, token.AccessToken).auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t, errs.Unauthenticated, "TOKEN_INVALID")

	old := *token
	old.Expiry = old.Expiry.AddDate(-1, 0, 0)
	fresh := need(s.config.TokenSource(t.Context(), &old).Token())(t)
	if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
		t.Error("a refresh gives the same tokens again")
	}
	wants(t, "the fresh token is active", s.introspect(t, fresh.AccessToken)["active"], any(true))
	wants(t, "its client", s.introspect(t, fresh.AccessToken)["client_id"], any(s.config.ClientID))
	wants(t, "a made-up token is active", s.introspect(t, "made-up")["active"], any(false))

	wants(t, "revocation", s.post(t, "/oauth2/revoke", url.Values{"token": {fresh.RefreshToken}}).status, http.StatusOK)
	wants(t, "revocation of what is none", s.post(t, "/oauth2/revoke", url.Values{"token": {"made-up"}}).status, http.StatusOK)
	wants(t, "a revoked token is active", s.introspect(t, fresh.AccessToken)["active"], any(false))
	if _, err := s.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(fresh)); err == nil {
		t.Error("a revoked token still says who it is of")
	}
	fresh.Expiry = old.Expiry
	wantGrant(t, "a refresh after revocation", second(s.config.TokenSource(t.Context(), fresh).Token()))
}

func (s *shop) replay(t *testing.T) {
	code, verifier, _ := s.login(t, "ada@customer.example")
	token := need(s.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)))(t)
	wants(t, "the token is active", s.introspect(t, token.AccessToken)["active"], any(true))
	wantGrant(t, "a second exchange", second(s.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))))
	wants(t, "the token of a code that came twice is active", s.introspect(t, token.AccessToken)["active"], any(false))
}

func (s *shop) wrongProofs(t *testing.T) {
	code, verifier, _ := s.login(t, "ada@customer.example")
	wantGrant(t, "another verifier", second(s.config.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier()))))
	elsewhere := *s.config
	elsewhere.RedirectURL = callback + "/"
	wantGrant(t, "another redirect_uri", second(elsewhere.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))))
	stranger := *s.config
	stranger.ClientSecret = "ghs_wrong"
	_, err := stranger.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	wantOAuth(t, "a wrong secret", err, "invalid_client")

	// Nobody is sent to an address that the app does not have.
	resp := need(http.Get(elsewhere.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier))))(t)
	_ = resp.Body.Close()
	wants(t, "the page for another address", resp.StatusCode, http.StatusBadRequest)
	// The code itself is as good as before: none of these was its app.
	need(s.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)))(t)

	denied := s.browse(t, s.config.AuthCodeURL("s1", oauth2.S256ChallengeOption(verifier)), fill(url.Values{"decision": {"deny"}}))
	wants(t, "the answer of who does not want to", denied.Query().Get("error"), "access_denied")
}

// program gets tokens for a service account's key by x/oauth2.
func program(t *testing.T, c *company) {
	programs := identityv1.NewServiceAccountServiceClient(c.admin.conn("identity"))
	account := need(programs.CreateServiceAccount(t.Context(), &identityv1.CreateServiceAccountRequest{
		Parent: c.name, ServiceAccountId: "ci", ServiceAccount: &identityv1.ServiceAccount{DisplayName: "CI"},
	}))(t)
	keys := identityv1.NewClientKeyServiceClient(c.admin.conn("identity"))
	key := need(keys.CreateClientKey(t.Context(), &identityv1.CreateClientKeyRequest{Parent: account.GetName(), ClientKey: &identityv1.ClientKey{}}))(t)
	config := clientcredentials.Config{ClientID: account.GetName(), ClientSecret: key.GetSecret(), TokenURL: c.http + "/oauth2/token"}
	token := need(config.Token(t.Context()))(t)
	api := c.open(t, grpcDoor, token.AccessToken)
	wants(t, "the program", need(api.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t).GetAccount(), account.GetName())
	get := func(ctx context.Context) (*identityv1.Organization, error) {
		return api.organizations.GetOrganization(ctx, &identityv1.GetOrganizationRequest{Name: c.name})
	}
	refused(get(t.Context()))(t, errs.Denied, "PERMISSION_DENIED")
	c.grant(account.GetName(), "roles/viewer", c.name)
	need(get(t.Context()))(t)
	need(programs.DisableServiceAccount(t.Context(), &identityv1.DisableServiceAccountRequest{Name: account.GetName()}))(t)
	refused(get(t.Context()))(t, errs.Unauthenticated, "ACCOUNT_SUSPENDED")
	_, err := config.Token(t.Context())
	wantOAuth(t, "a suspended account's key", err, "invalid_client")
}

// posted is the answer to a form.
type posted struct {
	status int
	body   map[string]any
}

// post sends a form as the app.
func (s *shop) post(t *testing.T, path string, form url.Values) posted {
	t.Helper()
	req := need(http.NewRequestWithContext(t.Context(), http.MethodPost, s.http+path, strings.NewReader(form.Encode())))(t)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(s.config.ClientID), url.QueryEscape(s.config.ClientSecret))
	resp := need(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	return posted{status: resp.StatusCode, body: decodeObject(t, need(io.ReadAll(resp.Body))(t))}
}

func (s *shop) introspect(t *testing.T, token string) map[string]any {
	t.Helper()
	return s.post(t, "/oauth2/introspect", url.Values{"token": {token}}).body
}

func second[T any](_ T, err error) error { return err }

func decodeObject(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func wantGrant(t *testing.T, what string, err error) {
	t.Helper()
	wantOAuth(t, what, err, "invalid_grant")
}

func wantOAuth(t *testing.T, what string, err error, code string) {
	t.Helper()
	fault, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || fault.ErrorCode != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}
