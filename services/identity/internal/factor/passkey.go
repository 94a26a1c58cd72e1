package factor

import (
	"crypto/sha256"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/passkey"
)

// MostPasskeys is how many passkeys an account has: one for each device and cloud
// of somebody who has many.
const MostPasskeys = 10

// CopiedType is the type of the event of a passkey that counted backwards: there
// may be a copy of it.
const CopiedType = event + ".copied.v1"

// byCredential finds the proof of a passkey by what its authenticator calls it. It
// may be longer than a key is, so the key is its hash.
const byCredential = "credential"

func credentialKey(id []byte) kv.Key {
	sum := sha256.Sum256(id)
	return kv.Key{kv.Bytes(sum[:])}
}

func credentialKeys(p *storev1.FactorProof) []kv.Key {
	if p.GetPasskey() == nil {
		return nil
	}
	return []kv.Key{credentialKey(p.GetPasskey().GetId())}
}

// usedChallenges is (hash of the challenge) -> UsedPasskeyChallenge. Only who has a
// passkey makes it grow.
func usedChallenges() *kv.Table[*storev1.UsedPasskeyChallenge] {
	return kv.NewTable(kv.TableConfig[*storev1.UsedPasskeyChallenge]{
		Name: "used_passkey_challenges",
		Key:  func(u *storev1.UsedPasskeyChallenge) kv.Key { return kv.Key{kv.Bytes(u.GetHash())} },
		Indexes: []kv.Index[*storev1.UsedPasskeyChallenge]{{
			Name: byExpiry,
			Keys: func(u *storev1.UsedPasskeyChallenge) []kv.Key {
				return []kv.Key{{kv.Time(u.GetExpireTime().AsTime())}}
			},
		}},
	})
}

// credentials returns the passkeys of an account.
func (b *Book) credentials(r kv.Reader, account string) (all []*storev1.PasskeyCredential, err error) {
	for rec, err := range b.proofs.Scan(r, ofAccount(account)) {
		if err != nil {
			return nil, err
		}
		if c := rec.Value.GetPasskey(); c != nil {
			all = append(all, c)
		}
	}
	return all, nil
}

// PasskeyCreation returns what a browser makes one more passkey of an account with.
// Errors are Exhausted (PASSKEY_LIMIT) and Precondition (PASSKEYS_OFF).
func (b *Book) PasskeyCreation(r kv.Reader, o passkey.Owner, challenge []byte) (*structpb.Struct, error) {
	has, err := b.credentials(r, o.Account)
	if err != nil {
		return nil, err
	}
	if err := checkPasskeys(len(has)); err != nil {
		return nil, err
	}
	return b.party.CreationOptions(o, challenge, has)
}

// PasskeyRequest returns what a browser asks for a passkey of the account with, nil
// when it has none.
func (b *Book) PasskeyRequest(r kv.Reader, account string, challenge []byte) (*structpb.Struct, error) {
	has, err := b.credentials(r, account)
	if err != nil || len(has) == 0 || !b.party.On() {
		return nil, err
	}
	return b.party.RequestOptions(challenge, has)
}

// AddPasskey adds a passkey that has proven to work under the id, and records it.
// It reports whether it is the account's first factor. Errors are Exists
// (PASSKEY_EXISTS) and Exhausted (PASSKEY_LIMIT).
func (b *Book) AddPasskey(tx *change.Tx, account, id, displayName string, c *storev1.PasskeyCredential) (f *identityv1.Factor, first bool, err error) {
	has, err := b.credentials(tx, account)
	if err != nil {
		return nil, false, err
	}
	if err := checkPasskeys(len(has)); err != nil {
		return nil, false, err
	}
	// Whose it is already is not said.
	if _, taken, err := b.proofs.FindBy(tx, byCredential, credentialKey(c.GetId())); err != nil || taken {
		if err == nil {
			err = errs.New(errs.Exists, "PASSKEY_EXISTS", "this passkey is registered already; make a new one")
		}
		return nil, false, err
	}
	had, err := b.Has(tx, account)
	if err != nil {
		return nil, false, err
	}
	f, err = b.add(tx, &identityv1.Factor{
		Name: Name(account, id), Type: identityv1.FactorType_FACTOR_TYPE_PASSKEY, DisplayName: displayName,
	}, &storev1.FactorProof{Passkey: c})
	return f, !had, err
}

func checkPasskeys(n int) error {
	if n < MostPasskeys {
		return nil
	}
	return errs.New(errs.Exhausted, "PASSKEY_LIMIT", "there are ten passkeys already; remove one first")
}

// OwnerOfPasskey returns the account whose passkey an authenticator calls so, "" when
// there is none.
func (b *Book) OwnerOfPasskey(r kv.Reader, credential []byte) (string, error) {
	rec, found, err := b.proofs.FindBy(r, byCredential, credentialKey(credential))
	if err != nil || !found {
		return "", err
	}
	return AccountOf(rec.Value.GetFactor()), nil
}

// passkey takes an assertion of one of the account's passkeys. One that counts
// backwards is recorded, and refused.
func (b *Book) passkey(tx *change.Tx, account string, a *passkey.Assertion, challenge []byte) (bool, error) {
	rec, found, err := b.proofs.FindBy(tx, byCredential, credentialKey(a.Credential()))
	if err != nil || !found || AccountOf(rec.Value.GetFactor()) != account {
		return false, err
	}
	now, copied, err := b.party.Verify(a, challenge, account, rec.Value.GetPasskey())
	if err != nil {
		return false, nil // whatever is wrong with it, it proves nothing
	}
	if copied {
		tx.Record(change.Change{Resource: rec.Value.GetFactor(), Type: CopiedType})
		return false, nil
	}
	return true, b.use(tx, rec, func(p *storev1.FactorProof) { p.Passkey = now })
}

// UsedChallenge reports whether a challenge was answered before.
func (b *Book) UsedChallenge(r kv.Reader, challenge []byte) (bool, error) {
	sum := sha256.Sum256(challenge)
	_, used, err := b.used.Find(r, kv.Key{kv.Bytes(sum[:])})
	return used, err
}

// UseChallenge notes that a challenge is answered. It is refused for its age from
// expire.
func (b *Book) UseChallenge(tx kv.Tx, challenge []byte, expire time.Time) error {
	sum := sha256.Sum256(challenge)
	_, err := b.used.Create(tx, &storev1.UsedPasskeyChallenge{Hash: sum[:], ExpireTime: timestamppb.New(expire)})
	return err
}

// SweepChallenges forgets challenges that are refused for their age, at most limit of
// them, and returns how many there were.
func (b *Book) SweepChallenges(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.used.RemoveDue(tx, byExpiry, now, limit)
}

// detailsOf returns what is shown of a passkey; nil of another factor.
func detailsOf(c *storev1.PasskeyCredential) *identityv1.PasskeyDetails {
	if c == nil {
		return nil
	}
	return &identityv1.PasskeyDetails{
		BackupEligible: c.GetBackupEligible(), BackedUp: c.GetBackedUp(), Transports: slices.Clone(c.GetTransports()), Aaguid: passkey.Model(c),
	}
}
