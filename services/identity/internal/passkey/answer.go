package passkey

import (
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/b64"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// ErrUnproven says that what a browser sent proves nothing. It wraps why, for the
// log.
var ErrUnproven = errors.New("passkey: the answer proves nothing")

const (
	// mostBytes bounds an answer: the largest, with a chain of certificates that
	// nobody asked for, have some thousand.
	mostBytes = 16 << 10
	// mostTransports and mostTransport bound what an authenticator says of how to
	// reach it.
	mostTransports, mostTransport = 8, 32
)

func unproven(why error) error { return errors.Join(ErrUnproven, why) }

// read returns the JSON of an answer.
func read(s *structpb.Struct) ([]byte, error) {
	if proto.Size(s) > mostBytes {
		return nil, unproven(errors.New("the answer is too long"))
	}
	text, err := s.MarshalJSON()
	if err != nil {
		return nil, unproven(err)
	}
	return text, nil
}

// Attestation is a new passkey, read and not proven.
type Attestation struct {
	parsed    *protocol.ParsedCredentialCreationData
	challenge []byte
}

// ParseAttestation reads a RegistrationResponseJSON. The error is ErrUnproven.
func ParseAttestation(s *structpb.Struct) (*Attestation, error) {
	text, err := read(s)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, unproven(err)
	}
	a := &Attestation{parsed: parsed}
	if a.challenge, err = b64.URL.DecodeString(parsed.Response.CollectedClientData.Challenge); err != nil {
		return nil, unproven(err)
	}
	return a, nil
}

// Challenge returns what it says it answers.
func (a *Attestation) Challenge() []byte { return a.challenge }

// Register returns the passkey of an attestation to the challenge, for the account.
// Errors are ErrUnproven and Precondition (PASSKEYS_OFF).
func (p *Party) Register(a *Attestation, challenge []byte, account string) (*storev1.PasskeyCredential, error) {
	if !p.On() {
		return nil, off()
	}
	made, err := p.lib.CreateCredential(p.user(Owner{Account: account}), webauthn.SessionData{
		Challenge: b64.URL.EncodeToString(challenge), RelyingPartyID: p.cfg.ID, UserID: p.Handle(account),
		UserVerification: protocol.VerificationRequired, CredParams: webauthn.CredentialParametersDefault(),
	}, a.parsed)
	if err != nil {
		return nil, unproven(err)
	}
	if len(made.PublicKey) > mostKey {
		return nil, unproven(errors.New("the key is longer than any that is of use"))
	}
	c := &storev1.PasskeyCredential{
		Id: made.ID, PublicKey: made.PublicKey, SignCount: made.Authenticator.SignCount,
		BackupEligible: made.Flags.BackupEligible, BackedUp: made.Flags.BackupState, Aaguid: made.Authenticator.AAGUID,
	}
	for _, t := range made.Transport {
		if len(c.Transports) < mostTransports && len(t) <= mostTransport {
			c.Transports = append(c.Transports, string(t))
		}
	}
	return c, nil
}

// mostKey is how many bytes a public key has at most, that of RSA with 8192 bits
// among them: longer ones only cost more to check.
const mostKey = 1100

// Assertion is a proof by a passkey, read and not checked.
type Assertion struct {
	parsed    *protocol.ParsedCredentialAssertionData
	challenge []byte
}

// ParseAssertion reads an AuthenticationResponseJSON. The error is ErrUnproven.
func ParseAssertion(s *structpb.Struct) (*Assertion, error) {
	text, err := read(s)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return nil, unproven(err)
	}
	a := &Assertion{parsed: parsed}
	if a.challenge, err = b64.URL.DecodeString(parsed.Response.CollectedClientData.Challenge); err != nil {
		return nil, unproven(err)
	}
	return a, nil
}

// Challenge returns what it says it answers.
func (a *Assertion) Challenge() []byte { return a.challenge }

// Credential returns the id of the passkey that it says it is of.
func (a *Assertion) Credential() []byte { return a.parsed.RawID }

// NamesUser reports whether it says whose it is, as it must where nobody else has
// (WebAuthn Level 3 section 7.2, step 6).
func (a *Assertion) NamesUser() bool { return len(a.parsed.Response.UserHandle) > 0 }

// Verify holds an assertion to the challenge and the passkey of the account, and
// returns the passkey as it is from then. It reports whether the passkey has counted
// backwards: then there may be a copy of it, and the proof is none. The error is
// ErrUnproven.
func (p *Party) Verify(a *Assertion, challenge []byte, account string, c *storev1.PasskeyCredential) (now *storev1.PasskeyCredential, copied bool, err error) {
	if !p.On() {
		return nil, false, unproven(errors.New("passkeys are off"))
	}
	stored := webauthn.Credential{
		ID: c.GetId(), PublicKey: c.GetPublicKey(), Flags: webauthn.CredentialFlags{UserVerified: true, BackupEligible: c.GetBackupEligible()},
		Authenticator: webauthn.Authenticator{SignCount: c.GetSignCount(), AAGUID: c.GetAaguid()},
	}
	used, err := p.lib.ValidateLogin(p.user(Owner{Account: account}, stored), webauthn.SessionData{
		Challenge: b64.URL.EncodeToString(challenge), RelyingPartyID: p.cfg.ID, UserID: p.Handle(account), UserVerification: protocol.VerificationRequired,
	}, a.parsed)
	if err != nil {
		return nil, false, unproven(err)
	}
	now = proto.CloneOf(c)
	now.SignCount, now.BackedUp = used.Authenticator.SignCount, used.Flags.BackupState
	return now, used.Authenticator.CloneWarning, nil
}

// Model returns the model of a passkey's authenticator as a UUID, "" when it keeps
// that to itself.
func Model(c *storev1.PasskeyCredential) string {
	id, err := uuid.FromBytes(c.GetAaguid())
	if err != nil || id == uuid.Nil {
		return ""
	}
	return id.String()
}
