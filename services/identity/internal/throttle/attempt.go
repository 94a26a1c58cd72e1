package throttle

import (
	"net/netip"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Attempt is one try to prove something that can be guessed.
type Attempt struct {
	// Organization and Identifier are what was typed, in the form in which
	// accounts are looked up by it: another spelling is another account. An
	// empty identifier is for codes that name no account.
	Organization, Identifier string
	// Address is where it comes from; empty within the process.
	Address string
	// Device is the id of a device that is known to be the account's, or of the
	// session in which its owner tries. What strangers do then keeps nobody
	// waiting, and who stole it may try as often as one network may.
	Device string
	// Factor says that what is guessed is a second factor, of the account that
	// Identifier names. That is counted by itself: the right password, which whoever
	// guesses here has, must not buy another guess.
	Factor bool
}

// buckets returns the buckets that count an attempt, empty.
func (b *Book) buckets(a Attempt) []*storev1.Throttle {
	subject, account := b.subject(a.Organization, a.Identifier), scopeAccount
	if a.Factor {
		subject, account = b.factorSubject(a.Organization, a.Identifier), scopeFactor
	}
	if a.Device != "" {
		return []*storev1.Throttle{{Subject: subject, Scope: scopeDevice, Part: b.hash("device", a.Device)}}
	}
	network := Network(a.Address)
	var part []byte
	if network != "" {
		part = b.hash("network", network)
	}
	var out []*storev1.Throttle
	if a.Identifier != "" {
		out = append(out,
			&storev1.Throttle{Subject: subject, Scope: account},
			&storev1.Throttle{Subject: subject, Scope: scopePair, Part: part})
	}
	if network != "" {
		out = append(out, &storev1.Throttle{Subject: part, Scope: scopeNetwork})
	}
	return out
}

// subject is whom the buckets of an identifier are of.
func (b *Book) subject(organization, identifier string) []byte {
	return b.hash("account", organization+"\x00"+identifier)
}

// factorSubject is whom the buckets of an account's second factors are of.
func (b *Book) factorSubject(organization, name string) []byte {
	return b.hash("factor", organization+"\x00"+name)
}

func (b *Book) hash(what, value string) []byte {
	return b.hasher.Hash("identity throttle "+what, []byte(value))
}

// Network returns what one customer of a provider has at least for himself: an
// IPv4 address, or the /64 of an IPv6 address (RFC 6177). Whoever has a /64 has
// more addresses than could ever be counted. It is empty for what is no address.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	const customer = 64
	p, _ := a.Prefix(customer) // never fails: an IPv6 address has 128 bits
	return p.String()
}

// current reads the buckets as they are now.
func (b *Book) current(r kv.Reader, of []*storev1.Throttle) ([]*storev1.Throttle, error) {
	keys := make([]kv.Key, len(of))
	for i, t := range of {
		keys[i] = keyOf(t)
	}
	records, err := b.table.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*storev1.Throttle, len(of))
	for i, rec := range records {
		out[i] = of[i]
		if rec.Found() {
			out[i] = rec.Value
		}
	}
	return out, nil
}
