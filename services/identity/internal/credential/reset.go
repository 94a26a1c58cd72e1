package credential

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// A password that was forgotten:
//
//	Ask ──▶ asked ──▶ gone            who is no account, or not to be written to now
//	           │
//	           ▼ OpenReset: the code is sent
//	         open ──▶ used            SetPassword, by the code
//	           │
//	           └────▶ void            a newer one, another password, another contact,
//	                                  a suspension, an hour
//
// Asking writes the same for everybody and looks at nothing. What there is to ask
// for is found out behind the answer, by whichever replica comes first, and what
// was asked is kept until then: a crash forgets nobody.
const (
	// ResetLifetime is how long the code of a reset can be used.
	ResetLifetime = time.Hour
	// resetPause is how long after one no other is opened for an account: who asks
	// for others again and again voids no code that its owner has just been sent.
	resetPause = time.Minute
)

const byExpiry = "expiry"

// resets is the table (account) -> PasswordReset: an account has one at most, so
// that a new one voids the one before.
func resets() *kv.Table[*storev1.PasswordReset] {
	return kv.NewTable(kv.TableConfig[*storev1.PasswordReset]{
		Name: "password_resets",
		Key:  func(p *storev1.PasswordReset) kv.Key { return kv.Key{kv.String(p.GetAccount())} },
		Indexes: []kv.Index[*storev1.PasswordReset]{{
			Name: byCode, Unique: true,
			Keys: func(p *storev1.PasswordReset) []kv.Key { return []kv.Key{{kv.Bytes(p.GetCodeHash())}} },
		}, {
			Name: byExpiry,
			Keys: func(p *storev1.PasswordReset) []kv.Key { return []kv.Key{{kv.Time(p.GetExpireTime().AsTime())}} },
		}},
	})
}

// requests is the table (time, id) -> PasswordResetRequest, oldest first.
func requests() *kv.Table[*storev1.PasswordResetRequest] {
	return kv.NewTable(kv.TableConfig[*storev1.PasswordResetRequest]{Name: "password_reset_requests", Key: requestKey})
}

func requestKey(p *storev1.PasswordResetRequest) kv.Key {
	return kv.Key{kv.Time(p.GetCreateTime().AsTime()), kv.String(p.GetId())}
}

// Ask keeps that somebody asked for a reset.
func (b *Book) Ask(tx kv.Tx, organization, identifier string, now time.Time) error {
	_, err := b.requests.Create(tx, &storev1.PasswordResetRequest{
		Id: resource.NewID(), Organization: organization, Identifier: identifier, CreateTime: timestamppb.New(now),
	})
	return err
}

// Asked returns what was asked first, at most limit of it.
func (b *Book) Asked(r kv.Reader, limit int) (out []*storev1.PasswordResetRequest, err error) {
	page, err := b.requests.List(r, kv.Query{Limit: limit})
	for _, rec := range page.Records {
		out = append(out, rec.Value)
	}
	return out, err
}

// Take removes a request, and reports whether it was still there: then it is the
// caller's to answer.
func (b *Book) Take(tx kv.Tx, p *storev1.PasswordResetRequest) (bool, error) {
	return b.requests.Remove(tx, requestKey(p))
}

// OpenReset opens a reset with the code, in place of an open one, for an account
// that is sent the code to the target. It reports whether it did: not when it has
// just opened one.
func (b *Book) OpenReset(tx kv.Tx, account, target, code string, now time.Time) (expire time.Time, opened bool, err error) {
	last, found, err := b.resets.Find(tx, kv.Key{kv.String(account)})
	if err != nil {
		return expire, false, err
	}
	if found && last.Value.GetTarget() == target && now.Before(last.Value.GetCreateTime().AsTime().Add(resetPause)) {
		return expire, false, nil
	}
	expire = now.Add(ResetLifetime)
	_, err = b.resets.Put(tx, &storev1.PasswordReset{
		Account: account, CodeHash: hashCode(code), Target: target, CreateTime: timestamppb.New(now), ExpireTime: timestamppb.New(expire),
	}, "")
	return expire, err == nil, err
}

// Reset returns the account whose password the code sets, and where the code was
// sent. The error is Unauthenticated (PASSWORD_RESET_INVALID), the same for a code
// that never was, was used or voided, or has expired.
func (b *Book) Reset(r kv.Reader, code string, now time.Time) (account, target string, err error) {
	rec, found, err := b.resets.FindBy(r, byCode, kv.Key{kv.Bytes(hashCode(code))})
	if err != nil {
		return "", "", err
	}
	if !found || !now.Before(rec.Value.GetExpireTime().AsTime()) {
		return "", "", ResetInvalid()
	}
	return rec.Value.GetAccount(), rec.Value.GetTarget(), nil
}

// ResetInvalid is the one answer to every code that sets no password.
func ResetInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, "PASSWORD_RESET_INVALID", "the code is not valid any more; ask for a new one")
}

// VoidReset removes an account's reset, if it has one.
func (b *Book) VoidReset(tx kv.Tx, account string) error {
	_, err := b.resets.Remove(tx, kv.Key{kv.String(account)})
	return err
}

// SweepResets removes resets that have expired, at most limit of them, and returns
// how many there were.
func (b *Book) SweepResets(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.resets.RemoveDue(tx, byExpiry, now, limit)
}
