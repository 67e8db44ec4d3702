package usageapiextension

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"go.opentelemetry.io/collector/config/confignet"
)

// Validate says all that is wrong, each with its key, its value and the remedy.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, c.validateAccess())
	if c.ServerConfig.NetAddr.Endpoint == "" {
		fail("endpoint is empty: write an address to listen on, such as %s", defaultEndpoint)
	} else if !c.authenticates() && !c.AllowUnauthenticated && !c.local() {
		fail("endpoint is %q, which others than this machine may reach, and nobody has to say who they are: "+
			"set auth::authenticator or api_keys::file, listen on %s, or set allow_unauthenticated: true where something else keeps strangers out",
			c.ServerConfig.NetAddr.Endpoint, defaultEndpoint)
	}
	if n := c.MaxConnectionsPerAddress; n < 1 && n != -1 {
		fail("max_connections_per_address is %d: it must be at least 1, or -1 for no limit", n)
	}
	for _, n := range []struct {
		key          string
		value, least int64
	}{
		{"max_connections", int64(c.MaxConnections), 1},
		{"max_header_bytes", int64(c.MaxHeaderBytes), 1 << 10},
		{"max_request_body_size", c.ServerConfig.MaxRequestBodySize, 1},
		{"store::max_instances", int64(c.Store.MaxInstances), 1},
		{"store::max_bytes", c.Store.MaxBytes, 1 << 20},
		{"stream::max_clients", int64(c.Stream.MaxClients), 1},
		{"stream::max_clients_per_principal", int64(c.Stream.MaxClientsPerPrincipal), 1},
	} {
		if n.value < n.least {
			fail("%s is %d: it must be at least %d", n.key, n.value, n.least)
		}
	}
	for _, d := range []struct {
		key          string
		value, least time.Duration
	}{
		// Without any of these a client that does nothing holds a connection forever.
		{"read_header_timeout", c.ServerConfig.ReadHeaderTimeout, time.Millisecond},
		{"read_timeout", c.ServerConfig.ReadTimeout, time.Millisecond},
		{"write_timeout", c.ServerConfig.WriteTimeout, time.Millisecond},
		{"store::retain", c.Store.Retain, time.Second},
		{"stream::interval", c.Stream.Interval, 100 * time.Millisecond},
		{"stream::write_timeout", c.Stream.WriteTimeout, 100 * time.Millisecond},
		{"health::stalled_after", c.Health.StalledAfter, time.Second},
	} {
		if d.value < d.least {
			fail("%s is %v: it must be at least %v", d.key, d.value, d.least)
		}
	}
	return errors.Join(errs...)
}

// authenticates reports whether those who ask have to say who they are.
func (c *Config) authenticates() bool {
	return c.ServerConfig.Auth.HasValue() || c.APIKeys.HasValue()
}

// local reports whether nobody but this machine reaches the endpoint.
func (c *Config) local() bool {
	if t := c.ServerConfig.NetAddr.Transport; t == confignet.TransportTypeUnix {
		return true
	}
	host, _, err := net.SplitHostPort(c.ServerConfig.NetAddr.Endpoint)
	return err == nil && isLoopback(host)
}

// isLoopback reports whether a host, a name or an address, is this machine and
// cannot become another one.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
