package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// forgetful is a browser of somebody who has forgotten the password, and what
// identity answers.
type forgetful struct {
	t      *testing.T
	h      http.Handler
	calls  *calls
	cookie string
	form   url.Values
	fault  error
}

func newForgetful(t *testing.T) *forgetful {
	b := &forgetful{t: t}
	b.calls = &calls{answer: func(string, proto.Message, proto.Message) error { return b.fault }}
	b.h = newHandler(t, b.calls)
	return b
}

// take remembers what a page sends back.
func (b *forgetful) take(w *httptest.ResponseRecorder) string {
	b.t.Helper()
	if c, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";"); c != "" {
		b.cookie = c
	}
	b.form = url.Values{}
	page := w.Body.String()
	for _, f := range field.FindAllStringSubmatch(page, -1) {
		b.form.Set(f[1], strings.NewReplacer("&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(f[2]))
	}
	return page
}

func (b *forgetful) open(query url.Values, headers ...string) (page string, h http.Header) {
	b.t.Helper()
	w := send(b.t, b.h, "GET", "/oauth2/password?"+query.Encode(), "", headers...)
	wantStatus(b.t, w, 200)
	return b.take(w), w.Header()
}

func (b *forgetful) post(status int, headers ...string) string {
	b.t.Helper()
	w := sendForm(b.t, b.h, "/oauth2/password", b.form, append([]string{"Cookie", b.cookie}, headers...)...)
	wantStatus(b.t, w, status)
	return b.take(w)
}

// TestForgotten_fromTheLoginAndBack: who it is, the code with a new password, and
// back to the login that it began with.
func TestForgotten_fromTheLoginAndBack(t *testing.T) {
	l := newLogin(t)
	if page := l.open().Body.String(); !strings.Contains(page, `href="/oauth2/password?`) || !strings.Contains(page, "Forgotten your password?") {
		t.Errorf("the login page does not lead here:\n%s", page)
	}
	b := newForgetful(t)
	page, h := b.open(authorization())
	for _, bad := range []string{"<script", "http-equiv", "src=", "onclick"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s:\n%s", bad, page)
		}
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self';", "style-src 'sha256-"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q: %s", want, policy)
		}
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers are %v", h)
	}
	b.form.Set("identifier", "ada@example.com")
	page = b.post(200, "Sec-Fetch-Site", "same-origin", "Origin", "https://api.example")
	if !strings.Contains(page, "a code is on its way") {
		t.Errorf("after asking:\n%s", page)
	}
	_, args := b.calls.last()
	if req := args.(*identityv1.RequestPasswordResetRequest); req.GetOrganization() != "organizations/acme" || req.GetIdentifier() != "ada@example.com" {
		t.Errorf("identity was asked %v", req)
	}
	b.form.Set("code", "ABC")
	b.form.Set("new_password", "another that nobody guesses")
	page = b.post(200)
	if !strings.Contains(page, "Your new password is set") || !strings.Contains(page, `href="/oauth2/authorize?`) || strings.Contains(page, "<form") {
		t.Errorf("at the end:\n%s", page)
	}
	_, args = b.calls.last()
	if req := args.(*identityv1.ResetPasswordRequest); req.GetCode() != "ABC" || req.GetPassword() != "another that nobody guesses" {
		t.Errorf("identity was asked %v", req)
	}
}

// TestForgotten_oneAnswerForAll: also for what is no identifier at all.
func TestForgotten_oneAnswerForAll(t *testing.T) {
	pages := map[string]bool{}
	for _, c := range []struct {
		identifier string
		fault      error
	}{
		{"ada@example.com", nil}, {"nobody@example.com", nil},
		{"", errs.New(errs.Invalid, "VALIDATION_FAILED", "no")}, {strings.Repeat("x", 300), errs.New(errs.Invalid, "VALIDATION_FAILED", "no")},
	} {
		b := newForgetful(t)
		b.open(authorization())
		b.fault = c.fault
		b.form.Set("identifier", c.identifier)
		page := b.post(200)
		if c.identifier != "" && strings.Contains(page, c.identifier) {
			t.Errorf("the page repeats %q", c.identifier)
		}
		pages[strings.ReplaceAll(page, b.form.Get("csrf"), "")] = true
	}
	if len(pages) != 1 {
		t.Errorf("there are %d answers: %v", len(pages), pages)
	}
}

// TestForgotten_byTheLinkOfAMessage: without a login there is one to go back to for
// nobody, and the code is there.
func TestForgotten_byTheLinkOfAMessage(t *testing.T) {
	b := newForgetful(t)
	page, _ := b.open(url.Values{"code": {`AB"><b>C`}}, "Accept-Language", "zh-CN")
	if !strings.Contains(page, `value="AB&#34;&gt;&lt;b&gt;C"`) || !strings.Contains(page, "设置密码") || strings.Contains(page, "/oauth2/authorize") {
		t.Errorf("the page is\n%s", page)
	}
	b.form.Set("code", "ABC")
	b.form.Set("new_password", "another that nobody guesses")
	if page := b.post(200, "Accept-Language", "zh-CN"); !strings.Contains(page, "新密码已设置") {
		t.Errorf("at the end:\n%s", page)
	}
	page, _ = b.open(url.Values{"client_id": {"https://evil.example"}, "redirect_uri": {"https://evil.example"}})
	if strings.Contains(page, "<form") || strings.Contains(page, "href") {
		t.Errorf("of no app:\n%s", page)
	}
}

// TestForgotten_whatDidNotDo says why, and lets people try again.
func TestForgotten_whatDidNotDo(t *testing.T) {
	for reason, c := range map[string]struct {
		kind errs.Kind
		says string
		done bool
	}{
		"PASSWORD_RESET_INVALID": {errs.Unauthenticated, "The code is not valid", false},
		"PASSWORD_TOO_SHORT":     {errs.Invalid, "Choose another password", false},
		"PASSWORD_BLOCKED":       {errs.Invalid, "Choose another password", false},
		"VALIDATION_FAILED":      {errs.Invalid, "The code is not valid", false},
		"LOGIN_THROTTLED":        {errs.Exhausted, "too many tries", false},
		"INTERNAL":               {errs.Internal, "not work at the moment", false},
		"SUSPENSION_PENDING":     {errs.Unavailable, "Your new password is set", true},
	} {
		b := newForgetful(t)
		b.open(url.Values{"code": {"ABC"}})
		b.fault = errs.New(c.kind, reason, "no")
		b.form.Set("code", "ABC")
		b.form.Set("new_password", "secret words")
		page := b.post(200)
		if !strings.Contains(page, c.says) || strings.Contains(page, "<form") == c.done || strings.Contains(page, "secret words") {
			t.Errorf("%s: the page is\n%s", reason, page)
		}
	}
}

// TestForgotten_formsOfOthersDoNothing: of another site, of another browser, of the
// login page, and of the same page for another request.
func TestForgotten_formsOfOthersDoNothing(t *testing.T) {
	b := newForgetful(t)
	l := newLogin(t)
	l.open()
	for name, change := range map[string]func() []string{
		"another site":     func() []string { return []string{"Sec-Fetch-Site", "cross-site"} },
		"another origin":   func() []string { return []string{"Origin", "https://evil.example"} },
		"another browser":  func() []string { b.cookie = "__Host-guildhall-login=ABCDEFGHIJKLMNOPQRSTUVWXYZ"; return nil },
		"no cookie":        func() []string { b.cookie = ""; return nil },
		"no token":         func() []string { b.form.Del("csrf"); return nil },
		"the login's page": func() []string { b.cookie = l.cookie; b.form.Set("csrf", l.form.Get("csrf")); return nil },
		"another request":  func() []string { b.form.Set("client_id", "organizations/other/oauthClients/x"); return nil },
	} {
		b.cookie = ""
		b.open(authorization())
		b.calls.last()
		b.form.Set("identifier", "ada@example.com")
		headers := change()
		if page := b.post(400, headers...); !strings.Contains(page, "open for too long") {
			t.Errorf("%s: the page is\n%s", name, page)
		}
		if called, _ := b.calls.last(); called != "" {
			t.Errorf("%s: identity was called", name)
		}
	}
}
