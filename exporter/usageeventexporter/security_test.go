package usageeventexporter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/config/configtls"
)

func TestWhatOthersCouldUseIsSaidAtStart(t *testing.T) {
	encrypted := withTLS(func(*configtls.ClientConfig) {})
	plain := func(c *Config) { c.Auth = withSASL("PLAIN", "u", "secret-x").Auth }
	for _, tt := range []struct {
		name    string
		changes []func(*Config)
		want    string // "": nothing
	}{
		{"neither", nil, ""},
		{"PLAIN", []func(*Config){plain}, "PLAIN without tls: whoever sees the network sees the password"},
		{"PLAIN, tls that is off", []func(*Config){plain, withTLS(func(c *configtls.ClientConfig) { c.Insecure = true })}, "sees the password"},
		{"PLAIN over TLS", []func(*Config){plain, encrypted}, ""},
		{"SCRAM shows no password", []func(*Config){func(c *Config) { c.Auth = withSASL("SCRAM-SHA-512", "u", "secret-x").Auth }}, ""},
		{"a token", []func(*Config){withToken(func(s *SASLConfig) { s.TokenFile = "/t" })}, "OAUTHBEARER without tls: whoever sees the network sees the token"},
		{"a secret in plain text", []func(*Config){encrypted, withCredentials(func(c *ClientCredentialsConfig) { c.TokenURL = "http://issuer/token" })}, "token_url begins with http"},
		{"credentials over TLS", []func(*Config){encrypted, withCredentials(nil)}, ""},
		{"a broker that may be anybody", []func(*Config){withTLS(func(c *configtls.ClientConfig) { c.InsecureSkipVerify = true })}, "tls::insecure_skip_verify is on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, quick([]string{"127.0.0.1:1"}, func(c *Config) {
				for _, change := range tt.changes {
					change(c)
				}
				c.RetryOnFailure.Enabled = true
			}))
			if tt.want == "" {
				assert.Empty(t, r.said)
				return
			}
			if assert.Len(t, r.said, 1) {
				assert.Contains(t, r.said[0].Message, tt.want)
				assert.NotContains(t, r.said[0].Message, "secret-x")
			}
		})
	}
}
