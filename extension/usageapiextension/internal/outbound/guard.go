package outbound

import (
	"fmt"
	"net/netip"
	"syscall"

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

// Safe is for [net.Dialer.Control].
func (g *guard) Safe(network, address string, c syscall.RawConn) error {
	if err := g.Guardian.Safe(network, address, c); err != nil {
		return err
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ssrf.ErrInvalidHostPort, err)
	}
	return g.translated(a.Addr())
}

// allows reports whether an address may be reached. An IPv4 address within IPv6 is the IPv4 one.
func (g *guard) allows(a netip.Addr) bool {
	return a.Zone() == "" && g.SafeAddr(a.Unmap()) == nil && g.translated(a) == nil
}

// translated refuses what a NAT64 would translate to an IPv4 address that is not allowed. Who
// has nothing but IPv6 allows that prefix to reach the public network, not its own.
func (g *guard) translated(a netip.Addr) error {
	if !ssrf.IPv6NAT64Prefix.Contains(a) {
		return nil
	}
	b := a.As16()
	return g.SafeAddr(netip.AddrFrom4([4]byte(b[12:])))
}

// local reports whether this machine itself may be reached.
func (g *guard) local() bool {
	return g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || g.allows(netip.IPv6Loopback())
}
