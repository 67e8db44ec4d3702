package outbound

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Settings of a Client.
type Settings struct {
	// AllowHTTP allows URLs without TLS.
	AllowHTTP bool
	// AllowPrivate are networks that may be reached although they are not public.
	AllowPrivate []netip.Prefix
	// Timeout is how long a request may take, from the name to the head of the answer.
	Timeout time.Duration
	// TLS has own authorities and a certificate of the client's own; nil for what the system has.
	TLS *tls.Config
	// PerHost is how many connections to a host are kept for later.
	PerHost int
	// Excerpt is how many bytes of an answer are kept.
	Excerpt int
	// Resolver looks up names; nil for that of the system.
	Resolver *net.Resolver
}

// A Client sends requests. It is safe for concurrent use.
type Client struct {
	settings  Settings
	guard     *guard
	transport *http.Transport
}

const (
	idleHosts      = 1024 // connections that are kept for later, to all hosts
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 16 << 10 // of an answer
	// drain is how much of an answer is read so that its connection can be used again, and
	// drainTimeout for how long: who answers at length gets another connection.
	drain        = 16 << 10
	drainTimeout = time.Second
)

// New returns a client.
func New(s Settings) *Client {
	c := &Client{settings: s, guard: newGuard(s.AllowPrivate)}
	dialer := &net.Dialer{Timeout: s.Timeout, KeepAlive: 30 * time.Second, Control: c.guard.Safe, Resolver: s.Resolver}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TLS != nil {
		conf = s.TLS.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	}
	c.transport = &http.Transport{
		// No Proxy: one from the environment would be asked for what the guard does not see.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    s.Timeout,
		ResponseHeaderTimeout:  s.Timeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           idleHosts,
		MaxIdleConnsPerHost:    s.PerHost,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true,
		// Requests that go unanswered do not end a connection that carries several, so that all
		// those of a host would go the way of one whose other end has vanished.
		HTTP2:              &http.HTTP2Config{SendPingTimeout: s.Timeout, PingTimeout: s.Timeout},
		DisableCompression: true,
	}
	return c
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// context returns that of one request.
func (c *Client) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.settings.Timeout)
}
