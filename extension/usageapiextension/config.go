package usageapiextension

import (
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/vmusage/otelcol-vmusage/internal/durations"
)

// Config of the usage_api extension.
type Config struct {
	// ServerConfig is where and how it listens: endpoint, tls, auth, cors, time and
	// body limits.
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`
	// AllowUnauthenticated lets everybody who reaches the endpoint read and change
	// everything, also when that is not this machine only.
	AllowUnauthenticated bool `mapstructure:"allow_unauthenticated"`
	// APIKeys are keys of the extension's own.
	APIKeys configoptional.Optional[APIKeysConfig] `mapstructure:"api_keys"`
	// Principal says who somebody is whom an authenticator let in.
	Principal PrincipalConfig `mapstructure:"principal"`
	// RateLimits bound how often somebody may ask.
	RateLimits RateLimitsConfig `mapstructure:"rate_limits"`
	// TrustedProxies are addresses and networks whose X-Forwarded-For is believed.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// Thresholds bounds the rules that are written over the API.
	Thresholds ThresholdsConfig `mapstructure:"thresholds"`
	// Webhooks says to which URLs events are delivered, how, and how much.
	Webhooks WebhooksConfig `mapstructure:"webhooks"`
	// Storage names the storage extension that keeps what is written over the API.
	Storage *component.ID `mapstructure:"storage"`

	// MaxConnections bounds how many connections are open. For more of them those are closed
	// that wait for a request longest; where none does, they wait to be accepted.
	MaxConnections int `mapstructure:"max_connections"`
	// MaxConnectionsPerAddress bounds those of one address, which is none of TrustedProxies, in
	// the same way, but that more of them are closed. -1 is no limit.
	MaxConnectionsPerAddress int `mapstructure:"max_connections_per_address"`
	// MaxHeaderBytes bounds the header of a request.
	MaxHeaderBytes int `mapstructure:"max_header_bytes"`

	// Store bounds what is known of instances.
	Store StoreConfig `mapstructure:"store"`
	// Stream bounds those who follow changes.
	Stream StreamConfig `mapstructure:"stream"`
	// Health says when metering counts as failing.
	Health HealthConfig `mapstructure:"health"`
}

// StoreConfig bounds what is known of instances.
type StoreConfig struct {
	// MaxInstances is of how many instances something is known.
	MaxInstances int `mapstructure:"max_instances"`
	// MaxBytes is how much memory that takes, as it is estimated.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// Retain is for how long an instance is known after its last data.
	Retain time.Duration `mapstructure:"retain"`
}

// StreamConfig bounds those who follow changes.
type StreamConfig struct {
	// MaxClients is how many may follow at once.
	MaxClients int `mapstructure:"max_clients"`
	// MaxClientsPerPrincipal is how many of them may be of the same principal.
	MaxClientsPerPrincipal int `mapstructure:"max_clients_per_principal"`
	// Interval is how often a client is told at most; changes in between are told once.
	Interval time.Duration `mapstructure:"interval"`
	// WriteTimeout ends the stream of a client that does not read for so long.
	WriteTimeout time.Duration `mapstructure:"write_timeout"`
}

// HealthConfig says when metering counts as failing.
type HealthConfig struct {
	// StalledAfter is for how long at most an instance may send nothing; one that
	// is used to send more often is missed after twice its interval.
	StalledAfter time.Duration `mapstructure:"stalled_after"`
}

const defaultEndpoint = "127.0.0.1:8080"

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	server.ReadHeaderTimeout = 10 * time.Second
	server.ReadTimeout = 30 * time.Second
	server.WriteTimeout = 30 * time.Second
	server.MaxRequestBodySize = 1 << 20
	return &Config{
		ServerConfig:   server,
		APIKeys:        configoptional.Default(APIKeysConfig{Interval: 2 * time.Second}),
		Principal:      defaultPrincipal(),
		RateLimits:     defaultRateLimits(),
		Thresholds:     defaultThresholds(),
		Webhooks:       defaultWebhooks(),
		MaxConnections: 1000, MaxConnectionsPerAddress: 200,
		MaxHeaderBytes: 16 << 10,
		Store:          StoreConfig{MaxInstances: 20_000, MaxBytes: 128 << 20, Retain: 15 * time.Minute},
		Stream:         StreamConfig{MaxClients: 100, MaxClientsPerPrincipal: 10, Interval: time.Second, WriteTimeout: 10 * time.Second},
		Health:         HealthConfig{StalledAfter: 30 * time.Second},
	}
}

// Unmarshal names durations that are none by key and value.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	keys := append(webhookDurations(), "read_timeout", "read_header_timeout", "write_timeout", "keepalive::idle_timeout",
		"api_keys::interval", "rate_limits::per_principal::every", "rate_limits::per_address::every", "rate_limits::failed_logins::every",
		"store::retain", "stream::interval", "stream::write_timeout", "health::stalled_after")
	if err := durations.Check(conf, keys...); err != nil {
		return err
	}
	return conf.Unmarshal(c)
}
