package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// login is a gateway with an app "shop", and a browser with its login page open.
type login struct {
	t      *testing.T
	h      http.Handler
	calls  *calls
	cookie string
	form   url.Values
	// fault is what identity answers a login with; "" lets it in.
	fault *errs.Error
	// second says that a challenge comes before the code, and asked which.
	second bool
	asked  *identityv1.LoginChallenge
	// options are what identity asks for a passkey with; nil takes none.
	options *structpb.Struct
	// wrong is what identity says is wrong with the request.
	wrong string
}

const back = "https://shop.example/back?keep=1"

func authorization() url.Values {
	return url.Values{
		"client_id": {"organizations/acme/oauthClients/shop"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid"},
		"state": {`a"b&<c>`}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
}

func newLogin(t *testing.T) *login {
	l := &login{t: t, asked: &identityv1.LoginChallenge{Challenge: "ghl_1", FactorTypes: []identityv1.FactorType{identityv1.FactorType_FACTOR_TYPE_TOTP}}}
	l.calls = &calls{answer: func(_ string, args, reply proto.Message) error {
		switch req := args.(type) {
		case *identityv1.PrepareAuthorizationRequest:
			if req.GetRequest().GetRedirectUri() != back {
				return errs.New(errs.Invalid, "INVALID_REDIRECT_URI", "redirect_uri is none of those that the app registered")
			}
			return fill(reply, &identityv1.PrepareAuthorizationResponse{
				Error: l.wrong, ClientDisplayName: "<Shop>", OrganizationDisplayName: "Acme", Scopes: []string{"openid"}, PasskeyOptions: l.options,
			})
		case *identityv1.AuthorizeRequest:
			if l.fault != nil {
				return l.fault
			}
			if l.second && req.GetAnswer() == nil {
				return fill(reply, &identityv1.AuthorizeResponse{Challenge: l.asked})
			}
			return fill(reply, &identityv1.AuthorizeResponse{Code: "ghc_1"})
		}
		return nil
	}}
	l.h = newHandler(t, l.calls)
	return l
}

var field = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// open opens the page and remembers what it sends back.
func (l *login) open(headers ...string) *httptest.ResponseRecorder {
	l.t.Helper()
	w := send(l.t, l.h, "GET", "/oauth2/authorize?"+authorization().Encode(), "", headers...)
	wantStatus(l.t, w, 200)
	l.cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	l.form = url.Values{"identifier": {"ada@example.com"}, "password": {"secret words"}, "decision": {"allow"}}
	for _, f := range field.FindAllStringSubmatch(w.Body.String(), -1) {
		l.form.Set(f[1], strings.NewReplacer("&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(f[2]))
	}
	return w
}

func (l *login) post(headers ...string) *httptest.ResponseRecorder {
	l.t.Helper()
	return sendForm(l.t, l.h, "/oauth2/authorize", l.form, append([]string{"Cookie", l.cookie}, headers...)...)
}

func TestAuthorize_pageIsOursAlone(t *testing.T) {
	l := newLogin(t)
	w := l.open()
	page, h := w.Body.String(), w.Header()
	if strings.Contains(page, "<Shop>") || strings.Contains(page, "<script") || strings.Contains(page, "http-equiv") || strings.Contains(page, "src=") {
		t.Errorf("the page holds what it must not:\n%s", page)
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' https://shop.example;", "style-src 'sha256-"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q: %s", want, policy)
		}
	}
	if c := h.Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-guildhall-login=") || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "Secure") || !strings.Contains(c, "SameSite=Lax") {
		t.Errorf("the cookie is %s", c)
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers are %v", h)
	}
	if w := l.open("Accept-Language", "zh-CN,zh;q=0.9"); !strings.Contains(w.Body.String(), "登录并允许") || w.Header().Get("Content-Language") != "zh-CN" {
		t.Error("who reads Chinese gets another page")
	}
}

func TestAuthorize_sendsTheCodeToTheAppAlone(t *testing.T) {
	l := newLogin(t)
	l.open()
	w := l.post("Sec-Fetch-Site", "same-origin", "Origin", "https://api.example")
	wantStatus(t, w, 303)
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if to.Host != "shop.example" || q.Get("keep") != "1" || q.Get("code") != "ghc_1" || q.Get("state") != `a"b&<c>` || q.Get("iss") != "https://api.example" {
		t.Errorf("sent to %s", to)
	}
	_, args := l.calls.last()
	if req := args.(*identityv1.AuthorizeRequest); req.GetIdentifier() != "ada@example.com" || req.GetPassword() != "secret words" || req.GetRequest().GetCodeChallengeMethod() != "S256" {
		t.Errorf("identity was asked %v", req)
	}
	l.form.Set("decision", "deny")
	if w := l.post(); w.Code != 303 || !strings.Contains(w.Header().Get("Location"), "error=access_denied") {
		t.Errorf("who cancels: %d %s", w.Code, w.Header().Get("Location"))
	}
	l.wrong = "invalid_scope"
	w = send(t, l.h, "GET", "/oauth2/authorize?"+authorization().Encode(), "")
	if w.Code != 303 || !strings.Contains(w.Header().Get("Location"), "error=invalid_scope") {
		t.Errorf("a request with a fault: %d %s", w.Code, w.Header().Get("Location"))
	}
}

func TestAuthorize_sendsNobodyToAnAddressThatIsNotTheApps(t *testing.T) {
	l := newLogin(t)
	l.open()
	q := authorization()
	q.Set("redirect_uri", "https://evil.example/")
	l.form.Set("redirect_uri", "https://evil.example/")
	twice := authorization()
	twice.Add("redirect_uri", "https://evil.example/")
	for name, w := range map[string]*httptest.ResponseRecorder{
		"opened": send(t, l.h, "GET", "/oauth2/authorize?"+q.Encode(), ""),
		"sent":   l.post(),
		"twice":  send(t, l.h, "GET", "/oauth2/authorize?"+twice.Encode(), ""),
	} {
		if w.Code != 400 || w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "evil.example") && strings.Contains(w.Body.String(), "<form") {
			t.Errorf("%s: %d %v\n%s", name, w.Code, w.Header(), w.Body)
		}
	}
}

// TestAuthorize_takesNoFormOfAnothersPage: who could send the form for somebody
// would have them logged in as himself.
func TestAuthorize_takesNoFormOfAnothersPage(t *testing.T) {
	l := newLogin(t)
	l.open()
	good := l.cookie
	for name, change := range map[string]func() []string{
		"without the cookie":       func() []string { l.cookie = ""; return nil },
		"with another's cookie":    func() []string { l.cookie = good[:len(good)-2] + "AA"; return nil },
		"from another site":        func() []string { return []string{"Sec-Fetch-Site", "cross-site"} },
		"from another origin":      func() []string { return []string{"Origin", "https://evil.example"} },
		"with another request":     func() []string { l.form.Set("state", "mine"); return nil },
		"without the page's token": func() []string { l.form.Del("csrf"); return nil },
	} {
		l.open()
		headers := change()
		l.calls.last()
		w := l.post(headers...)
		if called, _ := l.calls.last(); w.Code != 400 || strings.Contains(called, "Authorize") && !strings.Contains(called, "Prepare") {
			t.Errorf("%s: %d, %s was called", name, w.Code, called)
		}
	}
}

func TestAuthorize_saysWhyALoginFailed(t *testing.T) {
	for reason, c := range map[string]struct {
		err  *errs.Error
		text string
	}{
		"a wrong password":  {errs.New(errs.Unauthenticated, "LOGIN_FAILED", "no"), "is not right"},
		"a one-time one":    {errs.New(errs.Precondition, "PASSWORD_CHANGE_REQUIRED", "no"), `name="new_password"`},
		"a weak new one":    {errs.InvalidField("new_password", "PASSWORD_TOO_SHORT", "no"), `name="new_password"`},
		"too many at once":  {errs.New(errs.Exhausted, "HASHING_BUSY", "no"), "Wait a moment"},
		"identity is away":  {errs.New(errs.Unavailable, "SERVICE_UNAVAILABLE", "no"), "Try again soon"},
		"nothing was typed": {errs.InvalidField("identifier", "VALIDATION_FAILED", "no"), "is not right"},
	} {
		l := newLogin(t)
		l.open()
		l.fault = c.err
		w := l.post()
		if w.Code != 200 || !strings.Contains(w.Body.String(), c.text) || strings.Contains(w.Body.String(), "secret words") || !strings.Contains(w.Body.String(), `value="ada@example.com"`) {
			t.Errorf("%s: %d\n%s", reason, w.Code, w.Body)
		}
	}
}

// TestAuthorize_asksForACode: behind the right password, and again after a wrong
// code, without the password going around.
func TestAuthorize_asksForACode(t *testing.T) {
	l := newLogin(t)
	l.open("Accept-Language", "zh-CN")
	l.second = true
	w := l.post("Accept-Language", "zh-CN")
	page := w.Body.String()
	if w.Code != 200 || !strings.Contains(page, `name="challenge" value="ghl_1"`) || !strings.Contains(page, "验证码") || !strings.Contains(page, `autocomplete="one-time-code"`) ||
		strings.Contains(page, `type="password"`) || strings.Contains(page, "secret words") {
		t.Fatalf("%d\n%s", w.Code, page)
	}
	l.form.Del("password")
	l.form.Set("challenge", "ghl_1")
	for code, want := range map[string]string{"123 456": "123 456", "k7dq-3mzp": ""} {
		l.form.Set("code", code)
		wantStatus(t, l.post(), 303)
		_, args := l.calls.last()
		answer := args.(*identityv1.AuthorizeRequest).GetAnswer()
		if answer.GetChallenge() != "ghl_1" || answer.GetTotpCode() != want || want == "" && answer.GetRecoveryCode() != code {
			t.Errorf("%s is sent as %v", code, answer)
		}
	}
	l.fault = errs.New(errs.Unauthenticated, "CODE_INVALID", "no")
	if w := l.post(); !strings.Contains(w.Body.String(), "not right") || !strings.Contains(w.Body.String(), `name="challenge" value="ghl_1"`) {
		t.Errorf("a wrong code: %s", w.Body)
	}
	l.fault = errs.New(errs.Unauthenticated, "CHALLENGE_INVALID", "no")
	if w := l.post(); !strings.Contains(w.Body.String(), "Log in again") || !strings.Contains(w.Body.String(), `type="password"`) {
		t.Errorf("too late: %s", w.Body)
	}
}

func TestUserInfo_wantsABearerToken(t *testing.T) {
	c := &calls{answer: func(_ string, args, reply proto.Message) error {
		if args.(*identityv1.GetUserInfoRequest).GetAccessToken() != "good" {
			return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the token is not valid here")
		}
		return fill(reply, &identityv1.UserInfo{Sub: "organizations/acme/customers/ada", Email: "ada@example.com"})
	}}
	h := newHandler(t, c)
	for _, method := range []string{"GET", "POST"} {
		w := send(t, h, method, "/oauth2/userinfo", "", "Authorization", "Bearer good")
		if answer := jsonOf(t, w.Body.Bytes()); w.Code != 200 || answer["sub"] != "organizations/acme/customers/ada" || answer["email_verified"] != false || answer["name"] != nil {
			t.Errorf("%s: %d %v", method, w.Code, answer)
		}
	}
	w := send(t, h, "GET", "/oauth2/userinfo", "", "Authorization", "Bearer bad")
	if w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("a bad token: %d %v", w.Code, w.Header())
	}
	w = send(t, h, "GET", "/oauth2/userinfo", "")
	if w.Code != 401 || strings.Contains(w.Header().Get("WWW-Authenticate"), "error") {
		t.Errorf("no token: %d %v", w.Code, w.Header())
	}
}
