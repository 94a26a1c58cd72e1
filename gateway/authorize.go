package gateway

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"guildhall.dev/gateway/internal/oauth"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// userInfo answers who the person is whose token comes along.
func (s *authorizationServer) userInfo(w http.ResponseWriter, q *request) {
	token, err := authn.BearerToken(q.http.Header.Values("Authorization"))
	if err != nil {
		s.refuseBearer(w, q, err)
		return
	}
	ctx, cancel := q.anonymous()
	defer cancel()
	info, err := s.rpc.GetUserInfo(ctx, &identityv1.GetUserInfoRequest{AccessToken: token})
	if err != nil {
		s.refuseBearer(w, q, err)
		return
	}
	s.edge.writeJSON(w, q, http.StatusOK, oauth.UserInfoOf(info))
}

// refuseBearer answers a request whose token does not do (RFC 6750 section 3).
func (s *authorizationServer) refuseBearer(w http.ResponseWriter, q *request, err error) {
	challenge := `Bearer realm="guildhall"`
	switch e := errs.From(err); {
	case e.Reason == "INSUFFICIENT_SCOPE":
		challenge += `, error="insufficient_scope", scope="openid"`
	case e.Reason == "TOKEN_MISSING":
	case e.Kind == errs.Unauthenticated:
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	s.edge.fail(w, q, err)
}

// authorize is the authorization endpoint: it shows the page, and takes what
// comes of it. A person is sent nowhere until identity has said that the address
// is the client's.
func (s *authorizationServer) authorize(w http.ResponseWriter, q *request) {
	// What the page reflects, and what it must not tell, are in one body: it is
	// not compressed, so that its length says nothing (BREACH).
	w.Header().Set(gzhttp.HeaderNoCompression, "1")
	f, err := oauth.NewForm(q.query)
	if q.http.Method == http.MethodPost {
		f, err = q.readForm()
	}
	p := oauth.Page{Language: oauth.Language(f.Get("ui_locales"), q.http.Header.Get("Accept-Language")), Request: f.Carried()}
	if err != nil {
		s.stop(w, q, p, err)
		return
	}
	ctx, cancel := q.anonymous()
	defer cancel()
	prompt, err := s.rpc.PrepareAuthorization(ctx, &identityv1.PrepareAuthorizationRequest{Request: f.Authorization()})
	if err != nil {
		s.stop(w, q, p, err)
		return
	}
	p.Client, p.Organization, p.Scopes = prompt.GetClientDisplayName(), prompt.GetOrganizationDisplayName(), prompt.GetScopes()
	p.Options = oauth.Options(prompt.GetPasskeyOptions())
	switch code := f.Unsupported(); {
	case code != "":
		s.back(w, q, f, map[string]string{"error": code})
	case prompt.GetError() != "":
		s.back(w, q, f, map[string]string{"error": prompt.GetError(), "error_description": prompt.GetErrorDescription()})
	case q.http.Method == http.MethodPost:
		s.decide(w, q, f, p)
	default:
		p.Identifier = f.Get("login_hint")
		s.show(w, q, f, p, http.StatusOK)
	}
}

// decide takes what a person said on the page.
func (s *authorizationServer) decide(w http.ResponseWriter, q *request, f oauth.Form, p oauth.Page) {
	p.Identifier = f.Get("identifier")
	if !s.ours(q, f, p) {
		p.Error = "stale"
		s.show(w, q, f, p, http.StatusBadRequest)
		return
	}
	if f.Get("decision") != "allow" {
		s.back(w, q, f, map[string]string{"error": "access_denied"})
		return
	}
	ctx, cancel := q.anonymous()
	defer cancel()
	resp, err := s.rpc.Authorize(ctx, f.Said())
	switch {
	case err == nil && resp.GetChallenge() != nil:
		p.Second = oauth.SecondOf(resp.GetChallenge())
		s.show(w, q, f, p, http.StatusOK)
		return
	case err == nil:
		s.back(w, q, f, map[string]string{"code": resp.GetCode()})
		return
	}
	if p.Error, p.Change = oauth.Why(err, f.Passkey() != nil); p.Error == "" {
		s.stop(w, q, p, err)
		return
	}
	// Whoever is not told to begin again answers the same challenge.
	if p.Error != "again" {
		p.Second = f.Second()
	}
	s.edge.log(q, err)
	s.show(w, q, f, p, http.StatusOK)
}

// ours reports whether a form comes from a page that was shown to this browser.
func (s *authorizationServer) ours(q *request, f oauth.Form, p oauth.Page) bool {
	return s.proves(q, f, p.Request)
}

// proves reports whether a form comes from a page that was shown to this browser and
// is bound to the request.
func (s *authorizationServer) proves(q *request, f oauth.Form, bound url.Values) bool {
	if site := q.http.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	if origin := q.http.Header.Get("Origin"); origin != "" && origin != "null" && !strings.EqualFold(origin, s.origin()) {
		return false
	}
	return s.desk.Proves(f.Get("csrf"), s.cookie(q), bound)
}

// origin is that of the issuer, which is what browsers know us by.
func (s *authorizationServer) origin() string {
	u, err := url.Parse(s.base)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// cookieName is one that no other host can set where browsers know us by https.
func (s *authorizationServer) cookieName() string {
	if s.edge.secure {
		return "__Host-guildhall-login"
	}
	return "guildhall-login"
}

func (s *authorizationServer) cookie(q *request) string {
	c, err := q.http.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

// keepCookie returns the browser's cookie, and gives it one if it has none.
func (s *authorizationServer) keepCookie(w http.ResponseWriter, q *request) string {
	cookie := s.cookie(q)
	if len(cookie) != len(rand.Text()) {
		cookie = rand.Text()
		http.SetCookie(w, &http.Cookie{
			Name: s.cookieName(), Value: cookie, Path: "/", HttpOnly: true, Secure: s.edge.secure, SameSite: http.SameSiteLaxMode,
		})
	}
	return cookie
}

// show answers with the page. The browser keeps its cookie as long as it runs, so
// that two pages can be open.
func (s *authorizationServer) show(w http.ResponseWriter, q *request, f oauth.Form, p oauth.Page, status int) {
	p.Token = s.desk.Token(s.keepCookie(w, q), p.Request)
	other := f.Carried()
	other.Set("ui_locales", map[string]string{oauth.English: oauth.Chinese, oauth.Chinese: oauth.English}[p.Language])
	p.Other = oauth.AuthorizePath + "?" + other.Encode()
	script := ""
	if p.PasskeyOptions() != "" {
		// This one and no other of ours, at the address that passkeys are good for.
		script = s.origin() + oauth.ScriptPath
	}
	w.Header().Set("Content-Security-Policy", oauth.Policy(f.Get("redirect_uri"), script))
	s.page(w, q, p, status)
}

// stop shows that nothing can be done. Nobody is sent anywhere.
func (s *authorizationServer) stop(w http.ResponseWriter, q *request, p oauth.Page, err error) {
	s.edge.log(q, err)
	fault := oauth.FaultOf(err)
	p.Fault = fault.Description
	w.Header().Set("Content-Security-Policy", oauth.Policy("", ""))
	status := http.StatusBadRequest
	if fault.Status >= http.StatusInternalServerError {
		status = fault.Status
	}
	s.page(w, q, p, status)
}

func (s *authorizationServer) page(w http.ResponseWriter, q *request, p oauth.Page, status int) {
	text, err := s.desk.Render(p)
	s.html(w, q, p.Language, text, err, status)
}

// html answers with a page that was rendered.
func (s *authorizationServer) html(w http.ResponseWriter, q *request, language string, text []byte, err error, status int) {
	if err != nil {
		s.edge.fail(w, q, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", language)
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// back sends the person back to the client, whose address identity has checked.
func (s *authorizationServer) back(w http.ResponseWriter, q *request, f oauth.Form, answer map[string]string) {
	to, err := f.Back(s.edge.kit.Issuer, answer)
	if err != nil {
		s.fail(w, q, err)
		return
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
