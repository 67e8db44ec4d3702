package usageapiextension

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func configured(values map[string]any) (*Config, error) {
	cfg := createDefaultConfig().(*Config)
	if err := confmap.NewFromStringMap(values).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate()
}

func TestTheDefaultIsLocalAndBounded(t *testing.T) {
	cfg, err := configured(nil)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:8080", cfg.ServerConfig.NetAddr.Endpoint)
	assert.Equal(t, 10*time.Second, cfg.ServerConfig.ReadHeaderTimeout)
	assert.Equal(t, int64(1<<20), cfg.ServerConfig.MaxRequestBodySize)
	assert.False(t, cfg.authenticates())
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values map[string]any
		says   string // "" is valid
	}{
		{"another port", map[string]any{"endpoint": "localhost:9"}, ""},
		{"version 6", map[string]any{"endpoint": "[::1]:9"}, ""},
		{"a socket", map[string]any{"endpoint": "/run/usage.sock", "transport": "unix"}, ""},
		{"everywhere", map[string]any{"endpoint": "0.0.0.0:8080"}, `endpoint is "0.0.0.0:8080", which others than this machine may reach`},
		{"everywhere, in short", map[string]any{"endpoint": ":8080"}, "allow_unauthenticated: true"},
		{"a name", map[string]any{"endpoint": "metering.example:8080"}, "auth::authenticator or api_keys::file"},
		{"everywhere, on purpose", map[string]any{"endpoint": ":8080", "allow_unauthenticated": true}, ""},
		{"everywhere, with an authenticator", map[string]any{"endpoint": ":8080", "auth": map[string]any{"authenticator": "oidc"}, "principal": map[string]any{"user_attribute": "sub"}}, ""},
		{"everywhere, with keys", map[string]any{"endpoint": ":8080", "api_keys": map[string]any{"file": "keys.yaml"}}, ""},
		{"keys without a file", map[string]any{"api_keys": map[string]any{"file": ""}}, "api_keys::file is empty"},
		{"no endpoint", map[string]any{"endpoint": ""}, "endpoint is empty"},
		{"no connections", map[string]any{"max_connections": 0}, "max_connections is 0: it must be at least 1"},
		{"no connections of an address", map[string]any{"max_connections_per_address": 0}, "max_connections_per_address is 0: it must be at least 1, or -1 for no limit"},
		{"any of an address", map[string]any{"max_connections_per_address": -1}, ""},
		{"no header", map[string]any{"max_header_bytes": 10}, "max_header_bytes is 10: it must be at least 1024"},
		{"no body", map[string]any{"max_request_body_size": 0}, "max_request_body_size is 0"},
		{"no instances", map[string]any{"store": map[string]any{"max_instances": 0}}, "store::max_instances is 0"},
		{"no memory", map[string]any{"store": map[string]any{"max_bytes": 5}}, "store::max_bytes is 5: it must be at least 1048576"},
		{"no clients", map[string]any{"stream": map[string]any{"max_clients": -1}}, "stream::max_clients is -1"},
		{"no clients of one", map[string]any{"stream": map[string]any{"max_clients_per_principal": 0}}, "stream::max_clients_per_principal is 0: it must be at least 1"},
		{"no time", map[string]any{"read_header_timeout": "0s"}, "read_header_timeout is 0s"},
		{"no limit of writing", map[string]any{"write_timeout": "0s"}, "write_timeout is 0s"},
		{"forgets at once", map[string]any{"store": map[string]any{"retain": "0s"}}, "store::retain is 0s"},
		{"no unit", map[string]any{"stream": map[string]any{"interval": "5"}}, "stream::interval"},
		{"stalls at once", map[string]any{"health": map[string]any{"stalled_after": "1ms"}}, "health::stalled_after is 1ms: it must be at least 1s"},
		{"no such key", map[string]any{"end_point": "x"}, "end_point"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := configured(tt.values)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}
