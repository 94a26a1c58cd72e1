package resource

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"guildhall.dev/pkg/errs"
)

// ValidID reports whether id can stand in a name: 1 to 63 of a-z, 0-9 and
// hyphen, with a letter or digit at both ends. That is AIP-122's rule, but
// for the first character, which it wants to be a letter: UUIDs begin with
// digits. It leaves out "-", the wildcard of AIP-159.
func ValidID(id string) bool {
	if len(id) == 0 || len(id) > MaxIDLength || id[0] == '-' || id[len(id)-1] == '-' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// CheckID is ValidID for an id that a client chose (AIP-133). The error is
// Invalid (RESOURCE_NAME_INVALID) on the given field.
func CheckID(field, id string) error {
	if ValidID(id) {
		return nil
	}
	return errs.InvalidField(field, Reason, fmt.Sprintf("send 1 to %d lower-case letters, digits and inner hyphens", MaxIDLength))
}

// NewID returns a new id, a UUIDv7 (RFC 9562) in lower case: ids made later
// sort later, so that what is created together is stored together.
func NewID() string { return newID(time.Now()).String() }

// newID follows RFC 9562 §6.2 method 3: the 12 bits behind the milliseconds
// carry the fraction of the millisecond, in place of a counter that all
// callers would share.
func newID(now time.Time) uuid.UUID {
	var u uuid.UUID
	rand.Read(u[8:]) // never fails: crypto/rand ends the process instead
	ms := uint64(now.UnixMilli())
	fraction := uint64(now.Nanosecond()%1e6) << 12 / 1e6
	binary.BigEndian.PutUint64(u[:8], ms<<16|0x7000|fraction)
	u[8] = u[8]&0x3f | 0x80
	return u
}
