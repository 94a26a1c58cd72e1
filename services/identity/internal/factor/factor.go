// Package factor keeps what people prove themselves with beside their password, or
// in place of it: authenticator apps, passkeys, and recovery codes for when these are
// lost.
//
// A factor counts from the moment it has proven that it works, so that nobody
// locks himself out by a QR code that was scanned wrong:
//
//	          Enroll               Confirm, a right code
//	(none) ───────────▶ ENROLLING ───────────────────────▶ ACTIVE
//	  ▲                  │ ▲  │ a wrong code                 │
//	  │                  │ └──┘                              │
//	  └── 15 minutes, ───┘                                   │
//	      or Enroll anew                                     │
//	  ▲                                                      │
//	  └──────────── Remove, Reset, end of the account ───────┘
//
// A passkey is made and proven in one answer, and so ACTIVE at once (AddPasskey);
// until then nothing is kept of it, see package passkey.
//
// Recovery codes come with the first factor and go with the last. Each is for one
// use, and so is each code of an authenticator app: the newest step of which one
// was taken is stored in the transaction that takes it. A passkey answers a challenge
// once.
//
// Secrets lie in the store, which is sealed; recovery codes as hashes. The package
// knows neither passwords nor sessions: what a proof opens, and how often somebody
// may try, is decided elsewhere.
package factor

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/revise"
)

// Most is how many authenticator apps an account has: the one of before beside the
// one that takes over. More would be more right codes to guess.
const Most = 2

// Types of events about factors.
const (
	event = "guildhall.identity.factor"
	// RecoveredType is of the use of a recovery code, RegeneratedType of new ones.
	RecoveredType   = "guildhall.identity.recovery_code.used.v1"
	RegeneratedType = "guildhall.identity.recovery_codes.regenerated.v1"
)

const notFound = "FACTOR_NOT_FOUND"

// Book keeps the factors of all accounts. It is safe for concurrent use.
type Book struct {
	party    *passkey.Party
	factors  *kv.Table[*identityv1.Factor]
	proofs   *kv.Table[*storev1.FactorProof]
	enrolled *kv.Table[*storev1.TotpEnrollment]
	recovery *kv.Table[*storev1.RecoveryCodes]
	used     *kv.Table[*storev1.UsedPasskeyChallenge]
}

// New returns a book. The party holds passkeys to the rules.
func New(party *passkey.Party) *Book {
	return &Book{
		party: party,
		// (account, name): ids are UUIDv7, so an account's lie in the order in which
		// they were added.
		factors: kv.NewTable(kv.TableConfig[*identityv1.Factor]{
			Name: "factors", NotFound: notFound, Key: func(f *identityv1.Factor) kv.Key { return key(f.GetName()) },
		}),
		proofs: kv.NewTable(kv.TableConfig[*storev1.FactorProof]{
			Name: "factor_proofs", NotFound: notFound, Key: func(p *storev1.FactorProof) kv.Key { return key(p.GetFactor()) },
			Indexes: []kv.Index[*storev1.FactorProof]{{Name: byCredential, Unique: true, Keys: credentialKeys}},
		}),
		used:     usedChallenges(),
		enrolled: enrollments(),
		recovery: kv.NewTable(kv.TableConfig[*storev1.RecoveryCodes]{
			Name: "recovery_codes", Key: func(c *storev1.RecoveryCodes) kv.Key { return kv.Key{kv.String(c.GetAccount())} },
		}),
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	var all []string
	for _, t := range []interface{ Tables() []string }{b.factors, b.proofs, b.enrolled, b.recovery, b.used} {
		all = append(all, t.Tables()...)
	}
	return all
}

// collection stands between an account's name and a factor's id.
const collection = "/factors/"

// Name returns the name of an account's factor.
func Name(account, id string) string { return account + collection + id }

// AccountOf returns the account of a factor's name, "" for what is none.
func AccountOf(name string) string {
	// The last, for an organisation may be called "factors".
	i := strings.LastIndex(name, collection)
	if i < 0 || !resource.ValidID(name[i+len(collection):]) {
		return ""
	}
	return name[:i]
}

func key(name string) kv.Key { return kv.Key{kv.String(AccountOf(name)), kv.String(name)} }

func ofAccount(account string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(account)}} }

// List returns an account's factors, the oldest first, and how many recovery codes
// are left.
func (b *Book) List(r kv.Reader, account string) (factors []*identityv1.Factor, left int, err error) {
	for rec, err := range b.factors.Scan(r, ofAccount(account)) {
		if err != nil {
			return nil, 0, err
		}
		f := revise.View(rec)
		if err := b.complete(r, f); err != nil {
			return nil, 0, err
		}
		factors = append(factors, f)
	}
	codes, _, err := b.recovery.Find(r, kv.Key{kv.String(account)})
	return factors, len(codes.Value.GetCodeHashes()), err
}

// complete sets what is shown of a factor and lies with its proof.
func (b *Book) complete(r kv.Reader, f *identityv1.Factor) error {
	proof, _, err := b.proofs.Find(r, key(f.GetName()))
	f.LastUsedTime, f.Passkey = proof.Value.GetLastUsedTime(), detailsOf(proof.Value.GetPasskey())
	return err
}

// Types returns what an account can prove itself with beside its password, in the
// order in which to ask for it, what nobody can be tricked out of first; none without
// a second factor.
func (b *Book) Types(r kv.Reader, account string) ([]identityv1.FactorType, error) {
	factors, left, err := b.List(r, account)
	if err != nil || len(factors) == 0 {
		return nil, err
	}
	has := func(t identityv1.FactorType) bool {
		return slices.ContainsFunc(factors, func(f *identityv1.Factor) bool { return f.GetType() == t })
	}
	var types []identityv1.FactorType
	if has(identityv1.FactorType_FACTOR_TYPE_PASSKEY) && b.party.On() {
		types = append(types, identityv1.FactorType_FACTOR_TYPE_PASSKEY)
	}
	if has(identityv1.FactorType_FACTOR_TYPE_TOTP) {
		types = append(types, identityv1.FactorType_FACTOR_TYPE_TOTP)
	}
	if left > 0 {
		types = append(types, identityv1.FactorType_FACTOR_TYPE_RECOVERY_CODE)
	}
	return types, nil
}

// Has reports whether an account has a second factor.
func (b *Book) Has(r kv.Reader, account string) (bool, error) {
	n, err := b.factors.Count(r, kv.Query{Prefix: kv.Key{kv.String(account)}, Limit: 1})
	return n > 0, err
}

// add stores a factor of an account that works, and records it.
func (b *Book) add(tx *change.Tx, f *identityv1.Factor, p *storev1.FactorProof) (*identityv1.Factor, error) {
	f.CreateTime, f.UpdateTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	p.Factor, p.LastUsedTime = f.GetName(), f.GetCreateTime()
	rec, err := b.factors.Create(tx, f)
	if err != nil {
		return nil, err
	}
	if _, err := b.proofs.Create(tx, p); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: f.GetName(), Type: event + ".created.v1", ChangedFields: change.ChangedFields(nil, f)})
	f = revise.View(rec)
	return f, b.complete(tx, f)
}

// Update changes the masked fields to those of f. Errors are NotFound
// (FACTOR_NOT_FOUND), Conflict (ETAG_MISMATCH), and Invalid for a mask of other
// fields.
func (b *Book) Update(tx *change.Tx, f *identityv1.Factor, mask *fieldmaskpb.FieldMask) (*identityv1.Factor, error) {
	now, err := revise.Update(tx, b.factors, f, mask, rules())
	if err != nil {
		return nil, err
	}
	return now, b.complete(tx, now)
}

func rules() revise.Rules[*identityv1.Factor] {
	return revise.Rules[*identityv1.Factor]{Event: event, Fields: []string{"display_name"}}
}

// Remove removes a factor, with the last one the recovery codes too, records it,
// and returns what it was and whether it was the last. Errors are NotFound
// (FACTOR_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Remove(tx *change.Tx, name, etag string) (was *identityv1.Factor, last bool, err error) {
	proof, _, err := b.proofs.Find(tx, key(name))
	if err != nil {
		return nil, false, err
	}
	if was, err = revise.Delete(tx, b.factors, key(name), etag, rules()); err != nil {
		return nil, false, err
	}
	was.LastUsedTime, was.Passkey = proof.Value.GetLastUsedTime(), detailsOf(proof.Value.GetPasskey())
	if _, err := b.proofs.Delete(tx, key(name), ""); err != nil {
		return nil, false, err
	}
	others, err := b.Has(tx, AccountOf(name))
	if err != nil || others {
		return was, false, err
	}
	_, err = b.recovery.Remove(tx, kv.Key{kv.String(AccountOf(name))})
	return was, true, err
}

// Reset removes all that an account proves itself with beside its password, also
// what it was about to add, records each factor, and returns how many there were.
func (b *Book) Reset(tx *change.Tx, account string) (n int, err error) {
	for rec, err := range b.factors.Scan(tx, ofAccount(account)) {
		if err != nil {
			return 0, err
		}
		if _, _, err := b.Remove(tx, rec.Value.GetName(), ""); err != nil {
			return 0, err
		}
		n++
	}
	_, err = b.enrolled.Remove(tx, kv.Key{kv.String(account)})
	return n, err
}

// RemoveSince removes what an account has added since a time to prove itself with, and
// what it was about to add, and records each factor. Recovery codes go with them, since
// nobody knows who has seen those.
func (b *Book) RemoveSince(tx *change.Tx, account string, since time.Time) error {
	some := false
	for rec, err := range b.factors.Scan(tx, ofAccount(account)) {
		if err != nil {
			return err
		}
		if rec.Value.GetCreateTime().AsTime().Before(since) {
			continue
		}
		some = true
		if _, _, err := b.Remove(tx, rec.Value.GetName(), ""); err != nil {
			return err
		}
	}
	if some {
		if _, err := b.recovery.Remove(tx, kv.Key{kv.String(account)}); err != nil {
			return err
		}
	}
	_, err := b.enrolled.Remove(tx, kv.Key{kv.String(account)})
	return err
}

// Purge is Reset of an account that is gone for good: nobody needs to hear of its
// factors any more.
func (b *Book) Purge(tx kv.Tx, account string) error {
	for rec, err := range b.factors.Scan(tx, ofAccount(account)) {
		if err != nil {
			return err
		}
		k := key(rec.Value.GetName())
		if _, err := b.factors.Delete(tx, k, ""); err != nil {
			return err
		}
		if _, err := b.proofs.Delete(tx, k, ""); err != nil {
			return err
		}
	}
	if _, err := b.enrolled.Remove(tx, kv.Key{kv.String(account)}); err != nil {
		return err
	}
	_, err := b.recovery.Remove(tx, kv.Key{kv.String(account)})
	return err
}

// SweepEnrollments forgets authenticator apps that were never confirmed, at most
// limit of them, and returns how many there were.
func (b *Book) SweepEnrollments(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.enrolled.RemoveDue(tx, byExpiry, now, limit)
}
