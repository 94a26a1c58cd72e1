package oauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"html/template"
	"net/url"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// AuthorizePath is where people are sent to, UserInfoPath where apps ask who they
// are.
const (
	AuthorizePath = "/oauth2/authorize"
	UserInfoPath  = "/oauth2/userinfo"
)

// parameters are those of a request for authorization that go around with the
// page.
func parameters() []string {
	return []string{
		"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "prompt", "ui_locales",
	}
}

// Carried returns the parameters of a request for authorization, without what else
// a form has.
func (f Form) Carried() url.Values {
	out := url.Values{}
	for _, name := range parameters() {
		if v := f.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

// Authorization returns a request for authorization as identity reads it.
func (f Form) Authorization() *identityv1.AuthorizationRequest {
	return &identityv1.AuthorizationRequest{
		ClientId: f.Get("client_id"), RedirectUri: f.Get("redirect_uri"), ResponseType: f.Get("response_type"),
		ResponseMode: f.Get("response_mode"), Scope: f.Get("scope"), Nonce: f.Get("nonce"), Prompt: f.Get("prompt"),
		CodeChallenge: f.Get("code_challenge"), CodeChallengeMethod: f.Get("code_challenge_method"),
	}
}

// Unsupported returns the error code of a parameter that asks for what is not
// served; "" when there is none (OpenID Connect Core section 6).
func (f Form) Unsupported() string {
	switch {
	case f.Get("request") != "":
		return "request_not_supported"
	case f.Get("request_uri") != "":
		return "request_uri_not_supported"
	}
	return ""
}

// Back returns where to send the person: the client's address with an answer
// behind it, the client's state, and who answers (RFC 9207). The address was
// checked by identity; what it has of a query stays.
func (f Form) Back(issuer string, answer map[string]string) (string, error) {
	u, err := url.Parse(f.Get("redirect_uri"))
	if err != nil {
		return "", invalidRequest("redirect_uri is no address")
	}
	q := u.Query()
	for name, value := range answer {
		if value != "" {
			q.Set(name, value)
		}
	}
	if state := f.Get("state"); state != "" {
		q.Set("state", state)
	}
	q.Set("iss", issuer)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Desk shows the page on which people let apps in. It is safe for concurrent use.
type Desk struct {
	page, forgotten *template.Template
	key             []byte
}

// NewDesk returns a desk. The key, which all replicas share, proves that a form
// comes from a page of ours.
func NewDesk(key []byte) (*Desk, error) {
	page, err := parsePage()
	if err != nil {
		return nil, err
	}
	forgotten, err := template.New("forgotten").Parse(forgottenHTML)
	return &Desk{page: page, forgotten: forgotten, key: key}, err
}

// Token returns what proves that a form comes from the page that was shown to the
// browser with the cookie, for the same request: without it, somebody could have
// others log in as himself from a page of his own.
func (d *Desk) Token(cookie string, request url.Values) string {
	h := hmac.New(sha256.New, d.key)
	h.Write([]byte(cookie)) // a hash never fails to write
	h.Write([]byte{0})
	h.Write([]byte(request.Encode()))
	return b64.URL.EncodeToString(h.Sum(nil))
}

// Proves reports whether the token is that of the cookie and the request.
func (d *Desk) Proves(token, cookie string, request url.Values) bool {
	return cookie != "" && hmac.Equal([]byte(token), []byte(d.Token(cookie, request)))
}

// Render returns the login page.
func (d *Desk) Render(p Page) ([]byte, error) { return render(d.page, p) }

// RenderForgotten returns the page of those who have forgotten the password.
func (d *Desk) RenderForgotten(p Forgotten) ([]byte, error) { return render(d.forgotten, p) }

func render(t *template.Template, p any) ([]byte, error) {
	var out bytes.Buffer
	err := t.Execute(&out, p)
	return out.Bytes(), err
}

// Why returns the text of a page for a login that failed, by passkey or not, and
// whether a new password is needed. It is "" for what the person cannot help.
func Why(err error, passkey bool) (text string, change bool) {
	e := errs.From(err)
	switch {
	case passkey && (e.Reason == "LOGIN_FAILED" || e.Reason == "CODE_INVALID"):
		return "wrong-passkey", false
	case e.Reason == "CODE_INVALID":
		return "wrong-code", false
	case e.Reason == "CHALLENGE_INVALID":
		return "again", false
	case e.Reason == "PASSWORD_CHANGE_REQUIRED":
		return "change", true
	case e.Kind == errs.Unauthenticated && e.Reason == "LOGIN_FAILED":
		return "failed", false
	case e.Reason == "PASSWORD_TOO_SHORT", e.Reason == "PASSWORD_TOO_LONG", e.Reason == "PASSWORD_BLOCKED":
		return "weak", true
	case e.Reason == "VALIDATION_FAILED":
		return "failed", false
	case e.Kind == errs.Exhausted:
		return "busy", false
	case e.Kind == errs.Unavailable, e.Kind == errs.DeadlineExceeded:
		return "away", false
	}
	return "", false
}
