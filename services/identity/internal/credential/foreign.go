package credential

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // of hashes that others made
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
)

// Most that one hash of another system may cost: each is compared at a login, by
// anybody who tries, before it is replaced. They are about half a second and 128
// MiB.
const (
	mostBcryptCost    = 14
	mostScryptBytes   = 128 << 20
	mostScryptLanes   = 4
	mostPBKDF2Rounds  = 2_000_000
	leastPBKDF2Rounds = 1_000
	mostArgonMemory   = 128 << 10 // KiB
	mostArgonTime     = 16
)

// longestHash bounds what is parsed.
const longestHash = 512

// matcher is a stored hash of any kind.
type matcher interface {
	// matches compares with a password as it was typed, and as Normalize has it.
	matches(typed, normal string) bool
}

var errForeign = errors.New("credential: a stored hash is of no known kind, or its parameters are out of bounds")

// parse reads a stored hash: our own, or one that was imported. The error never
// quotes it.
func parse(stored string) (matcher, error) {
	if len(stored) > longestHash {
		return nil, errForeign
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(stored, "$"), "$")
	switch {
	case kind == "argon2id":
		h, err := parsePHC(stored)
		return own{h}, err
	case kind == "argon2i":
		return parseArgon2i(stored)
	case kind == "2a" || kind == "2b" || kind == "2y":
		return parseBcrypt(stored)
	case kind == "scrypt":
		return parseScrypt(stored)
	case strings.HasPrefix(kind, "pbkdf2"):
		return parsePBKDF2(stored)
	}
	return nil, errForeign
}

// CheckForeign returns nil for a hash that can be imported, and else Invalid
// (PASSWORD_HASH_INVALID) on the field. These are PHC strings of argon2id, argon2i
// and scrypt, bcrypt, and PBKDF2 as passlib and Django write it.
func CheckForeign(field, stored string) error {
	m, err := parse(stored)
	if o, ok := m.(own); err == nil && ok && (o.Memory > mostArgonMemory || o.Time > mostArgonTime) {
		err = errForeign
	}
	if err != nil {
		return errs.InvalidField(field, "PASSWORD_HASH_INVALID",
			"send a hash of argon2id, argon2i, scrypt, bcrypt or PBKDF2 in its usual form, of a cost that a login can bear")
	}
	return nil
}

// own is a hash as the pool makes it.
type own struct{ phc }

func (h own) matches(_, normal string) bool { return h.phc.matches(normal) }

// argon2i is the variant of argon2 that came before argon2id.
type argon2i struct{ phc }

// parseArgon2i reads a PHC string as argon2id's; only the name differs.
func parseArgon2i(stored string) (matcher, error) {
	h, err := parsePHC(strings.Replace(stored, "$argon2i$", "$argon2id$", 1))
	if err != nil || h.Memory > mostArgonMemory || h.Time > mostArgonTime {
		return nil, errForeign
	}
	return argon2i{h}, nil
}

func (h argon2i) matches(typed, _ string) bool {
	return equal(argon2.Key([]byte(typed), h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.hash))), h.hash)
}

// bcrypted is a hash of bcrypt, which looks at no more than 72 bytes of a
// password. The hash that takes its place looks at all.
type bcrypted string

func parseBcrypt(stored string) (matcher, error) {
	const length = 60
	cost, err := bcrypt.Cost([]byte(stored))
	if err != nil || len(stored) != length || cost > mostBcryptCost {
		return nil, errForeign
	}
	return bcrypted(stored), nil
}

func (h bcrypted) matches(typed, _ string) bool {
	const most = 72
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(typed[:min(len(typed), most)])) == nil
}

// scrypted is a hash of scrypt (RFC 7914): $scrypt$ln=16,r=8,p=1$<salt>$<hash>.
type scrypted struct {
	n, r, p    int
	salt, hash []byte
}

func parseScrypt(stored string) (matcher, error) {
	fields := strings.Split(stored, "$")
	if len(fields) != 5 || fields[0] != "" {
		return nil, errForeign
	}
	costs := strings.Split(fields[2], ",")
	if len(costs) != 3 {
		return nil, errForeign
	}
	ln, err1 := cost(costs[0], "ln=", 20)
	r, err2 := cost(costs[1], "r=", 32)
	p, err3 := cost(costs[2], "p=", mostScryptLanes)
	salt, err4 := encoding.DecodeString(fields[3])
	sum, err5 := encoding.DecodeString(fields[4])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil || tooShort(salt, sum) || 128*int(r)<<ln > mostScryptBytes {
		return nil, errForeign
	}
	return scrypted{n: 1 << ln, r: int(r), p: int(p), salt: salt, hash: sum}, nil
}

func (h scrypted) matches(typed, _ string) bool {
	sum, err := scrypt.Key([]byte(typed), h.salt, h.n, h.r, h.p, len(h.hash))
	return err == nil && equal(sum, h.hash)
}

// pbkdf2ed is a hash of PBKDF2 (RFC 8018).
type pbkdf2ed struct {
	digest     func() hash.Hash
	rounds     int
	salt, hash []byte
}

// parsePBKDF2 reads what passlib writes, $pbkdf2-sha256$29000$<salt>$<hash> in
// base64 with a point for the plus and without padding, and what Django does,
// pbkdf2_sha256$600000$<salt in clear>$<hash in base64>.
func parsePBKDF2(stored string) (matcher, error) {
	digests := map[string]func() hash.Hash{
		"pbkdf2": sha1.New, "pbkdf2-sha256": sha256.New, "pbkdf2-sha512": sha512.New,
		"pbkdf2_sha1": sha1.New, "pbkdf2_sha256": sha256.New, "pbkdf2_sha512": sha512.New,
	}
	text, passlib := strings.CutPrefix(stored, "$")
	fields := strings.Split(text, "$")
	if len(fields) != 4 || digests[fields[0]] == nil || passlib == strings.Contains(fields[0], "_") {
		return nil, errForeign
	}
	rounds, err := strconv.Atoi(fields[1])
	if err != nil || rounds < leastPBKDF2Rounds || rounds > mostPBKDF2Rounds {
		return nil, errForeign
	}
	h := pbkdf2ed{digest: digests[fields[0]], rounds: rounds, salt: []byte(fields[2])}
	if passlib {
		var err1, err2 error
		h.salt, err1 = encoding.DecodeString(strings.ReplaceAll(fields[2], ".", "+"))
		h.hash, err2 = encoding.DecodeString(strings.ReplaceAll(fields[3], ".", "+"))
		err = errors.Join(err1, err2)
	} else {
		h.hash, err = b64.Padded.DecodeString(fields[3])
	}
	if err != nil || tooShort(h.salt, h.hash) || len(h.hash) > 64 {
		return nil, errForeign
	}
	return h, nil
}

func (h pbkdf2ed) matches(typed, _ string) bool {
	sum, err := pbkdf2.Key(h.digest, typed, h.salt, h.rounds, len(h.hash))
	return err == nil && equal(sum, h.hash)
}

func tooShort(salt, sum []byte) bool { return len(salt) < 8 || len(sum) < 16 }

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
