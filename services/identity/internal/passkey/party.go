// Package passkey is the suite as a relying party of WebAuthn (Level 3): it asks
// browsers for passkeys and holds their answers to the rules.
//
// It keeps nothing. What a challenge is for and until when lies in the challenge,
// under a MAC, so that who asks for many fills no table; that an answer comes once
// is for whoever takes it to remember. Which passkeys there are and whose is
// package factor's, what they open is package access's.
//
// The person is always verified by the authenticator, so that a passkey is more
// than one factor; it can always be found without an account (a discoverable
// credential), so that it is a login of its own. Attestation is not asked for:
// nobody here decides by the maker of a device.
package passkey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Config says who the relying party is.
type Config struct {
	// ID is the domain that passkeys are bound to; "" takes none.
	ID string
	// Name is what authenticators call it.
	Name string
	// Origins are the pages, as in "https://login.example.com", and apps, as in
	// "android:apk-key-hash:…", that may ask for a passkey. Pages lie in the domain.
	Origins []string
	// Key is secret, and the same on all replicas and for as long as there are
	// passkeys: the handles of accounts are made with it.
	Key []byte
}

// Party is the relying party. It is safe for concurrent use.
type Party struct {
	cfg Config
	lib *webauthn.WebAuthn // nil takes no passkeys
}

// New returns a party. Errors say what of the configuration no browser would take.
func New(cfg Config) (*Party, error) {
	if len(cfg.Key) == 0 {
		return nil, errors.New("passkey: a party needs a key")
	}
	if cfg.ID == "" {
		return &Party{cfg: cfg}, nil
	}
	lib := &webauthn.Config{
		RPID: cfg.ID, RPDisplayName: cfg.Name, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		// Some keepers of passwords answer what nobody asked; it is not looked at.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
		Timeouts: webauthn.TimeoutsConfig{
			Login: webauthn.TimeoutConfig{Timeout: LoginLifetime}, Registration: webauthn.TimeoutConfig{Timeout: RegistrationLifetime},
		},
	}
	for _, origin := range cfg.Origins {
		if strings.HasPrefix(origin, "http://") || strings.HasPrefix(origin, "https://") {
			if err := checkOrigin(origin, cfg.ID); err != nil {
				return nil, err
			}
			lib.RPOrigins = append(lib.RPOrigins, origin)
			continue
		}
		lib.RPOpaqueOrigins = append(lib.RPOpaqueOrigins, origin)
	}
	w, err := webauthn.New(lib)
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &Party{cfg: cfg, lib: w}, nil
}

// checkOrigin holds a page to the domain, as browsers will (WebAuthn Level 3
// section 5.1.3).
func checkOrigin(origin, id string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() != id && !strings.HasSuffix(u.Hostname(), "."+id) || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("passkey: %q is no origin in the domain %q, as https://%s is", origin, id, id)
	}
	return nil
}

// On reports whether passkeys are taken.
func (p *Party) On() bool { return p.lib != nil }

// off is the answer to who asks for a passkey where none are taken.
func off() error {
	return errs.New(errs.Precondition, "PASSKEYS_OFF", "passkeys are not taken here: they need a domain, and the suite is reached by an address that is none")
}

// Handle returns what authenticators call an account: it says nothing of whose it
// is (WebAuthn Level 3 section 14.6.1), and is the same for all of its passkeys.
func (p *Party) Handle(account string) []byte { return p.mac("handle", []byte(account)) }

func (p *Party) mac(what string, value []byte) []byte {
	h := hmac.New(sha256.New, p.cfg.Key)
	h.Write([]byte(what)) // a hash never fails to write
	h.Write([]byte{0})
	h.Write(value)
	return h.Sum(nil)
}

// Owner is whose passkey it will be, as people tell accounts apart.
type Owner struct {
	// Account is the name, which authenticators do not see.
	Account string
	// Name is what is typed to log in, DisplayName what people call the account.
	Name, DisplayName string
}

// CreationOptions returns what a browser makes a passkey with. An authenticator
// that has one of those makes no other. The error is Precondition (PASSKEYS_OFF).
func (p *Party) CreationOptions(o Owner, challenge []byte, has []*storev1.PasskeyCredential) (*structpb.Struct, error) {
	if !p.On() {
		return nil, off()
	}
	made, _, err := p.lib.BeginRegistration(p.user(o), webauthn.WithExclusions(descriptors(has)), func(c *protocol.PublicKeyCredentialCreationOptions) error {
		c.Challenge = challenge
		return nil
	})
	if err != nil {
		return nil, err
	}
	return structOf(made.Response)
}

// RequestOptions returns what a browser asks for a passkey with: for one of those,
// or for any that it has when there are none. The error is Precondition
// (PASSKEYS_OFF).
func (p *Party) RequestOptions(challenge []byte, allowed []*storev1.PasskeyCredential) (*structpb.Struct, error) {
	if !p.On() {
		return nil, off()
	}
	asked, _, err := p.lib.BeginDiscoverableLogin(webauthn.WithChallenge(challenge), webauthn.WithAllowedCredentials(descriptors(allowed)))
	if err != nil {
		return nil, err
	}
	return structOf(asked.Response)
}

func descriptors(of []*storev1.PasskeyCredential) []protocol.CredentialDescriptor {
	var out []protocol.CredentialDescriptor
	for _, c := range of {
		d := protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: c.GetId()}
		for _, t := range c.GetTransports() {
			d.Transport = append(d.Transport, protocol.AuthenticatorTransport(t))
		}
		out = append(out, d)
	}
	return out
}

// structOf returns a value as the JSON that it is written as.
func structOf(v any) (*structpb.Struct, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := &structpb.Struct{}
	return out, out.UnmarshalJSON(text)
}

// user implements the library's User.
type user struct {
	handle            []byte
	name, displayName string
	credentials       []webauthn.Credential
}

func (p *Party) user(o Owner, credentials ...webauthn.Credential) user {
	return user{handle: p.Handle(o.Account), name: o.Name, displayName: o.DisplayName, credentials: credentials}
}

// WebAuthnID implements webauthn.User.
func (u user) WebAuthnID() []byte { return u.handle }

// WebAuthnName implements webauthn.User.
func (u user) WebAuthnName() string { return u.name }

// WebAuthnDisplayName implements webauthn.User.
func (u user) WebAuthnDisplayName() string { return u.displayName }

// WebAuthnCredentials implements webauthn.User.
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }
