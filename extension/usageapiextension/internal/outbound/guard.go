package outbound

import (
	"net/netip"

	"code.dny.dev/ssrf"
)

// guard says which addresses may be reached. It is asked about each address that is really
// dialed, so that it does not matter what a name resolved to before.
type guard struct {
	*ssrf.Guardian
	allowed []netip.Prefix
}

// newGuard returns one that allows all public addresses, and those of some networks.
func newGuard(allowed []netip.Prefix) *guard {
	var v4, v6 []netip.Prefix
	g := &guard{}
	for _, p := range allowed {
		p = p.Masked()
		g.allowed = append(g.allowed, p)
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	g.Guardian = ssrf.New(
		ssrf.WithAnyPort(), // CheckURL knows the ports
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		// What answers there in Azure is of the host, though the address looks public
		// (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
		ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(netip.AddrFrom4([4]byte{168, 63, 129, 16}), 32)),
	)
	return g
}

// allows reports whether an address may be reached. An IPv4 address within IPv6 is the IPv4 one.
func (g *guard) allows(a netip.Addr) bool { return a.Zone() == "" && g.SafeAddr(a.Unmap()) == nil }

// local reports whether this machine itself may be reached.
func (g *guard) local() bool {
	return g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || g.allows(netip.IPv6Loopback())
}
