package clientkey

import (
	"crypto/rand"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// secretPrefix lets secret scanners find a secret that was committed or logged
// somewhere.
const secretPrefix = "ghs_"

// NewSecret returns a new secret, of 256 random bits.
func NewSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails, by its contract
	return secretPrefix + b64.URL.EncodeToString(raw)
}

// Create makes a key of a client under the id with the caller's fields of k, and
// records it. Without a public half it has the secret. Errors are Exists
// (CLIENT_KEY_EXISTS), Exhausted (CLIENT_KEY_LIMIT), and Invalid for a public
// half that is none (see checkPublic) and an expiry that is past or too far ahead
// (CLIENT_KEY_EXPIRY_INVALID).
func (b *Book) Create(tx *change.Tx, client, id, secret string, k *identityv1.ClientKey) (*storev1.ClientKey, error) {
	if err := resource.CheckID("client_key_id", id); err != nil {
		return nil, err
	}
	if e := k.GetExpireTime(); e != nil && (!e.IsValid() || !tx.Time.Before(e.AsTime()) || e.AsTime().Sub(tx.Time) > longest) {
		return nil, errs.InvalidField("client_key.expire_time", "CLIENT_KEY_EXPIRY_INVALID", "send a time from now to five years ahead, or none")
	}
	made := &storev1.ClientKey{
		Name: Name(client, id), DisplayName: k.GetDisplayName(), CreateTime: timestamppb.New(tx.Time), ExpireTime: k.GetExpireTime(),
		// Above that of a key of the same name that was revoked: its session has
		// ended.
		Generation: tx.Time.UnixMicro(),
	}
	var err error
	if k.GetPublicJwk() == "" {
		made.SecretHash = hash(secret)
	} else if made.PublicJwk, err = checkPublic("client_key.public_jwk", k.GetPublicJwk()); err != nil {
		return nil, err
	}
	present, err := b.all(tx, client)
	if err != nil {
		return nil, err
	}
	present = slices.DeleteFunc(present, func(k *storev1.ClientKey) bool { return !good(k, tx.Time) })
	if len(present) >= Most {
		return nil, errs.New(errs.Exhausted, "CLIENT_KEY_LIMIT", "a client has at most ten keys at once; revoke one first")
	}
	if _, err := b.table.Create(tx, made); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: made.GetName(), Type: CreatedType, ChangedFields: change.ChangedFields(nil, made)})
	return made, nil
}

// Rotate makes a key to take the place of the named one, which expires after the
// overlap, unless it does before, and records both. Errors are NotFound
// (CLIENT_KEY_NOT_FOUND), Precondition (CLIENT_KEY_EXPIRED), and those of Create.
func (b *Book) Rotate(tx *change.Tx, name, id, secret string, k *identityv1.ClientKey, overlap time.Duration) (*storev1.ClientKey, error) {
	old, err := b.Get(tx, name)
	if err != nil {
		return nil, err
	}
	if !good(old, tx.Time) {
		return nil, errs.New(errs.Precondition, "CLIENT_KEY_EXPIRED", "the key has expired; create another instead")
	}
	end := tx.Time.Add(overlap)
	if e := old.GetExpireTime(); e == nil || end.Before(e.AsTime()) {
		old.ExpireTime = timestamppb.New(end)
		if _, err := b.table.Update(tx, old, ""); err != nil {
			return nil, err
		}
		tx.Record(change.Change{Resource: name, Type: RotatedType, ChangedFields: []string{"expire_time"}})
	}
	fresh := &identityv1.ClientKey{}
	if k != nil {
		fresh = proto.CloneOf(k)
	}
	if fresh.GetDisplayName() == "" {
		fresh.DisplayName = old.GetDisplayName()
	}
	return b.Create(tx, ClientOf(name), id, secret, fresh)
}

// Revoke ends a key and the tokens that were had for it, and records it. It
// returns what the key was. The error is NotFound (CLIENT_KEY_NOT_FOUND).
func (b *Book) Revoke(tx *change.Tx, name string) (*storev1.ClientKey, error) {
	k, err := b.Get(tx, name)
	if err != nil {
		return nil, err
	}
	return k, b.revoke(tx, k)
}

// RevokeAll ends all keys of a client, which is being deleted, and records each.
// It returns how many there were.
func (b *Book) RevokeAll(tx *change.Tx, client string) (int, error) {
	keys, err := b.all(tx, client)
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		if err := b.revoke(tx, k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

func (b *Book) revoke(tx *change.Tx, k *storev1.ClientKey) error {
	tx.Record(change.Change{Resource: k.GetName(), Type: RevokedType})
	if err := b.endTokens(tx, k); err != nil {
		return err
	}
	_, err := b.table.Delete(tx, key(k.GetName()), "")
	return err
}

// Expired returns the names of keys that expired long ago, at most limit of
// them.
func (b *Book) Expired(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.table.Due(r, byExpiry, now.Add(-keptFor), limit)
	return revise.Names(due), err
}

// Expire removes a key that expired long ago. One that is gone is left alone.
func (b *Book) Expire(tx *change.Tx, name string) error {
	rec, found, err := b.table.Find(tx, key(name))
	if err != nil {
		return err
	}
	tx.Unchanged() // it has proven nothing for a month
	if !found || rec.Value.GetExpireTime() == nil || tx.Time.Before(rec.Value.GetExpireTime().AsTime().Add(keptFor)) {
		return nil
	}
	_, err = b.table.Delete(tx, key(name), "")
	return err
}
