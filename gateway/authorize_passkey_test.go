package gateway

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// options are what a browser asks for a passkey with, with what could break out of an
// attribute.
func options(t *testing.T, challenge string) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(map[string]any{"challenge": challenge, "rpId": "api.example", "timeout": 300000, "userVerification": `"><b>`})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var offered = regexp.MustCompile(`<form id="passkey" method="post" action="/oauth2/authorize" data-options="([^"]*)" hidden>`)

// asks returns the challenge that a page's script answers, "" of a page without.
func asks(t *testing.T, page string) string {
	t.Helper()
	found := offered.FindStringSubmatch(page)
	if found == nil {
		return ""
	}
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON([]byte(html.UnescapeString(found[1]))); err != nil {
		t.Fatalf("the options are no JSON: %v\n%s", err, page)
	}
	return s.GetFields()["challenge"].GetStringValue()
}

// TestAuthorize_offersAPasskey: by a script of ours that is the only one which the
// policy lets in, and unseen where there are none.
func TestAuthorize_offersAPasskey(t *testing.T) {
	l := newLogin(t)
	w := l.open()
	if page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy"); strings.Contains(page, "<script") || strings.Contains(page, "passkey") || strings.Contains(policy, "script-src") {
		t.Errorf("without passkeys there is a script: %s\n%s", policy, page)
	}
	l.options = options(t, "one")
	w = l.open()
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if asks(t, page) != "one" || strings.Contains(page, "<b>") || strings.Count(page, "<script") != 1 || !strings.Contains(page, `<script src="/oauth2/passkey.js"></script>`) ||
		!strings.Contains(page, "Sign in with a passkey") || !strings.Contains(page, `name="password"`) {
		t.Errorf("the page is\n%s", page)
	}
	if !strings.Contains(policy, "default-src 'none'; script-src https://api.example/oauth2/passkey.js;") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "'self';") {
		t.Errorf("the policy is %s", policy)
	}
	if page := l.open("Accept-Language", "zh-CN").Body.String(); !strings.Contains(page, "使用通行密钥登录") || !strings.Contains(page, "<p class=\"or\">或</p>") {
		t.Errorf("who reads Chinese gets\n%s", page)
	}
}

func TestAuthorize_scriptIsKeptByBrowsers(t *testing.T) {
	h := newHandler(t, &calls{})
	w := send(t, h, "GET", "/oauth2/passkey.js", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Body.String(), "navigator.credentials.get") {
		t.Errorf("the script is %d %v", w.Code, w.Header())
	}
	if again := send(t, h, "GET", "/oauth2/passkey.js", "", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 {
		t.Errorf("asked whether it is the same: %d", again.Code)
	}
	wantStatus(t, send(t, h, "POST", "/oauth2/passkey.js", "{}"), 405)
}

// TestAuthorize_byPasskey: the first factor and more, with nothing typed.
func TestAuthorize_byPasskey(t *testing.T) {
	l := newLogin(t)
	l.options = options(t, "one")
	l.open()
	l.form.Set("passkey", `{"id":"k1","type":"public-key","response":{"userHandle":"h"}}`)
	w := l.post("Origin", "null")
	wantStatus(t, w, 303)
	if to := w.Header().Get("Location"); !strings.HasPrefix(to, "https://shop.example/back?code=ghc_1&") {
		t.Errorf("sent to %s", to)
	}
	_, args := l.calls.last()
	req := args.(*identityv1.AuthorizeRequest)
	if req.GetPasskey().GetFields()["id"].GetStringValue() != "k1" || req.GetPassword() != "" || req.GetIdentifier() != "" || req.GetAnswer() != nil {
		t.Errorf("identity was asked %v", req)
	}
	l.form.Set("passkey", `{"id":`)
	l.fault = errs.New(errs.Unauthenticated, "LOGIN_FAILED", "no")
	w = l.post()
	if page := w.Body.String(); w.Code != 200 || !strings.Contains(page, "This passkey is not good here") || asks(t, page) != "one" || strings.Contains(page, "k1") {
		t.Errorf("one that is none: %d\n%s", w.Code, page)
	}
	l.form.Del("csrf")
	if w := l.post(); w.Code != 400 {
		t.Errorf("without the page's token: %d", w.Code)
	}
}

// TestAuthorize_aPasskeyBesideTheCode: as second factor it answers the same challenge,
// again after what went wrong.
func TestAuthorize_aPasskeyBesideTheCode(t *testing.T) {
	l := newLogin(t)
	l.options, l.second = options(t, "one"), true
	l.asked.PasskeyOptions = options(t, "two")
	l.open()
	page := l.post().Body.String()
	if asks(t, page) != "two" || !strings.Contains(page, "Continue with a passkey") || !strings.Contains(page, `autocomplete="one-time-code"`) || strings.Contains(page, `type="password"`) {
		t.Fatalf("asked for a second factor:\n%s", page)
	}
	l.take(page)
	l.form.Set("passkey", `{"id":"k1"}`)
	l.fault = errs.New(errs.Unauthenticated, "CODE_INVALID", "no")
	page = l.post().Body.String()
	if asks(t, page) != "two" || !strings.Contains(page, "This passkey is not good here") || !strings.Contains(page, `name="challenge" value="ghl_1"`) || !strings.Contains(page, `autocomplete="one-time-code"`) {
		t.Errorf("after one that was wrong:\n%s", page)
	}
	l.fault = nil
	l.take(page)
	l.form.Set("passkey", `{"id":"k1"}`)
	wantStatus(t, l.post(), 303)
	_, args := l.calls.last()
	if answer := args.(*identityv1.AuthorizeRequest).GetAnswer(); answer.GetChallenge() != "ghl_1" || answer.GetPasskey().GetFields()["id"].GetStringValue() != "k1" {
		t.Errorf("identity was asked %v", args)
	}
}

// TestAuthorize_whoHasPasskeysAlone is asked for a recovery code beside them, and for
// that alone where passkeys are not taken any more.
func TestAuthorize_whoHasPasskeysAlone(t *testing.T) {
	for name, options := range map[string]*structpb.Struct{"taken": options(t, "two"), "not taken": nil} {
		l := newLogin(t)
		l.second = true
		l.asked = &identityv1.LoginChallenge{Challenge: "ghl_1", FactorTypes: []identityv1.FactorType{identityv1.FactorType_FACTOR_TYPE_RECOVERY_CODE}, PasskeyOptions: options}
		l.open()
		page := l.post("Accept-Language", "zh-CN").Body.String()
		if (asks(t, page) != "") != (options != nil) || !strings.Contains(page, ">恢复码<") || strings.Contains(page, "one-time-code") {
			t.Errorf("%s: %s", name, page)
		}
	}
}

// take remembers what a page sends back.
func (l *login) take(page string) {
	l.form = url.Values{"decision": {"allow"}}
	for _, f := range field.FindAllStringSubmatch(page, -1) {
		l.form.Set(f[1], html.UnescapeString(f[2]))
	}
}
