// Package keyring keeps the keys that access tokens are signed with, and turns
// them over.
//
// There are up to three: current signs, next is published ahead of its turn,
// and previous is still published while its tokens live. So a verifier that
// fetches the keys now and then has always heard of a key before it sees a
// token signed with it. The keys lie in the store, sealed, and all replicas
// share them: one that starts or rotates alone would sign what the others'
// clients cannot verify.
package keyring

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// DefaultRotation is how long a key signs.
const DefaultRotation = 30 * 24 * time.Hour

// MinRotation is the shortest time a key may sign: previous and next stay
// published that long, and must do so for longer than a token lives and than
// verifiers keep keys.
const MinRotation = 2 * time.Hour

// reloadEvery is how often Run looks for a rotation by another replica. It is
// shorter than verifiers keep keys, so that no replica signs with a key that
// they have dropped.
const reloadEvery = time.Minute

// Config says what a Ring needs. Store and Issuer are required.
type Config struct {
	Store  kv.Store
	Issuer string
	// Rotation is how long a key signs; zero is DefaultRotation.
	Rotation time.Duration
	// Renew makes Open throw the stored keys away and make new ones, for when
	// they may be known to others. Tokens signed until then are void as soon
	// as verifiers ask for the keys again.
	Renew bool
	// Clock decides when a key has signed long enough; nil is time.Now.
	Clock func() time.Time
	// Logger is told of rotations and faults; nil is silent.
	Logger *slog.Logger
}

// Ring signs access tokens and publishes the keys. It is safe for concurrent
// use.
type Ring struct {
	cfg    Config
	table  *kv.Table[*storev1.KeyRing]
	signer *authn.Signer

	mu     sync.Mutex // held while loaded and the signer's keys change
	loaded *storev1.KeyRing
}

// Tables returns the raw tables of a ring.
func Tables() []string { return table().Tables() }

// table has one record.
func table() *kv.Table[*storev1.KeyRing] {
	return kv.NewTable(kv.TableConfig[*storev1.KeyRing]{
		Name: "keyring", NotFound: "KEYRING_NOT_FOUND",
		Key: func(*storev1.KeyRing) kv.Key { return theKey() },
	})
}

func theKey() kv.Key { return kv.Key{kv.String("keyring")} }

// Open returns the ring that the store holds, and makes one when it holds
// none. Replicas that open a new store together agree on one.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	if cfg.Store == nil || cfg.Issuer == "" {
		return nil, errors.New("keyring: a ring needs a store and an issuer")
	}
	if cfg.Rotation == 0 {
		cfg.Rotation = DefaultRotation
	}
	if cfg.Rotation < MinRotation {
		return nil, fmt.Errorf("keyring: keys sign for at least %s", MinRotation)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Ring{cfg: cfg, table: table()}
	stored, err := r.ensure(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the signing keys: %w", err)
	}
	keys, err := keySet(stored)
	if err != nil {
		return nil, err
	}
	if r.signer, err = authn.NewSigner(cfg.Issuer, keys); err != nil {
		return nil, err
	}
	r.loaded = stored
	return r, nil
}

// ensure returns the stored keys, and stores new ones when there are none or
// they are to be renewed.
func (r *Ring) ensure(ctx context.Context) (*storev1.KeyRing, error) {
	// Made outside of the transaction, which may run more than once.
	current, err := newKey()
	if err != nil {
		return nil, err
	}
	next, err := newKey()
	if err != nil {
		return nil, err
	}
	now := timestamppb.New(r.cfg.Clock())
	var out *storev1.KeyRing
	err = r.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		rec, found, err := r.table.Find(tx, theKey())
		if err != nil || found && !r.cfg.Renew {
			out = rec.Value
			return err
		}
		out = &storev1.KeyRing{Current: current, Next: next, RotateTime: now}
		_, err = r.table.Put(tx, out, "")
		return err
	})
	return out, err
}

// Sign returns an access token.
func (r *Ring) Sign(c authn.Claims) (string, error) { return r.signer.Sign(c) }

// SignIdentity returns an id token; see authn.Signer.
func (r *Ring) SignIdentity(i authn.Identity) (string, error) { return r.signer.SignIdentity(i) }

// Inspect returns what an access token was signed with; see authn.Signer.
func (r *Ring) Inspect(token string) (authn.Claims, error) {
	return r.signer.Inspect(token, r.cfg.Clock())
}

// Public returns the keys that tokens verify with, the signing one first.
func (r *Ring) Public() authn.JWKS { return r.signer.JWKS() }

// Run rotates the keys when it is time and takes up the rotations of other
// replicas, until ctx ends. Run it once.
func (r *Ring) Run(ctx context.Context) error {
	// When it fails, the keys at hand go on signing meanwhile.
	return rounds.Loop{Do: r.Refresh, Failed: "keyring: cannot look after the signing keys", Logger: r.cfg.Logger, Every: reloadEvery}.Run(ctx)
}

// Refresh does once what Run does every minute.
func (r *Ring) Refresh(ctx context.Context) error {
	var stored *storev1.KeyRing
	err := r.cfg.Store.View(ctx, func(tx kv.Reader) error {
		rec, err := r.table.Get(tx, theKey())
		stored = rec.Value
		return err
	})
	if err != nil {
		return err
	}
	if r.due(stored) {
		if stored, err = r.rotate(ctx); err != nil {
			return err
		}
	}
	return r.take(stored)
}

func (r *Ring) due(k *storev1.KeyRing) bool {
	return !r.cfg.Clock().Before(k.GetRotateTime().AsTime().Add(r.cfg.Rotation))
}

// rotate moves the keys one turn on, unless another replica just did.
func (r *Ring) rotate(ctx context.Context) (*storev1.KeyRing, error) {
	fresh, err := newKey()
	if err != nil {
		return nil, err
	}
	now := timestamppb.New(r.cfg.Clock())
	var out *storev1.KeyRing
	err = r.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		rec, err := r.table.Modify(tx, theKey(), "", func(k *storev1.KeyRing) error {
			if !r.due(k) {
				return nil
			}
			k.Previous, k.Current, k.Next, k.RotateTime = k.GetCurrent(), k.GetNext(), fresh, now
			return nil
		})
		out = rec.Value
		return err
	})
	return out, err
}

// take makes the signer use the stored keys.
func (r *Ring) take(stored *storev1.KeyRing) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if proto.Equal(stored, r.loaded) {
		return nil
	}
	keys, err := keySet(stored)
	if err != nil {
		return err
	}
	if err := r.signer.SetKeys(keys); err != nil {
		return err
	}
	r.loaded = stored
	r.cfg.Logger.Info("keyring: signing keys rotated", "kid", keys.Current.ID)
	return nil
}

func newKey() (*storev1.SigningKey, error) {
	k, err := authn.NewSigningKey(nil)
	if err != nil {
		return nil, err
	}
	return &storev1.SigningKey{Seed: k.Private.Seed()}, nil
}

func keySet(k *storev1.KeyRing) (authn.KeySet, error) {
	var set authn.KeySet
	var err error
	for _, each := range []struct {
		from *storev1.SigningKey
		to   **authn.SigningKey
	}{{k.GetNext(), &set.Next}, {k.GetCurrent(), &set.Current}, {k.GetPrevious(), &set.Previous}} {
		if each.from == nil {
			continue
		}
		if len(each.from.GetSeed()) != ed25519.SeedSize {
			return authn.KeySet{}, errors.New("keyring: a stored signing key is damaged")
		}
		if *each.to, err = authn.SigningKeyFrom(ed25519.NewKeyFromSeed(each.from.GetSeed())); err != nil {
			return authn.KeySet{}, err
		}
	}
	return set, nil
}
