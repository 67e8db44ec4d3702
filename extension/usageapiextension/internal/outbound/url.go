package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL is how long a URL is at most.
const maxURL = 2048

// CheckURL says what is wrong with a URL, in words for who wrote it. What a host name
// resolves to is only looked at when it is dialed.
func (c *Client) CheckURL(raw string) error {
	_, err := c.parse(raw)
	return err
}

func (c *Client) parse(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("it has %d bytes: at most %d", len(raw), maxURL)
	}
	if i := strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r > 0x7e }); i >= 0 {
		return nil, errors.New("it has characters that a URL does not have: write a host name of other than ASCII letters as punycode (xn--...), the rest in percent encoding")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it is not a URL such as https://example.com/hook")
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !c.settings.AllowHTTP):
		return nil, fmt.Errorf("its scheme is %q: use https", u.Scheme)
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("it has no host: write one such as https://example.com/hook")
	case u.User != nil:
		return nil, errors.New("it has a user or a password: leave them out; requests are signed, see the docs")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("it has a fragment (#...), which no server would be sent: leave it out")
	}
	if err := checkPort(u); err != nil {
		return nil, err
	}
	return u, c.checkHost(u.Hostname())
}

// checkPort refuses the ports of services that speak something else than HTTP.
func checkPort(u *url.URL) error {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return errors.New("it has a colon without a port: leave it out")
		}
		return nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || strconv.FormatUint(port, 10) != text || port != 80 && port != 443 && port < 1024 {
		return fmt.Errorf("its port is %s: use 80, 443, or one from 1024 to 65535", text)
	}
	return nil
}

func (c *Client) checkHost(host string) error {
	notAllowed := errors.New("its address is not one of the public network: use a host that everybody can reach")
	if strings.ContainsAny(host, "%") {
		return errors.New("its host has a zone or percent encoding: write a plain host name or address")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if !c.guard.allows(addr) {
			return notAllowed
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return errors.New("its host is neither a name nor an address")
		}
	}
	if len(name) > 253 {
		return errors.New("its host name is too long: at most 253 characters")
	}
	last := labels[len(labels)-1]
	// The URL standard reads such hosts as IPv4 addresses: 127.1, 0x7f000001, 017700000001
	// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return errors.New("its host is an address in an unusual notation: write four decimal numbers without leading zeros")
	}
	if last == "localhost" && !c.guard.local() {
		return notAllowed
	}
	return nil
}
