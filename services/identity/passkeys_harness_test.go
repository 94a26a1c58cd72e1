package identity_test

import (
	"context"
	"testing"

	webauthn "github.com/descope/virtualwebauthn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/b64"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) passkeys() identityv1.PasskeyServiceClient {
	return identityv1.NewPasskeyServiceClient(p.conn)
}

// browser is somebody's browser at the login page, with an authenticator that has
// one passkey.
type browser struct {
	t     testing.TB
	party webauthn.RelyingParty
	auth  webauthn.Authenticator
	key   webauthn.Credential
}

// newBrowser returns a browser at the suite, whose user does what the page asks.
func (p *process) newBrowser() *browser {
	return &browser{t: p.t, party: webauthn.RelyingParty{ID: "guildhall.example", Origin: issuer}, auth: webauthn.NewAuthenticator(), key: newKey()}
}

// newKey returns a key. The library writes a coordinate of a key without its leading
// zeros, which is no key (RFC 9053 section 7.1.1); one of a hundred has any.
func newKey() webauthn.Credential {
	const full = 77
	for {
		if key := webauthn.NewCredential(webauthn.KeyTypeEC2); len(key.Key.AttestationData()) == full {
			return key
		}
	}
}

// create makes the passkey that options ask for.
func (b *browser) create(options *structpb.Struct) *structpb.Struct {
	b.t.Helper()
	asked, err := webauthn.ParseAttestationOptions(text(b.t, options))
	if err != nil {
		b.t.Fatal(err)
	}
	b.auth.Options.UserHandle = []byte(asked.UserID)
	return parse(b.t, webauthn.CreateAttestationResponse(b.party, b.auth, b.key, *asked))
}

// get answers what options ask for.
func (b *browser) get(options *structpb.Struct) *structpb.Struct {
	b.t.Helper()
	asked, err := webauthn.ParseAssertionOptions(text(b.t, options))
	if err != nil {
		b.t.Fatal(err)
	}
	return parse(b.t, webauthn.CreateAssertionResponse(b.party, b.auth, b.key, *asked))
}

func text(t testing.TB, s *structpb.Struct) string {
	t.Helper()
	b, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// altered returns an answer of which the last byte of a field of its response is
// another.
func altered(t testing.TB, s *structpb.Struct, field string) *structpb.Struct {
	t.Helper()
	s = proto.CloneOf(s)
	value := s.GetFields()["response"].GetStructValue().GetFields()[field]
	raw, err := b64.URL.DecodeString(value.GetStringValue())
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	value.Kind = structpb.NewStringValue(b64.URL.EncodeToString(raw)).GetKind()
	return s
}

// register adds a passkey to an account.
func (p *process) register(ctx context.Context) (*browser, *identityv1.CompletePasskeyRegistrationResponse) {
	p.t.Helper()
	b := p.newBrowser()
	done, err := p.registerWith(ctx, b)
	if err != nil {
		p.t.Fatal(err)
	}
	return b, done
}

func (p *process) registerWith(ctx context.Context, b *browser) (*identityv1.CompletePasskeyRegistrationResponse, error) {
	p.t.Helper()
	return p.passkeys().CompletePasskeyRegistration(ctx, &identityv1.CompletePasskeyRegistrationRequest{
		Credential: b.create(p.creation(ctx)), DisplayName: "the laptop",
	})
}

// creation returns what to make a passkey with.
func (p *process) creation(ctx context.Context) *structpb.Struct {
	p.t.Helper()
	begun, err := p.passkeys().BeginPasskeyRegistration(ctx, &identityv1.BeginPasskeyRegistrationRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return begun.GetOptions()
}

// request returns what to log in by passkey with.
func (p *process) request() *structpb.Struct {
	p.t.Helper()
	begun, err := p.passkeys().BeginPasskeyLogin(context.Background(), &identityv1.BeginPasskeyLoginRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return begun.GetOptions()
}

// byPasskey logs in with what a browser answered.
func (p *process) byPasskey(credential *structpb.Struct) (*identityv1.TokenSet, error) {
	return p.passkeys().CompletePasskeyLogin(context.Background(), &identityv1.CompletePasskeyLoginRequest{Credential: credential, DeviceLabel: "laptop"})
}
