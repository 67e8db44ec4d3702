package access

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAddressOf(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name      string
		proxies   Proxies
		remote    string
		forwarded []string
		want      string
	}{
		{"direct", proxies, "192.0.2.1:1", nil, "192.0.2.1"},
		{"who is no proxy says nothing", proxies, "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"nobody is trusted unless configured", nil, "10.0.0.1:1", []string{"198.51.100.1"}, "10.0.0.1"},
		{"proxy", proxies, "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the client wrote itself", proxies, "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", proxies, "10.0.0.1:1", []string{"8.8.8.8, 198.51.100.1 , 10.0.0.2"}, "198.51.100.1"},
		{"two headers", proxies, "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"all are proxies", proxies, "10.0.0.1:1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"no address", proxies, "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"nothing", proxies, "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"IPv4 in IPv6", proxies, "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"IPv6 with a zone", proxies, "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"unix socket", proxies, "@", nil, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		assert.Equal(t, tt.want, tt.proxies.addressOf(r).String(), tt.name)
	}
	assert.Equal(t, "2001:db8:1:2::", neighborhood(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")).String())
	assert.Equal(t, "192.0.2.1", neighborhood(netip.MustParseAddr("192.0.2.1")).String())
	assert.False(t, neighborhood(netip.Addr{}).IsValid())
}

func FuzzAddressOf(f *testing.F) {
	f.Add("10.0.0.1:1", "1.1.1.1, 2.2.2.2")
	f.Add("[::1]:1", ",,")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		all := Proxies{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		neighborhood(all.addressOf(r))
		direct, err := netip.ParseAddrPort(remote)
		if err == nil {
			assert.Equal(t, direct.Addr().Unmap().WithZone(""), Proxies(nil).addressOf(r))
		}
	})
}
