package message

import (
	"time"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Preview fills a template in with made-up values: that of t, or without a text
// the one that is in use. Errors are NotFound (ORGANIZATION_NOT_FOUND) and Invalid
// (MESSAGE_TEMPLATE_INVALID).
func (b *Book) Preview(r kv.Reader, organization string, t *identityv1.MessageTemplate) (*identityv1.MessageTemplate, Text, error) {
	o, err := b.organizations.Get(r, organization)
	if err != nil {
		return nil, Text{}, err
	}
	shown := &identityv1.MessageTemplate{
		Kind: t.GetKind(), Channel: t.GetChannel(), Language: t.GetLanguage(), Subject: t.GetSubject(), Text: t.GetText(),
	}
	if t.GetText() == "" {
		shown, err = b.For(r, organization, t.GetKind(), t.GetChannel(), t.GetLanguage())
	} else {
		err = check(shown)
	}
	if err != nil {
		return nil, Text{}, err
	}
	text, err := Render(shown, Values{
		Organization: o.GetDisplayName(), Code: "EXAMPLE", Valid: Duration(shown.GetLanguage(), 7*24*time.Hour),
		Time: Moment(time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC)), Contact: "a***@example.com", Factor: FactorName(shown.GetLanguage(), "PASSKEY"), Link: "https://example.com/oauth2/password?code=EXAMPLE",
	})
	return shown, text, err
}
