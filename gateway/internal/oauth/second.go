package oauth

import (
	_ "embed"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/types/known/structpb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// ScriptPath is where the login page's script lies, which is for passkeys alone.
const ScriptPath = "/oauth2/passkey.js"

//go:embed passkey.js
var script []byte

// Script returns the login page's script.
func Script() []byte { return script }

// Second is what is asked for in place of the password, which was right. It goes
// around with the page, for a wrong answer leaves the question as it was. Whoever
// alters it fools nobody but himself.
type Second struct {
	// Challenge is what is answered; "" asks for nothing.
	Challenge string
	// Options is what a browser asks for a passkey with, as JSON; "" takes none.
	Options string
	// Code says that there is an authenticator app, and not recovery codes alone.
	Code bool
}

// SecondOf returns what a challenge of identity's asks for.
func SecondOf(c *identityv1.LoginChallenge) Second {
	return Second{
		Challenge: c.GetChallenge(), Options: Options(c.GetPasskeyOptions()),
		Code: slices.Contains(c.GetFactorTypes(), identityv1.FactorType_FACTOR_TYPE_TOTP),
	}
}

// Second returns what the page of a form asked for.
func (f Form) Second() Second {
	return Second{Challenge: f.Get("challenge"), Options: f.Get("options"), Code: f.Get("app") != ""}
}

// Fields are those by which it goes around; none when nothing is asked for.
func (s Second) Fields() url.Values {
	out := url.Values{}
	if s.Challenge == "" {
		return out
	}
	out.Set("challenge", s.Challenge)
	if s.Options != "" {
		out.Set("options", s.Options)
	}
	if s.Code {
		out.Set("app", "1")
	}
	return out
}

// Options returns what a browser asks for a passkey with, as JSON; "" of nil.
func Options(s *structpb.Struct) string {
	if s == nil {
		return ""
	}
	text, err := s.MarshalJSON()
	if err != nil {
		return "" // no numbers of a server are NaN; without it there is the password
	}
	return string(text)
}

// Passkey returns what a browser's passkey answered, nil of a form without. What
// cannot be read is one that proves nothing.
func (f Form) Passkey() *structpb.Struct {
	text := f.Get("passkey")
	if text == "" {
		return nil
	}
	credential := &structpb.Struct{}
	if err := credential.UnmarshalJSON([]byte(text)); err != nil {
		return &structpb.Struct{}
	}
	return credential
}

// Answer returns what a form answers a challenge with: a passkey, or a code. Letters
// make it a recovery code, all else is one of an authenticator app. It is nil of a
// form without a challenge.
func (f Form) Answer() *identityv1.ChallengeAnswer {
	answer, code := &identityv1.ChallengeAnswer{Challenge: f.Get("challenge")}, f.Get("code")
	switch key := f.Passkey(); {
	case answer.GetChallenge() == "":
		return nil
	case key != nil:
		answer.Proof = &identityv1.ChallengeAnswer_Passkey{Passkey: key}
	case strings.ContainsFunc(code, unicode.IsLetter):
		answer.Proof = &identityv1.ChallengeAnswer_RecoveryCode{RecoveryCode: code}
	default:
		answer.Proof = &identityv1.ChallengeAnswer_TotpCode{TotpCode: code}
	}
	return answer
}

// Said returns what a form says of a login for its request: a passkey, the answer to a
// challenge, or else the password.
func (f Form) Said() *identityv1.AuthorizeRequest {
	req := &identityv1.AuthorizeRequest{Request: f.Authorization(), Answer: f.Answer()}
	if req.GetAnswer() != nil {
		return req
	}
	if req.Passkey = f.Passkey(); req.GetPasskey() == nil {
		req.Identifier, req.Password, req.NewPassword = f.Get("identifier"), f.Get("password"), f.Get("new_password")
	}
	return req
}

// Carried are the fields that each form of the page sends back.
func (p Page) Carried() url.Values {
	out := url.Values{"csrf": {p.Token}}
	for _, from := range []url.Values{p.Request, p.Second.Fields()} {
		for name, values := range from {
			out[name] = values
		}
	}
	return out
}

// PasskeyOptions returns what the page's script asks for a passkey with; "" when it
// asks for none.
func (p Page) PasskeyOptions() string {
	switch {
	case p.Fault != "":
		return ""
	case p.Second.Challenge != "":
		return p.Second.Options
	}
	return p.Options
}
