package credential

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"guildhall.dev/pkg/b64"
)

// Params are the costs of argon2id (RFC 9106). The zero Params are
// DefaultParams.
type Params struct {
	// Time is the number of passes, Memory the KiB of each hash, Threads the
	// lanes.
	Time, Memory uint32
	Threads      uint8
}

// DefaultParams are the least that OWASP's password storage cheat sheet names:
// about 20 ms of one core.
func DefaultParams() Params { return Params{Time: 2, Memory: 19456, Threads: 1} }

const (
	saltSize = 16
	hashSize = 32
)

// A stored hash may have been made under other parameters, but never under
// ones that let one login take the machine.
const (
	maxTime    = 64
	maxMemory  = 1 << 20 // 1 GiB
	maxThreads = 16
)

// phc is a hash in the PHC string format:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
type phc struct {
	Params
	salt, hash []byte
}

var encoding = b64.Std

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads,
		encoding.EncodeToString(h.salt), encoding.EncodeToString(h.hash))
}

// parsePHC reads a stored hash. The error never quotes it.
func parsePHC(s string) (phc, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, fmt.Errorf("credential: a stored hash is not argon2id version %d", argon2.Version)
	}
	var h phc
	costs := strings.Split(fields[3], ",")
	if len(costs) != 3 {
		return phc{}, fmt.Errorf("credential: a stored hash has %d parameters, want 3", len(costs))
	}
	memory, err1 := cost(costs[0], "m=", maxMemory)
	time, err2 := cost(costs[1], "t=", maxTime)
	threads, err3 := cost(costs[2], "p=", maxThreads)
	salt, err4 := encoding.DecodeString(fields[4])
	hash, err5 := encoding.DecodeString(fields[5])
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return phc{}, fmt.Errorf("credential: a stored hash does not parse: %w", err)
		}
	}
	h.Params = Params{Time: time, Memory: memory, Threads: uint8(threads)}
	h.salt, h.hash = salt, hash
	if len(h.salt) < 8 || len(h.hash) < 16 {
		return phc{}, fmt.Errorf("credential: a stored hash has a salt of %d and a hash of %d bytes", len(salt), len(hash))
	}
	return h, nil
}

func cost(field, prefix string, most uint32) (uint32, error) {
	text, ok := strings.CutPrefix(field, prefix)
	n, err := strconv.ParseUint(text, 10, 32)
	if !ok || err != nil || n == 0 || uint32(n) > most || text[0] == '0' {
		return 0, fmt.Errorf("parameter %s out of bounds", strings.TrimSuffix(prefix, "="))
	}
	return uint32(n), nil
}

// newPHC hashes a normalised password under a fresh salt.
func newPHC(p Params, password string) phc {
	h := phc{Params: p, salt: random(saltSize)}
	h.hash = h.compute(password, hashSize)
	return h
}

// decoy is a hash that costs as much as any other to compare with, and that no
// password has.
func decoy(p Params) phc {
	return phc{Params: p, salt: random(saltSize), hash: random(hashSize)}
}

func (h phc) compute(password string, size uint32) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.Time, h.Memory, h.Threads, size)
}

// matches takes the same time whether it does or not.
func (h phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.compute(password, uint32(len(h.hash))), h.hash) == 1
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
