package gateway

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"

	"guildhall.dev/gateway/internal/oauth"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// forgotten serves the page of those who have forgotten the password. Whatever is
// typed as the account, the next step is the same: identity says nothing, and so does
// the page.
func (s *authorizationServer) forgotten(w http.ResponseWriter, q *request) {
	w.Header().Set(gzhttp.HeaderNoCompression, "1") // as for authorize
	f, err := oauth.NewForm(q.query)
	if q.http.Method == http.MethodPost {
		f, err = q.readForm()
	}
	p := oauth.Forgotten{
		Step: oauth.Ask, Language: oauth.Language(f.Get("ui_locales"), q.http.Header.Get("Accept-Language")),
		Request: f.Carried(), Code: f.Get("code"),
	}
	switch {
	case err != nil:
		s.stop(w, q, oauth.Page{Language: p.Language}, err)
		return
	case q.http.Method != http.MethodPost:
		if p.Code != "" {
			p.Step = oauth.Choose
		}
	case !s.proves(q, f, p.Bound()):
		p.Error = "stale"
	case f.Get("step") == oauth.Choose:
		p = s.choosePassword(q, f, p)
	default:
		p = s.askForReset(q, f, p)
	}
	status := http.StatusOK
	if p.Error == "stale" {
		status = http.StatusBadRequest
	}
	p.Token = s.desk.Token(s.keepCookie(w, q), p.Bound())
	w.Header().Set("Content-Security-Policy", oauth.Policy("", ""))
	text, err := s.desk.RenderForgotten(p)
	s.html(w, q, p.Language, text, err, status)
}

// askForReset has a code sent to whoever is meant.
func (s *authorizationServer) askForReset(q *request, f oauth.Form, p oauth.Forgotten) oauth.Forgotten {
	if p.Organization() == "" {
		return p
	}
	ctx, cancel := q.anonymous()
	defer cancel()
	_, err := s.people.RequestPasswordReset(ctx, &identityv1.RequestPasswordResetRequest{Organization: p.Organization(), Identifier: f.Get("identifier")})
	if err != nil {
		s.edge.log(q, err)
	}
	// What is no identifier is nobody's, as others are.
	if err != nil && !errs.Is(err, errs.Invalid) {
		p.Error = "away"
		return p
	}
	p.Step, p.Code = oauth.Choose, ""
	return p
}

// choosePassword sets the password with the code.
func (s *authorizationServer) choosePassword(q *request, f oauth.Form, p oauth.Forgotten) oauth.Forgotten {
	ctx, cancel := q.anonymous()
	defer cancel()
	_, err := s.people.ResetPassword(ctx, &identityv1.ResetPasswordRequest{Code: p.Code, Password: f.Get("new_password")})
	p.Step = oauth.Done
	if err == nil {
		return p
	}
	s.edge.log(q, err)
	if p.Error = oauth.WhyNot(err); p.Error != "" {
		p.Step = oauth.Choose
	}
	return p
}
