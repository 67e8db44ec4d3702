package outbound

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newClient(t testing.TB, s Settings) *Client {
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Second
	}
	if s.Excerpt == 0 {
		s.Excerpt = 64
	}
	if s.PerHost == 0 {
		s.PerHost = 4
	}
	c := New(s)
	t.Cleanup(c.Close)
	return c
}

func TestAllowedURLs(t *testing.T) {
	c := newClient(t, Settings{})
	for _, raw := range []string{
		"https://example.com", "https://example.com/hook?a=b%20c", "https://EXAMPLE.com:443/", "https://example.com:8443/x",
		"https://example.com./", "https://xn--bcher-kva.example/", "https://8.8.8.8/", "https://[2606:4700::1111]/", "https://a_b.example/",
		"https://hooks", "https://1e100.net", "https://[::ffff:8.8.8.8]/",
	} {
		require.NoError(t, c.CheckURL(raw), raw)
	}
}

// Everything that leads to other than the public network, in every notation.
func TestRefusedURLs(t *testing.T) {
	c := newClient(t, Settings{})
	for _, tt := range []struct{ raw, want string }{
		{"http://example.com/", "scheme"},
		{"ftp://example.com/", "scheme"},
		{"file:///etc/passwd", "scheme"},
		{"gopher://example.com:70/", "scheme"},
		{"javascript:alert(1)", "scheme"},
		{"//example.com/", "scheme"},
		{"example.com/hook", "scheme"},
		{"", "scheme"},
		{"https:example.com", "no host"},
		{"https:///hook", "no host"},
		{"https://:443/", "no host"},
		{"https://user@example.com/", "user or a password"},
		{"https://user:pw@example.com/", "user or a password"},
		{"https://8.8.8.8@127.0.0.1/", "user or a password"},
		{"https://example.com/#x", "fragment"},
		{"https://example.com/#", "fragment"},
		{"https://example.com:22/", "port"},
		{"https://example.com:25/", "port"},
		{"https://example.com:0/", "port"},
		{"https://example.com:65536/", "port"},
		{"https://example.com:0443/", "port"},
		{"https://example.com:/", "port"},
		{"https://example.com:99999999999/", "port"},
		{"https://exa mple.com/", "characters"},
		{"https://example.com/\n", "characters"},
		{"https://example.com\\@127.0.0.1/", "characters"},
		{"https://127。0。0。1/", "characters"},
		{"https://１２７.0.0.1/", "characters"},
		{"https://bücher.example/", "characters"},
		{"https://ⓛocalhost/", "characters"},
		{"https://" + strings.Repeat("a", 2048), "bytes"},

		{"https://127.0.0.1/", "public network"},
		{"https://127.255.255.254/", "public network"},
		{"https://0.0.0.0/", "public network"},
		{"https://10.1.2.3/", "public network"},
		{"https://172.16.0.1/", "public network"},
		{"https://192.168.1.1/", "public network"},
		{"https://169.254.169.254/latest/meta-data/", "public network"},
		{"https://169.254.1.1/", "public network"},
		{"https://100.64.0.1/", "public network"},
		{"https://100.100.100.200/", "public network"},
		{"https://192.0.0.192/", "public network"},
		{"https://168.63.129.16/", "public network"},
		{"https://192.0.2.1/", "public network"},
		{"https://198.18.0.1/", "public network"},
		{"https://198.51.100.1/", "public network"},
		{"https://203.0.113.1/", "public network"},
		{"https://224.0.0.1/", "public network"},
		{"https://240.0.0.1/", "public network"},
		{"https://255.255.255.255/", "public network"},
		{"https://192.88.99.1/", "public network"},
		{"https://[::1]/", "public network"},
		{"https://[::]/", "public network"},
		{"https://[::ffff:127.0.0.1]/", "public network"},
		{"https://[::ffff:7f00:1]/", "public network"},
		{"https://[::127.0.0.1]/", "public network"},
		{"https://[::ffff:a9fe:a9fe]/", "public network"},
		{"https://[fe80::1]/", "public network"},
		{"https://[fc00::1]/", "public network"},
		{"https://[fd00:ec2::254]/", "public network"},
		{"https://[ff02::1]/", "public network"},
		{"https://[64:ff9b::7f00:1]/", "public network"},
		{"https://[64:ff9b::169.254.169.254]/", "public network"},
		{"https://[64:ff9b:1::7f00:1]/", "public network"},
		{"https://[2002:7f00:1::]/", "public network"},
		{"https://[2001::1]/", "public network"},
		{"https://[2001:db8::1]/", "public network"},
		{"https://[fec0::1]/", "public network"},
		{"https://[100::1]/", "public network"},
		{"https://[3fff::1]/", "public network"},
		{"https://localhost/", "public network"},
		{"https://LOCALHOST./", "public network"},
		{"https://a.localhost/", "public network"},
		{"https://[fe80::1%25eth0]/", "zone"},
		{"https://[::1%25lo]/", "zone"},
		{"https://%31%32%37.0.0.1/", "unusual notation|public network|not a URL"},

		{"https://2130706433/", "unusual notation"},
		{"https://0x7f000001/", "unusual notation"},
		{"https://0X7F000001/", "unusual notation"},
		{"https://017700000001/", "unusual notation"},
		{"https://127.1/", "unusual notation"},
		{"https://127.0.1/", "unusual notation"},
		{"https://0177.0.0.1/", "unusual notation"},
		{"https://0x7f.0.0.1/", "unusual notation"},
		{"https://0x7f.1/", "unusual notation"},
		{"https://127.0.0.1./", "unusual notation"},
		{"https://0/", "unusual notation"},
		{"https://127.0.0.01/", "unusual notation"},
		{"https://1.2.3.4.5/", "unusual notation"},
		{"https://127.0.0.0x1/", "unusual notation"},
		{"https://example.com.1/", "unusual notation"},
		{"https://a..b/", "neither a name"},
		{"https://a,b/", "neither a name"},
		{"https://" + strings.Repeat("a", 64) + ".com/", "neither a name"},
		{"https://" + strings.Repeat("a.", 127) + "com/", "too long"},
		{"https://[127.0.0.1]/", "not a URL|public network"},
		{"https://[::1/", "not a URL"},
	} {
		err := c.CheckURL(tt.raw)
		require.Error(t, err, tt.raw)
		assert.Regexp(t, tt.want, err.Error(), tt.raw)
	}
}

func TestAllowedByTheOperator(t *testing.T) {
	c := newClient(t, Settings{AllowHTTP: true, AllowPrivate: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8"),
	}})
	for _, raw := range []string{"http://127.0.0.1:3000/", "http://localhost:3000", "https://10.1.255.1/", "https://[fd00::1]/", "http://[::ffff:10.1.2.3]/"} {
		require.NoError(t, c.CheckURL(raw), raw)
	}
	for _, raw := range []string{"https://10.2.0.1/", "https://[::1]/", "https://169.254.169.254/", "http://127.1/"} {
		require.Error(t, c.CheckURL(raw), raw)
	}
}

// Whatever is let through that is an address is a public one.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://8.8.8.8/", "https://[2606:4700::1111]:8443/x", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://a@b", "https://127.0.0.1./"} {
		f.Add(seed)
	}
	c := newClient(f, Settings{})
	f.Fuzz(func(t *testing.T, raw string) {
		if c.CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		require.NoError(t, err)
		assert.Equal(t, "https", u.Scheme)
		host := strings.TrimSuffix(u.Hostname(), ".")
		assert.NotRegexp(t, `^[0-9.]+\.?$|(^|\.)0x[0-9a-f]*$`, strings.TrimSuffix(strings.TrimSuffix(u.Hostname(), publicIPv4(host)), "."))
		if a, err := netip.ParseAddr(host); err == nil {
			a = a.Unmap()
			assert.True(t, a.IsGlobalUnicast() && !a.IsPrivate() && a.Zone() == "", raw)
		}
	})
}

// publicIPv4 returns host where it is an address in the usual notation.
func publicIPv4(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return host
	}
	return ""
}
