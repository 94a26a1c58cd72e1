// Package seal keeps what a service stores unreadable to whoever holds only
// the store: a stolen file, a database page, a backup.
//
// A Ring holds two keysets of Tink's: AEAD keys, which rotate, seal every
// value with its table and key as associated data, so that a value neither
// opens nor passes in another place; and one PRF key, which never rotates,
// hashes the personal parts of keys and derives the keys of other parts of
// the suite. Ring.Wrap puts the sealing under a kv.Store, so that nothing
// above it can forget to.
//
// It does not hide how many records there are, how long they are, which index
// keys are equal, or the key parts a table does not mark Personal; and it
// does not notice when an attacker who can write the store puts back an older
// value of the same key, or deletes one.
package seal

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"guildhall.dev/pkg/errs"
)

// Ring seals, opens, hashes and derives with the keys of one keyset file. It
// is safe for concurrent use, and implements kv.Hasher.
type Ring struct {
	path string // empty for a ring in memory
	kek  tink.AEAD
	keys atomic.Pointer[keys]
	mu   sync.Mutex // held while keys is replaced
}

// keys is one state of a ring; it never changes.
type keys struct {
	created time.Time
	seals   *keyset.Handle
	hashes  *keyset.Handle
	aead    tink.AEAD
	prf     *prf.Set
	primary uint32
	held    map[uint32]bool
	file    os.FileInfo // what it was read from; nil in memory
}

// New returns a ring of fresh keys in memory, for tests and for stores that
// end with the process.
func New() (*Ring, error) {
	k, err := generate()
	if err != nil {
		return nil, err
	}
	r := &Ring{}
	r.keys.Store(k)
	return r, nil
}

// sealTemplate is XAES-256-GCM and not plain AES-256-GCM. Nonces are random,
// and 96 bits of them are good for 2^32 values a key (NIST SP 800-38D): days,
// at the rate of one busy store. 192 bits need no counting.
func sealTemplate() *tinkpb.KeyTemplate { return aead.XAES256GCM192BitNonceKeyTemplate() }

func generate() (*keys, error) {
	seals, err := keyset.NewHandle(sealTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a sealing key: %w", err)
	}
	hashes, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a hashing key: %w", err)
	}
	return newKeys(time.Now().UTC().Truncate(time.Second), seals, hashes)
}

func newKeys(created time.Time, seals, hashes *keyset.Handle) (*keys, error) {
	k := &keys{created: created, seals: seals, hashes: hashes, held: make(map[uint32]bool)}
	var err error
	if k.aead, err = aead.New(seals); err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	if k.prf, err = prf.NewPRFSet(hashes); err != nil {
		return nil, fmt.Errorf("hashing keys: %w", err)
	}
	info := seals.KeysetInfo()
	k.primary = info.GetPrimaryKeyId()
	for _, key := range info.GetKeyInfo() {
		k.held[key.GetKeyId()] = true
	}
	return k, nil
}

// HashSize is the length in bytes of a Hash.
const HashSize = 16

// Hash returns a keyed hash of the value for the context, 16 bytes. Without
// the keyset nobody can tell what was hashed, not even by trying all phone
// numbers. Hashes of one value in two contexts have nothing in common.
//
// The hashing key does not rotate: hashes are keys of indexes, and under a
// new key no lookup would find what was stored under the old one. Nor does
// HMAC wear out with use, as a cipher does; and whoever steals the key can
// test guesses against an index, but open nothing.
func (r *Ring) Hash(context string, value []byte) []byte {
	return r.compute("hash", context, value, HashSize)
}

// DerivedSize is the length in bytes of a derived key.
const DerivedSize = 32

// Derive returns the secret key of the ring for a purpose, 32 bytes, the same
// at every call and on every replica that holds the keyset. It outlives
// rotation.
func (r *Ring) Derive(purpose string) []byte {
	return r.compute("derive", purpose, nil, DerivedSize)
}

// compute keeps the two uses, and contexts of any content, apart: every field
// but the last carries its length.
func (r *Ring) compute(use, context string, value []byte, size uint32) []byte {
	in := make([]byte, 0, len(use)+len(context)+len(value)+2*binary.MaxVarintLen64)
	for _, s := range []string{use, context} {
		in = binary.AppendUvarint(in, uint64(len(s)))
		in = append(in, s...)
	}
	out, err := r.keys.Load().prf.ComputePrimaryPRF(append(in, value...), size)
	if err != nil {
		// Only an output longer than SHA-256's is an error. Nil is of no
		// length any user of this result accepts.
		return nil
	}
	return out
}

// associated is the associated data of a value: table names hold no 0 byte.
func associated(table string, key []byte) []byte {
	ad := make([]byte, 0, len(table)+1+len(key))
	return append(append(append(ad, table...), 0), key...)
}

// seal returns the value sealed for its place. An empty value stays as it is:
// what it says is that the key is there, which the key says already (entries
// of indexes), and sealing would only make every such entry larger. An
// attacker gains nothing by emptying a value: no stored record is empty.
func (r *Ring) seal(table string, key, value []byte) ([]byte, error) {
	if len(value) == 0 {
		return value, nil
	}
	sealed, err := r.keys.Load().aead.Encrypt(value, associated(table, key))
	if err != nil {
		return nil, fmt.Errorf("seal a value of table %s: %w", table, err)
	}
	return sealed, nil
}

// open undoes seal.
func (r *Ring) open(table string, key, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return sealed, nil
	}
	id, ok := keyID(sealed)
	k := r.keys.Load()
	if ok && !k.held[id] {
		k = r.refresh(k)
	}
	if !ok || !k.held[id] {
		return nil, errs.New(errs.Precondition, "STORE_UNREADABLE",
			"the store holds data sealed under a key this keyset does not hold; start with the keyset file the store was made with",
			errs.Cause(fmt.Errorf("table %s: key id %d", table, id)))
	}
	value, err := k.aead.Decrypt(sealed, associated(table, key))
	if err != nil {
		return nil, errs.New(errs.Internal, "STORE_TAMPERED", errs.InternalMessage,
			errs.Cause(fmt.Errorf("table %s: a stored value was changed or moved: %w", table, err)))
	}
	return value, nil
}

// keyID returns the id of the key that sealed a value, which Tink puts behind
// a format byte of 1.
func keyID(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:5]), true
}
