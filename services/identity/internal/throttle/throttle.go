// Package throttle slows guessing down: of passwords at one account, from one
// network, and of the two together.
//
// Each is a leaky bucket. An attempt pours one in before the password is looked
// at, and a success takes its own out again; what leaks out is one in a fixed
// time. Up to a free number of attempts nobody waits; each one beyond it doubles
// the time until the next, from a second up to a longest:
//
//	          attempt, level <= free
//	           ┌────┐
//	           ▼    │
//	(none) ──▶ open ┴──attempt, level > free──▶ waiting ──┐ attempt: refused,
//	  ▲         ▲ ▲                              │   ▲    │ nothing is written
//	  │         │ └────────ready_time────────────┘   └────┘
//	  │         └─ success: out of the account's and the network's
//	  └─ leaked empty, or success: a pair's, a device's
//
// There is no state in which nobody is let through: a lock would be a weapon in
// the hand of whoever wants somebody out (OWASP ASVS 5.0, 6.1.1). NIST SP
// 800-63B-4 section 3.2.2 would disable a password after a hundred failures in a
// row; here no more than the longest wait keeps its owner out, the rate stays
// below what passwords of fifteen characters bear, and a device that has logged
// in before passes by what strangers do.
//
// Buckets are in the store: a restart empties none, and replicas share them.
// Whom a bucket is of is in keyed hashes, of what was typed: an account that
// does not exist waits like one that does.
package throttle

import (
	"errors"
	"time"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Attempts that are free of a wait; see Limits.
const (
	DefaultAccount = 20
	DefaultPair    = 5
	DefaultNetwork = 200
)

// factorFree is how many wrong codes of second factors make nobody wait. It is no
// limit to configure: who mistypes more has another problem.
const factorFree = 10

// Limits say how many attempts that fail make nobody wait. Zero is the default.
type Limits struct {
	// Account counts those at one account from anywhere, Pair those from one
	// network or with one known device, Network those from one network at
	// anything, requests for resets of passwords among them.
	Account, Pair, Network int
}

// Book keeps the buckets. It is safe for concurrent use.
type Book struct {
	hasher kv.Hasher
	limits map[storev1.ThrottleScope]limit
	table  *kv.Table[*storev1.Throttle]
}

// New returns a book. The hasher hides whom a bucket is of.
func New(hasher kv.Hasher, l Limits) (*Book, error) {
	if hasher == nil {
		return nil, errors.New("throttle: a book needs a hasher")
	}
	orDefault(&l.Account, DefaultAccount)
	orDefault(&l.Pair, DefaultPair)
	orDefault(&l.Network, DefaultNetwork)
	pair := limit{free: l.Pair, longest: 15 * time.Minute, leak: 15 * time.Minute}
	return &Book{hasher: hasher, table: table(), limits: map[storev1.ThrottleScope]limit{
		// Others can make an account wait, so its waits are the shorter ones.
		scopeAccount: {free: l.Account, longest: 5 * time.Minute, leak: 5 * time.Minute},
		scopePair:    pair,
		scopeDevice:  pair,
		// In the long run 24 guesses a day. Three of a million codes are right at a
		// time, six with two authenticator apps, so one of twenty who guess for a year
		// comes in, having had the password all the while.
		scopeFactor: {free: factorFree, longest: time.Hour, leak: time.Hour},
		// Behind one address may be a whole company that mistypes.
		scopeNetwork: {free: l.Network, longest: 30 * time.Second, leak: 30 * time.Second},
	}}, nil
}

func orDefault(n *int, value int) {
	if *n <= 0 {
		*n = value
	}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

const (
	scopeAccount = storev1.ThrottleScope_THROTTLE_SCOPE_ACCOUNT
	scopePair    = storev1.ThrottleScope_THROTTLE_SCOPE_PAIR
	scopeDevice  = storev1.ThrottleScope_THROTTLE_SCOPE_DEVICE
	scopeNetwork = storev1.ThrottleScope_THROTTLE_SCOPE_NETWORK
	scopeFactor  = storev1.ThrottleScope_THROTTLE_SCOPE_FACTOR
)

const byExpiry = "expiry"

// table is (subject, scope, part) -> Throttle: all about what one person typed
// lies together.
func table() *kv.Table[*storev1.Throttle] {
	return kv.NewTable(kv.TableConfig[*storev1.Throttle]{
		Name: "throttles",
		Key:  func(t *storev1.Throttle) kv.Key { return key(t.GetSubject(), t.GetScope(), t.GetPart()) },
		Indexes: []kv.Index[*storev1.Throttle]{{
			// By the hour, rounded up: an entry that moved with each attempt
			// would double what an attempt writes.
			Name: byExpiry,
			Keys: func(t *storev1.Throttle) []kv.Key {
				return []kv.Key{{kv.Time(t.GetEmptyTime().AsTime().Truncate(time.Hour).Add(time.Hour))}}
			},
		}},
	})
}

func key(subject []byte, scope storev1.ThrottleScope, part []byte) kv.Key {
	return kv.Key{kv.Bytes(subject), kv.Uint64(uint64(scope)), kv.Bytes(part)}
}

func keyOf(t *storev1.Throttle) kv.Key { return key(t.GetSubject(), t.GetScope(), t.GetPart()) }
