package api

import (
	"encoding/base64"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/session"
)

// staffMember returns the API's view of an account of staff.
func staffMember(rec kv.Record[*storev1.Account]) *identityv1.StaffMember {
	a := rec.Value
	return &identityv1.StaffMember{
		Name: a.GetName(), DisplayName: a.GetDisplayName(), Email: a.GetEmail(), Language: a.GetLanguage(), State: a.GetState(),
		CreateTime: a.GetCreateTime(), UpdateTime: a.GetUpdateTime(), DeleteTime: a.GetDeleteTime(), PurgeTime: a.GetPurgeTime(),
		Etag: rec.Etag, EmailVerifyTime: a.GetEmailVerifyTime(),
	}
}

// staffAccount returns the account of a member of staff: the fields that a
// caller may set, under the given name.
func staffAccount(name string, m *identityv1.StaffMember) *storev1.Account {
	return &storev1.Account{Name: name, DisplayName: m.GetDisplayName(), Email: m.GetEmail(), Language: m.GetLanguage()}
}

// Customer returns the API's view of a customer's account.
func Customer(rec kv.Record[*storev1.Account]) *identityv1.Customer {
	a := rec.Value
	if a.GetState() == identityv1.AccountState_ACCOUNT_STATE_MERGED {
		// What it still has it keeps for an undo; it is the survivor's, or nobody's.
		return &identityv1.Customer{
			Name: a.GetName(), State: a.GetState(), CreateTime: a.GetCreateTime(), UpdateTime: a.GetUpdateTime(), DeleteTime: a.GetDeleteTime(), Etag: rec.Etag,
		}
	}
	return &identityv1.Customer{
		Name: a.GetName(), DisplayName: a.GetDisplayName(), Email: a.GetEmail(), Phone: a.GetPhone(),
		ExternalId: a.GetExternalId(), Country: a.GetCountry(), Language: a.GetLanguage(), State: a.GetState(),
		CreateTime: a.GetCreateTime(), UpdateTime: a.GetUpdateTime(), DeleteTime: a.GetDeleteTime(), PurgeTime: a.GetPurgeTime(),
		Tags: a.GetTags(), Attributes: attribute.Values(a.GetAttributes()), Etag: rec.Etag, Owner: a.GetOwner(),
		EmailVerifyTime: a.GetEmailVerifyTime(), PhoneVerifyTime: a.GetPhoneVerifyTime(),
		Stage: a.GetStage(), StageTime: a.GetStageTime(),
	}
}

// customerAccount is staffAccount for a customer.
func customerAccount(name string, c *identityv1.Customer) *storev1.Account {
	return &storev1.Account{
		Name: name, DisplayName: c.GetDisplayName(), Email: c.GetEmail(), Phone: c.GetPhone(),
		ExternalId: c.GetExternalId(), Country: c.GetCountry(), Language: c.GetLanguage(),
		Tags: slices.Clone(c.GetTags()), Attributes: account.Unchecked(c.GetAttributes()),
	}
}

// all maps the records of a page.
func all[T any](records []kv.Record[*storev1.Account], view func(kv.Record[*storev1.Account]) T) []T {
	out := make([]T, len(records))
	for i, rec := range records {
		out[i] = view(rec)
	}
	return out
}

// Session returns the API's view of a session; current is the name of the
// caller's own.
func Session(s *storev1.Session, current string) *identityv1.Session {
	return &identityv1.Session{
		Name: s.GetName(), DeviceLabel: s.GetDeviceLabel(), RemoteAddress: s.GetRemoteAddress(),
		CreateTime: s.GetCreateTime(), LastSeenTime: s.GetLastSeenTime(), ExpireTime: s.GetExpireTime(),
		Current: s.GetName() == current, Client: s.GetClient(), Factors: s.GetFactors(), AuthTime: timestamppb.New(session.AuthTime(s)),
	}
}

// jwk returns a public key as RFC 8037 writes it.
func jwk(k authn.PublicKey) *identityv1.Jwk {
	return &identityv1.Jwk{
		Kty: "OKP", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Key), Kid: k.ID, Alg: "EdDSA", Use: "sig",
	}
}

// OwnershipOf returns who looks after a customer. The error is NotFound
// (CUSTOMER_NOT_FOUND).
func (c *Centres) OwnershipOf(r kv.Reader, customer string) (*identityv1.Ownership, error) {
	rec, err := c.Accounts.Get(r, customer)
	if err != nil {
		return nil, err
	}
	last, err := c.Ownerships.Last(r, customer)
	return ownership.View(customer, last, rec.Etag), err
}
