package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are addresses whose word about whom they ask for is taken.
type Proxies []netip.Prefix

func (p Proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// addressOf returns from where a request comes: its connection, or, where that is of a
// trusted proxy, the last address of X-Forwarded-For that is of none. A client can
// write what it wants before that one, and nothing after it. Without an address (a
// unix socket) it is the zero one.
func (p Proxies) addressOf(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := port.Addr().Unmap().WithZone("")
	if !p.trust(at) {
		return at
	}
	values := r.Header.Values("X-Forwarded-For")
	for _, rest := range slices.Backward(values) {
		for rest != "" {
			var last string
			if c := strings.LastIndexByte(rest, ','); c >= 0 {
				rest, last = rest[:c], rest[c+1:]
			} else {
				rest, last = "", rest
			}
			next, err := netip.ParseAddr(strings.TrimSpace(last))
			if err != nil {
				return at // what stands before it came from nobody who is trusted
			}
			at = next.Unmap().WithZone("")
			if !p.trust(at) {
				return at
			}
		}
	}
	return at
}

// Neighborhood returns as what limits of addresses count one, and false where it is of a trusted
// proxy, over which many come.
func (p Proxies) Neighborhood(a netip.Addr) (netip.Addr, bool) { return neighborhood(a), !p.trust(a) }

// neighborhood is what a limit of addresses counts: an IPv4 address, or of IPv6 the
// network of 64 bits, all of whose addresses one machine may have.
func neighborhood(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	prefix, err := a.Prefix(64)
	if err != nil { // of a valid address of 128 bits there is one
		return a
	}
	return prefix.Addr()
}
