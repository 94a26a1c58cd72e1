package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

const (
	recoveryCodes = 10
	// recoverySize is that of a code: 80 bits, which nobody guesses, and which are
	// sixteen letters without a rest.
	recoverySize = 10
)

// NewRecoveryCodes returns new recovery codes as people read them, as in
// "k7dq-3mzp-…".
func NewRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, recoverySize)
		rand.Read(raw) // never fails, by its contract
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes[i] = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
	}
	return codes
}

// hashRecovery hashes a code the way people copy it: case, spaces and hyphens do
// not count, nor what digits of no code were misread for.
func hashRecovery(code string) []byte {
	code = strings.NewReplacer("0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(plainDigits(code)))
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// SetRecoveryCodes puts codes in place of those of before, and records it. The
// error is Precondition (NO_SECOND_FACTOR): without a factor there is none that
// could be lost.
func (b *Book) SetRecoveryCodes(tx *change.Tx, account string, codes []string) error {
	has, err := b.Has(tx, account)
	if err != nil {
		return err
	}
	if !has {
		return errs.New(errs.Precondition, "NO_SECOND_FACTOR", "recovery codes stand in for a second factor; add one first")
	}
	set := &storev1.RecoveryCodes{Account: account, CreateTime: timestamppb.New(tx.Time)}
	for _, code := range codes {
		set.CodeHashes = append(set.CodeHashes, hashRecovery(code))
	}
	tx.Record(change.Change{Resource: account, Type: RegeneratedType, ChangedFields: []string{"recovery_codes"}})
	_, err = b.recovery.Put(tx, set, "")
	return err
}

// recover takes a recovery code for the one time it is good, and records it.
func (b *Book) recover(tx *change.Tx, account, code string) (bool, error) {
	rec, found, err := b.recovery.Find(tx, kv.Key{kv.String(account)})
	if err != nil || !found {
		return false, err
	}
	hash, set := hashRecovery(code), rec.Value
	left := slices.DeleteFunc(slices.Clone(set.GetCodeHashes()), func(each []byte) bool {
		return subtle.ConstantTimeCompare(each, hash) == 1
	})
	if len(left) == len(set.GetCodeHashes()) {
		return false, nil
	}
	set.CodeHashes = left
	tx.Record(change.Change{Resource: account, Type: RecoveredType, ChangedFields: []string{"recovery_codes"}})
	_, err = b.recovery.Put(tx, set, "")
	return true, err
}
