package factor

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/passkey"
)

// What sessions say of a proof: the words of RFC 8176, and "rc" for a recovery code,
// for which it has none.
const (
	OTP      = "otp"
	Recovery = "rc"
	// Key is the key of a passkey, whatever keeps it: nobody vouches for that. Present
	// is that somebody was there.
	Key     = "pop"
	Present = "user"
	// Multiple says that there was more than one factor.
	Multiple = "mfa"
)

const codeInvalid = "CODE_INVALID"

// CodeInvalid is the one answer to every code that proves nothing.
func CodeInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, codeInvalid, "the code is not right, or was used before; send the next one")
}

// Proof is what somebody proves a factor with. One that has nothing proves nothing.
type Proof struct {
	// TOTP is a code of an authenticator app, Recovery a recovery code.
	TOTP, Recovery string
	// Passkey is the answer of a passkey to Challenge; nil for none.
	Passkey   *passkey.Assertion
	Challenge []byte
}

// ProofOf returns what answers the challenge of a login. What cannot be read proves
// nothing.
func ProofOf(answer *identityv1.ChallengeAnswer) Proof {
	p := Proof{TOTP: answer.GetTotpCode(), Recovery: answer.GetRecoveryCode()}
	if answer.GetPasskey() != nil {
		p.Passkey, _ = passkey.ParseAssertion(answer.GetPasskey()) // nil proves nothing
		p.Challenge = passkey.ChallengeOf(answer.GetChallenge())
	}
	return p
}

// Prove compares a proof with what the account has, and notes its use: no code is
// taken twice, and a passkey counts on. It returns what to say of it in a session,
// none for one that proves nothing; then nothing was changed, but there may be a
// record of a passkey that counts backwards.
func (b *Book) Prove(tx *change.Tx, account string, p Proof) (methods []string, err error) {
	has, err := b.Has(tx, account)
	if err != nil || !has {
		return nil, err
	}
	var right bool
	switch {
	case p.Passkey != nil:
		methods = []string{Key, Present, Multiple}
		right, err = b.passkey(tx, account, p.Passkey, p.Challenge)
	case p.TOTP != "":
		methods = []string{OTP, Multiple}
		right, err = b.totp(tx, account, p.TOTP)
	case p.Recovery != "":
		methods = []string{Recovery, Multiple}
		right, err = b.recover(tx, account, p.Recovery)
	}
	if err != nil || !right {
		return nil, err
	}
	return methods, nil
}

// totp takes a code of one of the account's authenticator apps.
func (b *Book) totp(tx *change.Tx, account, code string) (bool, error) {
	for rec, err := range b.proofs.Scan(tx, ofAccount(account)) {
		if err != nil {
			return false, err
		}
		step, ok := match(rec.Value.GetTotpSecret(), code, tx.Time, rec.Value.GetLastStep())
		if !ok {
			continue
		}
		return true, b.use(tx, rec, func(p *storev1.FactorProof) { p.LastStep = step })
	}
	return false, nil
}

// use notes that a factor has proven somebody.
func (b *Book) use(tx *change.Tx, rec kv.Record[*storev1.FactorProof], note func(*storev1.FactorProof)) error {
	now := proto.CloneOf(rec.Value)
	now.LastUsedTime = timestamppb.New(tx.Time)
	note(now)
	_, err := b.proofs.Update(tx, now, "")
	return err
}
