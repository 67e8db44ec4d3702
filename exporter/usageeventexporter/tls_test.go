package usageeventexporter

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

// A tlsKafka is a broker whose certificate and trust can change, and that
// remembers who came.
type tlsKafka struct {
	*kfake.Cluster

	mu      sync.Mutex
	server  tls.Certificate
	trust   *x509.CertPool // of clients; nil: they need no certificate
	clients []string       // common name of each connection's certificate
}

func newTLSKafka(t *testing.T, server tls.Certificate, trust *x509.CertPool, opts ...kfake.Opt) *tlsKafka {
	t.Helper()
	k := &tlsKafka{server: server, trust: trust}
	k.Cluster = kafka(t, 1, append(opts, kfake.TLS(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		c := &tls.Config{Certificates: []tls.Certificate{k.server}, ClientCAs: k.trust, SessionTicketsDisabled: true}
		if k.trust != nil {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
		c.VerifyConnection = func(s tls.ConnectionState) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			name := ""
			if len(s.PeerCertificates) > 0 {
				name = s.PeerCertificates[0].Subject.CommonName
			}
			k.clients = append(k.clients, name)
			return nil
		}
		return c, nil
	}}))...)
	return k
}

func (k *tlsKafka) change(server tls.Certificate, trust *x509.CertPool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.server, k.trust = server, trust
}

// came returns who connected since the last call, each once.
func (k *tlsKafka) came() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, c := range k.clients {
		if len(out) == 0 || out[len(out)-1] != c {
			out = append(out, c)
		}
	}
	k.clients = nil
	return out
}

func withTLS(change func(*configtls.ClientConfig)) func(*Config) {
	return func(c *Config) {
		noRetry(c)
		tc := configtls.NewDefaultClientConfig()
		change(&tc)
		c.TLS = configoptional.Some(tc)
	}
}

func TestTLSWithWhatIsWrong(t *testing.T) {
	right, wrong := newAuthority(t), newAuthority(t)
	good := right.issue(t, "kafka")
	past := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	elsewhere := func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(10, 0, 0, 1)}, []string{"elsewhere"}
	}
	for _, tt := range []struct {
		name   string
		server pair
		trust  *x509.CertPool
		client func(*configtls.ClientConfig)
		want   string // "": it works
	}{
		{"right", good, nil, func(c *configtls.ClientConfig) { c.CAPem = configopaque.String(right.pem) }, ""},
		{"wrong authority", good, nil, func(c *configtls.ClientConfig) { c.CAPem = configopaque.String(wrong.pem) }, "tls::ca_file is not of the authority that signed the brokers' certificate"},
		{"expired", right.issue(t, "kafka", past), nil, func(c *configtls.ClientConfig) { c.CAPem = configopaque.String(right.pem) }, "the brokers' certificate is expired"},
		{"other name", right.issue(t, "kafka", elsewhere), nil, func(c *configtls.ClientConfig) { c.CAPem = configopaque.String(right.pem) }, "tls::server_name_override"},
		{"other name, and told so", right.issue(t, "kafka", elsewhere), nil, func(c *configtls.ClientConfig) {
			c.CAPem, c.ServerName = configopaque.String(right.pem), "elsewhere"
		}, ""},
		{"wrong authority, not looked at", good, nil, func(c *configtls.ClientConfig) { c.InsecureSkipVerify = true }, ""},
		{"no client certificate", good, right.pool(), func(c *configtls.ClientConfig) { c.CAPem = configopaque.String(right.pem) }, "check tls::cert_file and key_file"},
		{"client certificate of another authority", good, right.pool(), func(c *configtls.ClientConfig) {
			p := wrong.issue(t, "meter")
			c.CAPem, c.CertPem, c.KeyPem = configopaque.String(right.pem), configopaque.String(p.cert), configopaque.String(p.key)
		}, "check tls::cert_file and key_file"},
		{"expired client certificate", good, right.pool(), func(c *configtls.ClientConfig) {
			p := right.issue(t, "meter", past)
			c.CAPem, c.CertPem, c.KeyPem = configopaque.String(right.pem), configopaque.String(p.cert), configopaque.String(p.key)
		}, "check tls::cert_file and key_file"},
		{"right client certificate", good, right.pool(), func(c *configtls.ClientConfig) {
			p := right.issue(t, "meter")
			c.CAPem, c.CertPem, c.KeyPem = configopaque.String(right.pem), configopaque.String(p.cert), configopaque.String(p.key)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cluster := newTLSKafka(t, tt.server.tls(t), tt.trust)
			r := start(t, quick(cluster.ListenAddrs(), withTLS(tt.client)))
			err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, 1, stored(cluster.Cluster))
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, stored(cluster.Cluster))
		})
	}
}

func TestTLSOnAPortWithoutIt(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		withTLS(func(*configtls.ClientConfig) {})(c)
		c.Timeout = time.Second // the broker waits for the rest of a very long request
	}))
	require.Error(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	assert.Zero(t, stored(cluster))
}

// The client's certificate is exchanged on the disk, as cert-manager does, while
// a connection is up. New connections have the new one; nothing is lost and
// nothing restarts.
func TestAClientCertificateIsExchanged(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	first, second := ca.issue(t, "first"), ca.issue(t, "second")
	cluster := newTLSKafka(t, ca.issue(t, "kafka").tls(t), ca.pool())
	paths := func(p pair) (cert, key string) {
		return write(t, dir, "tls.crt", p.cert), write(t, dir, "tls.key", p.key)
	}
	r := start(t, quick(cluster.ListenAddrs(), withTLS(func(c *configtls.ClientConfig) {
		c.CAPem = configopaque.String(ca.pem)
		c.CertFile, c.KeyFile = paths(first)
		c.ReloadInterval = time.Nanosecond
	})))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	require.Equal(t, []string{"first"}, cluster.came())

	paths(second)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	require.Empty(t, cluster.came(), "what is connected stays so")

	session := r.producer.current
	session.line.drop()
	offer(t, r, instances(1)[0], func(int) {})
	require.Equal(t, []string{"second"}, cluster.came())
	require.Same(t, session, r.producer.current, "it is the producer of before")
}

// The brokers get certificates of a new authority; the file of authorities has
// both for a while, or is exchanged after them.
func TestAnAuthorityIsExchanged(t *testing.T) {
	before, after, dir := newAuthority(t), newAuthority(t), t.TempDir()
	cluster := newTLSKafka(t, before.issue(t, "kafka").tls(t), nil)
	r := start(t, quick(cluster.ListenAddrs(), withTLS(func(c *configtls.ClientConfig) {
		c.CAFile = write(t, dir, "ca.pem", before.pem)
	})))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))

	cluster.change(after.issue(t, "kafka").tls(t), nil)
	r.producer.current.line.drop()
	_ = r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)) // on the connection that is closed
	require.ErrorContains(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)), "tls::ca_file")
	write(t, dir, "ca.pem", after.pem)
	refused := 0
	offer(t, r, instances(1)[0], func(int) { refused++ })
	assert.LessOrEqual(t, refused, 2, "each producer reads the file anew")

	write(t, dir, "ca.pem", "half of a certific")
	r.renew()
	require.ErrorContains(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)), "tls: ")
	write(t, dir, "ca.pem", after.pem)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
}

// drop breaks the connections that there are.
func (l *lifeline) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// renew makes the next attempt build a producer.
func (r *rig) renew() {
	r.producer.mu.Lock()
	defer r.producer.mu.Unlock()
	if s := r.producer.current; s != nil {
		r.producer.retireLocked(s)
	}
}
