package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// sendForm posts a form.
func sendForm(t testing.TB, h http.Handler, path string, values url.Values, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, h, "POST", path, values.Encode(), append([]string{"Content-Type", "", "Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(user)+":"+url.QueryEscape(password)))
}

func TestOAuth_metadataSaysWhereEverythingIs(t *testing.T) {
	h := newHandler(t, &calls{})
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		w := send(t, h, "GET", path, "")
		wantStatus(t, w, 200)
		got := jsonOf(t, w.Body.Bytes())
		if got["issuer"] != "https://api.example" || got["token_endpoint"] != "https://api.example/oauth2/token" || got["jwks_uri"] != "https://api.example/.well-known/jwks.json" {
			t.Errorf("%s answers %v", path, got)
		}
		wantStatus(t, send(t, h, "POST", path, "{}"), 405)
	}
}

func TestOAuth_clientsProveThemselvesInOneWay(t *testing.T) {
	c := &calls{answer: func(_ string, _, reply proto.Message) error {
		return fill(reply, &identityv1.IssueTokenResponse{AccessToken: "at", TokenType: "Bearer", ExpiresIn: 300, Scope: "api"})
	}}
	h := newHandler(t, c)
	const id, secret = "organizations/acme/serviceAccounts/ci", "gh:s+1 %"
	grant := func(more url.Values) url.Values {
		more.Set("grant_type", "client_credentials")
		return more
	}
	for name, w := range map[string]func() *httptest.ResponseRecorder{
		"by header": func() *httptest.ResponseRecorder {
			return sendForm(t, h, "/oauth2/token", grant(url.Values{"unknown": {"x"}}), "Authorization", basic(id, secret))
		},
		"by form": func() *httptest.ResponseRecorder {
			return sendForm(t, h, "/oauth2/token", grant(url.Values{"client_id": {id}, "client_secret": {secret}}))
		},
	} {
		got := w()
		wantStatus(t, got, 200)
		if got.Header().Get("Cache-Control") != "no-store" || got.Header().Get("Pragma") != "no-cache" {
			t.Errorf("%s: the answer may be cached: %v", name, got.Header())
		}
		if answer := jsonOf(t, got.Body.Bytes()); answer["access_token"] != "at" || answer["expires_in"] != 300.0 || answer["token_type"] != "Bearer" || answer["refresh_token"] != nil {
			t.Errorf("%s: answered %v", name, answer)
		}
		_, args := c.last()
		if req := args.(*identityv1.IssueTokenRequest); req.GetClient().GetClientId() != id || req.GetClient().GetClientSecret() != secret {
			t.Errorf("%s: identity was asked %v", name, req)
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"both":      sendForm(t, h, "/oauth2/token", grant(url.Values{"client_secret": {secret}}), "Authorization", basic(id, secret)),
		"two ids":   sendForm(t, h, "/oauth2/token", grant(url.Values{"client_id": {"another"}}), "Authorization", basic(id, secret)),
		"twice":     sendForm(t, h, "/oauth2/token", url.Values{"grant_type": {"a", "b"}}),
		"in a URL":  sendForm(t, h, "/oauth2/token?client_secret=x", grant(url.Values{})),
		"JSON":      send(t, h, "POST", "/oauth2/token", `{"grant_type":"client_credentials"}`),
		"no escape": send(t, h, "POST", "/oauth2/token", "grant_type=%zz", "Content-Type", "", "Content-Type", "application/x-www-form-urlencoded"),
	} {
		if answer := jsonOf(t, w.Body.Bytes()); w.Code != 400 || answer["error"] != "invalid_request" || answer["error_description"] == "" {
			t.Errorf("%s: answered %d %v", name, w.Code, answer)
		}
	}
	w := sendForm(t, h, "/oauth2/token", grant(url.Values{}), "Authorization", "Bearer x")
	if answer := jsonOf(t, w.Body.Bytes()); w.Code != 401 || answer["error"] != "invalid_client" || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("a bearer token: answered %d %v", w.Code, answer)
	}
}

func TestOAuth_errorsAreThoseOfTheRFCs(t *testing.T) {
	var fault error
	c := &calls{answer: func(string, proto.Message, proto.Message) error { return fault }}
	h := newHandler(t, c)
	for code, want := range map[string]struct {
		err    error
		status int
	}{
		"invalid_client":          {errs.New(errs.Unauthenticated, "INVALID_CLIENT", "no"), 401},
		"invalid_scope":           {errs.New(errs.Invalid, "INVALID_SCOPE", "no"), 400},
		"unsupported_grant_type":  {errs.New(errs.Invalid, "UNSUPPORTED_GRANT_TYPE", "no"), 400},
		"invalid_request":         {errs.InvalidField("scope", "VALIDATION_FAILED", "too long"), 400},
		"temporarily_unavailable": {errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "away"), 503},
		"server_error":            {errs.New(errs.Internal, "INTERNAL", "secret detail"), 500},
	} {
		fault = want.err
		w := sendForm(t, h, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		if answer := jsonOf(t, w.Body.Bytes()); w.Code != want.status || answer["error"] != code || answer["error_description"] == "secret detail" {
			t.Errorf("%v: answered %d %v", want.err, w.Code, answer)
		}
	}
}

func TestOAuth_introspectionAndRevocation(t *testing.T) {
	active := true
	c := &calls{answer: func(_ string, _, reply proto.Message) error {
		if _, ok := reply.(*identityv1.IntrospectTokenResponse); !ok {
			return nil
		}
		return fill(reply, &identityv1.IntrospectTokenResponse{
			Active: active, Sub: "organizations/acme/staff/s1", Scope: "api", ExpireTime: &timestamppb.Timestamp{Seconds: 7},
		})
	}}
	h := newHandler(t, c)
	w := sendForm(t, h, "/oauth2/introspect", url.Values{"token": {"t1"}, "token_type_hint": {"access_token"}}, "Authorization", basic("a", "b"))
	if answer := jsonOf(t, w.Body.Bytes()); w.Code != 200 || answer["active"] != true || answer["exp"] != 7.0 || answer["sub"] != "organizations/acme/staff/s1" {
		t.Errorf("answered %d %v", w.Code, answer)
	}
	active = false
	w = sendForm(t, h, "/oauth2/introspect", url.Values{"token": {"t1"}}, "Authorization", basic("a", "b"))
	if answer := jsonOf(t, w.Body.Bytes()); len(answer) != 1 || answer["active"] != false {
		t.Errorf("of a token that is not active it says %v", answer)
	}
	w = sendForm(t, h, "/oauth2/revoke", url.Values{"token": {"t1"}}, "Authorization", basic("a", "b"))
	wantStatus(t, w, 200)
	if _, args := c.last(); args.(*identityv1.RevokeTokenRequest).GetToken() != "t1" {
		t.Errorf("identity was asked %v", args)
	}
}
