package factor

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// enrollFor is how long an authenticator app can be confirmed.
const enrollFor = 15 * time.Minute

const byExpiry = "expiry"

// enrollments is the table (account) -> TotpEnrollment.
func enrollments() *kv.Table[*storev1.TotpEnrollment] {
	return kv.NewTable(kv.TableConfig[*storev1.TotpEnrollment]{
		Name: "totp_enrollments",
		Key:  func(e *storev1.TotpEnrollment) kv.Key { return kv.Key{kv.String(e.GetAccount())} },
		Indexes: []kv.Index[*storev1.TotpEnrollment]{{
			Name: byExpiry,
			Keys: func(e *storev1.TotpEnrollment) []kv.Key { return []kv.Key{{kv.Time(e.GetExpireTime().AsTime())}} },
		}},
	})
}

// Enroll begins to add an authenticator app with the secret, in place of one that
// was begun before, records it, and returns until when it can be confirmed. The
// error is Exhausted (FACTOR_LIMIT).
func (b *Book) Enroll(tx *change.Tx, account, displayName string, secret []byte) (expire time.Time, err error) {
	if err := b.checkRoom(tx, account); err != nil {
		return expire, err
	}
	expire = tx.Time.Add(enrollFor)
	tx.Record(change.Change{Resource: account, ChangedFields: []string{"totp_enrollment"}})
	_, err = b.enrolled.Put(tx, &storev1.TotpEnrollment{
		Account: account, DisplayName: displayName, TotpSecret: secret, ExpireTime: timestamppb.New(expire),
	}, "")
	return expire, err
}

// Confirm adds the authenticator app that was begun, under the id, for a right code
// of it, and records it. It reports whether it is the account's first factor. Errors
// are NotFound (ENROLLMENT_NOT_FOUND), Invalid (CODE_INVALID) and Exhausted
// (FACTOR_LIMIT).
func (b *Book) Confirm(tx *change.Tx, account, id, code string) (f *identityv1.Factor, first bool, err error) {
	rec, found, err := b.enrolled.Find(tx, kv.Key{kv.String(account)})
	if err != nil {
		return nil, false, err
	}
	e := rec.Value
	if !found || !tx.Time.Before(e.GetExpireTime().AsTime()) {
		return nil, false, errs.New(errs.NotFound, "ENROLLMENT_NOT_FOUND", "there is no authenticator app to confirm, or it was begun too long ago; begin again")
	}
	step, ok := match(e.GetTotpSecret(), code, tx.Time, 0)
	if !ok {
		return nil, false, errs.InvalidField("code", codeInvalid, "the code is not right; send the one that the app shows now, and check the clock of its device")
	}
	if err := b.checkRoom(tx, account); err != nil {
		return nil, false, err
	}
	had, err := b.Has(tx, account)
	if err != nil {
		return nil, false, err
	}
	f, err = b.add(tx, &identityv1.Factor{
		Name: Name(account, id), Type: identityv1.FactorType_FACTOR_TYPE_TOTP, DisplayName: e.GetDisplayName(),
	}, &storev1.FactorProof{TotpSecret: e.GetTotpSecret(), LastStep: step})
	if err != nil {
		return nil, false, err
	}
	_, err = b.enrolled.Remove(tx, kv.Key{kv.String(account)})
	return f, !had, err
}

func (b *Book) checkRoom(r kv.Reader, account string) error {
	n := 0
	for rec, err := range b.factors.Scan(r, ofAccount(account)) {
		if err != nil {
			return err
		}
		if rec.Value.GetType() == identityv1.FactorType_FACTOR_TYPE_TOTP {
			n++
		}
	}
	if n < Most {
		return nil
	}
	return errs.New(errs.Exhausted, "FACTOR_LIMIT", "there are two authenticator apps already; remove one first")
}
