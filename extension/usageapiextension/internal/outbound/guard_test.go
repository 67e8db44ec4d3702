package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// Who allows the prefix of NAT64 allows the public IPv4 network by it, and not its own.
func TestNAT64(t *testing.T) {
	for _, tt := range []struct {
		allowed, addr string
		want          bool
	}{
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", true},
		{"64:ff9b::/96", "64:ff9b::127.0.0.1", false},
		{"64:ff9b::/96", "64:ff9b::169.254.169.254", false},
		{"64:ff9b::/96", "64:ff9b::168.63.129.16", false},
		{"64:ff9b::/96", "64:ff9b:1::8.8.8.8", false},
		{"64:ff9b::/96", "::ffff:127.0.0.1", false},
		{"10.0.0.0/8", "64:ff9b::10.0.0.1", false},
		{"10.0.0.0/8", "64:ff9b::8.8.8.8", false},
		{"64:ff9b::/96 10.0.0.0/8", "64:ff9b::10.0.0.1", true},
		{"64:ff9b::/96 10.0.0.0/8", "64:ff9b::192.168.0.1", false},
	} {
		var allowed []netip.Prefix
		for p := range strings.FieldsSeq(tt.allowed) {
			allowed = append(allowed, netip.MustParsePrefix(p))
		}
		c := newClient(t, Settings{AllowPrivate: allowed})
		assert.Equal(t, tt.want, c.CheckURL("https://["+tt.addr+"]/") == nil, "%s of %s", tt.addr, tt.allowed)
		if a := netip.MustParseAddr(tt.addr); !a.Is4In6() {
			assert.Equal(t, tt.want, c.guard.Safe("tcp6", netip.AddrPortFrom(a, 443).String(), nil) == nil, "%s of %s, dialed", tt.addr, tt.allowed)
		}
	}
}

// What is dialed is judged as what is registered, in the forms in which a dialer has it.
func TestDialed(t *testing.T) {
	g := newGuard(nil)
	for _, addr := range []string{"8.8.8.8:443", "[2606:4700::1111]:443"} {
		require.NoError(t, g.Safe(map[bool]string{true: "tcp6", false: "tcp4"}[addr[0] == '['], addr, nil), addr)
	}
	for _, addr := range []string{
		"127.0.0.1:443", "0.0.0.0:443", "169.254.169.254:80", "168.63.129.16:80", "10.0.0.1:443", "100.64.0.1:443", "255.255.255.255:443",
		"[::1]:443", "[::]:443", "[::ffff:127.0.0.1]:443", "[::ffff:8.8.8.8]:443", "[fe80::1%eth0]:443", "[fd00:ec2::254]:80",
		"[64:ff9b::7f00:1]:443", "[64:ff9b:1::1]:443", "[2002:7f00:1::]:443", "[2001::1]:443", "[fec0::1]:443", "8.8.8.8", "localhost:443", "",
	} {
		require.Error(t, g.Safe(map[bool]string{true: "tcp6", false: "tcp4"}[strings.HasPrefix(addr, "[")], addr, nil), addr)
	}
	require.Error(t, g.Safe("udp4", "8.8.8.8:443", nil))
	require.Error(t, g.Safe("unix", "/run/docker.sock", nil))
}

// Names that resolve to several addresses lead to those that are allowed only, whatever
// their order and family.
func TestManyAddresses(t *testing.T) {
	var hits atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	url := "http://many.example.com:" + port
	for _, answers := range [][]string{
		{"127.0.0.1"},
		{"::1"},
		{"::1", "127.0.0.1"},
		{"169.254.169.254", "10.0.0.1", "127.0.0.1"},
		{"::ffff:127.0.0.1"},
		{"64:ff9b::7f00:1"},
		{"fe80::1"},
		{"0.0.0.0"},
		{"::"},
	} {
		out := newClient(t, Settings{AllowHTTP: true, Resolver: fakeDNS(t, func(dnsmessage.Type) []string { return answers })}).Send(t.Context(), post(url))
		assert.Equal(t, Forbidden, out.Class, "%v: %v", answers, out.Err)
		assert.Equal(t, errAddress, out.Err)
	}
	assert.Zero(t, hits.Load())
	set := local() // and ::1 is not allowed
	set.Resolver = fakeDNS(t, func(dnsmessage.Type) []string { return []string{"::1", "10.0.0.1", "127.0.0.1"} })
	out := newClient(t, set).Send(t.Context(), post(url))
	require.NoError(t, out.Err)
	assert.EqualValues(t, 1, hits.Load())
}

// Each notation of an address that is not public is refused: those that resolvers,
// browsers and libraries of other languages read, too.
func TestEveryNotation(t *testing.T) {
	c := newClient(t, Settings{})
	refused := func(host string) {
		t.Helper()
		for _, url := range []string{"https://" + host + "/", "https://" + host + ":8443", "https://" + strings.ToUpper(host)} {
			require.Error(t, c.CheckURL(url), url)
		}
	}
	for _, text := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.10", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1",
		"168.63.129.16", "198.18.0.1", "192.0.2.1", "224.0.0.251", "255.255.255.255",
	} {
		b := netip.MustParseAddr(text).As4()
		for parts := 1; parts <= 4; parts++ {
			// The last part is of all the bytes that are left.
			n := make([]uint64, parts)
			for i, v := range b {
				at := min(i, parts-1)
				n[at] = n[at]<<8 | uint64(v)
			}
			for _, form := range []string{"%d", "0%o", "000%o", "0x%x", "0x0%x", "%03d"} {
				all, first := make([]string, parts), make([]string, parts)
				for i, v := range n {
					all[i], first[i] = fmt.Sprintf(form, v), strconv.FormatUint(v, 10)
				}
				first[0] = all[0]
				for _, host := range []string{strings.Join(all, "."), strings.Join(first, ".")} {
					refused(host)
					refused(host + ".")
				}
			}
		}
		for _, form := range []string{
			"[::ffff:%02x%02x:%02x%02x]", "[::%02x%02x:%02x%02x]", "[::ffff:0:%02x%02x:%02x%02x]", "[64:ff9b::%02x%02x:%02x%02x]",
			"[64:ff9b:1::%02x%02x:%02x%02x]", "[2002:%02x%02x:%02x%02x::1]", "[2001:0:%02x%02x:%02x%02x::]", "[fe80::%02x%02x:%02x%02x%%25eth0]",
			"[0:0:0:0:0:ffff:%02x%02x:%02x%02x]", "[::ffff:%d.%d.%d.%d]", "[::%d.%d.%d.%d]", "[64:ff9b::%d.%d.%d.%d]",
			"%%%02x%%%02x%%%02x%%%02x", "[%d.%d.%d.%d]", "user@%d.%d.%d.%d", "@%d.%d.%d.%d", "%d。%d。%d。%d", "%d．%d．%d．%d",
		} {
			refused(fmt.Sprintf(form, b[0], b[1], b[2], b[3]))
		}
		refused(strings.Map(func(r rune) rune { // full width
			if r >= '0' && r <= '9' {
				return r - '0' + '０'
			}
			return r
		}, text))
	}
}
