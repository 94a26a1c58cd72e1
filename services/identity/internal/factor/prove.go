package factor

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// What sessions say of a proof: the words of RFC 8176, and "rc" for a recovery code,
// for which it has none.
const (
	OTP      = "otp"
	Recovery = "rc"
	// Multiple says that there was more than one factor.
	Multiple = "mfa"
)

const codeInvalid = "CODE_INVALID"

// CodeInvalid is the one answer to every code that proves nothing.
func CodeInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, codeInvalid, "the code is not right, or was used before; send the next one")
}

// Prove compares a proof with what the account has, and notes its use: no proof is
// taken twice. It returns what to say of it in a session, "" for one that proves
// nothing; then nothing was changed.
func (b *Book) Prove(tx *change.Tx, account string, answer *identityv1.ChallengeAnswer) (method string, err error) {
	has, err := b.Has(tx, account)
	if err != nil || !has {
		return "", err
	}
	switch proof := answer.GetProof().(type) {
	case *identityv1.ChallengeAnswer_TotpCode:
		if ok, err := b.totp(tx, account, proof.TotpCode); err != nil || !ok {
			return "", err
		}
		return OTP, nil
	case *identityv1.ChallengeAnswer_RecoveryCode:
		if ok, err := b.recover(tx, account, proof.RecoveryCode); err != nil || !ok {
			return "", err
		}
		return Recovery, nil
	}
	return "", nil
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
