package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the networks whose X-Forwarded-For is believed.
type proxies []netip.Prefix

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(a) })
}

// client returns the address that a request comes from: the connection's other
// end, or, when that is a proxy of ours, what it says. Entries are read from
// the right, where our proxies write, until one is not ours; what stands to the
// left of it is whatever the client sent. The zero Addr means unknown.
func (p proxies) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := plain(peer.Addr())
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.trust(address) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = plain(next)
	}
	return address
}

// plain returns an address as it is compared and written: IPv4 as IPv4, and
// without the zone, which means something on this machine only.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
