package e2e

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	webauthn "github.com/descope/virtualwebauthn"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/structpb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// device is somebody's device with one passkey, that does what the login page asks.
type device struct {
	party webauthn.RelyingParty
	auth  webauthn.Authenticator
	key   webauthn.Credential
}

// newDevice returns a device of whose key the library writes all of both coordinates,
// which it does for 99 of 100.
func newDevice() *device {
	const full = 77
	d := &device{party: webauthn.RelyingParty{ID: "localhost", Origin: "http://localhost"}, auth: webauthn.NewAuthenticator()}
	for d.key = webauthn.NewCredential(webauthn.KeyTypeEC2); len(d.key.Key.AttestationData()) != full; {
		d.key = webauthn.NewCredential(webauthn.KeyTypeEC2)
	}
	return d
}

// register makes the passkey and adds it to a person's account.
func (d *device) register(t *testing.T, p *person) {
	t.Helper()
	keys := identityv1.NewPasskeyServiceClient(p.conn("identity"))
	begun := need(keys.BeginPasskeyRegistration(t.Context(), &identityv1.BeginPasskeyRegistrationRequest{}))(t)
	asked := need(webauthn.ParseAttestationOptions(string(need(begun.GetOptions().MarshalJSON())(t))))(t)
	d.auth.Options.UserHandle = []byte(asked.UserID)
	credential := &structpb.Struct{}
	if err := credential.UnmarshalJSON([]byte(webauthn.CreateAttestationResponse(d.party, d.auth, d.key, *asked))); err != nil {
		t.Fatal(err)
	}
	need(keys.CompletePasskeyRegistration(t.Context(), &identityv1.CompletePasskeyRegistrationRequest{Credential: credential}))(t)
}

// answer is what the page's script sends back.
func (d *device) answer(t *testing.T, page []byte) url.Values {
	t.Helper()
	found := regexp.MustCompile(`data-options="([^"]*)"`).FindSubmatch(page)
	if found == nil {
		t.Fatalf("the page asks for no passkey:\n%s", page)
	}
	asked := need(webauthn.ParseAssertionOptions(html.UnescapeString(string(found[1]))))(t)
	d.key.Counter++
	return url.Values{"passkey": {webauthn.CreateAssertionResponse(d.party, d.auth, d.key, *asked)}}
}

// TestPasskeys_onTheLoginPage: a person lets an app in with nothing typed, and with the
// passkey behind the password.
func TestPasskeys_onTheLoginPage(t *testing.T) {
	t.Parallel()
	s, administrator, once := fresh(t, "--identity.passkeys.domain=localhost", "--identity.passkeys.origins=http://localhost")
	s.operator = s.adoptOperator(administrator, once)
	c := s.found(t, grpcDoor)
	shop, d := openShop(t, c), newDevice()
	ada := c.enrol("ada")
	d.register(t, ada)
	for want, steps := range map[string][]step{
		"[pop user mfa]":     {d.answer},
		"[pwd pop user mfa]": {fill(url.Values{"identifier": {"ada@customer.example"}, "password": {password}}), d.answer},
	} {
		verifier := oauth2.GenerateVerifier()
		to := shop.browse(t, shop.config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), steps...)
		if !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("code") == "" {
			t.Fatalf("the browser is sent to %s", to)
		}
		token := need(shop.config.Exchange(t.Context(), to.Query().Get("code"), oauth2.VerifierOption(verifier)))(t)
		said := shop.introspect(t, token.AccessToken)
		wants(t, "what the app learns", fmt.Sprint(said["amr"]), want)
		wants(t, "who it is", fmt.Sprint(said["sub"]), ada.name)
	}
}
