package usageapiextension

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
)

// encrypted has the server listen by TLS, with a certificate for 127.0.0.1. Clients trust what
// it returns.
func encrypted(t *testing.T) (change func(*Config), trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := func(kind string, b []byte) configopaque.String {
		return configopaque.String(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	trust = x509.NewCertPool()
	trust.AddCert(certificate)
	return func(c *Config) {
		c.ServerConfig.TLS = configoptional.Some(configtls.ServerConfig{Config: configtls.Config{
			CertPem: text("CERTIFICATE", der), KeyPem: text("PRIVATE KEY", secret),
		}})
	}, trust
}

// By TLS both versions of HTTP work, whichever client and server agree on: answers,
// streams, and their end in order.
func TestTLS(t *testing.T) {
	for _, tt := range []struct {
		protocol string
		http2    bool
	}{{"HTTP/1.1", false}, {"HTTP/2.0", true}} {
		t.Run(tt.protocol, func(t *testing.T) {
			change, trust := encrypted(t)
			s := serve(t, change, func(c *Config) { c.Stream.Interval = 100 * time.Millisecond })
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: tt.http2, DisableCompression: true}
			t.Cleanup(transport.CloseIdleConnections)
			s.client.Transport, s.url = transport, "https://"+s.server.addr.String()
			s.machines(1)
			a := s.get(t, "/api/v1/usage/instances")
			assert.Equal(t, http.StatusOK, a.StatusCode)
			assert.Equal(t, tt.protocol, a.Proto)

			stream, err := s.client.Get(s.url + "/api/v1/usage/stream?fields=name")
			require.NoError(t, err)
			defer stream.Body.Close()
			told, err := readAll(stream)
			require.NoError(t, err)
			assert.Contains(t, string(told), "web-0")
			s.consume(storetest.Machine(0).Levels(time.Now().Add(time.Minute).UnixNano()))
			told, err = readAll(stream)
			require.NoError(t, err)
			assert.Contains(t, string(told), "web-0", "what changed")
			require.NoError(t, s.Shutdown(t.Context()))
			_, err = io.Copy(io.Discard, stream.Body)
			require.NoError(t, err, "in order, not torn")
		})
	}
}
