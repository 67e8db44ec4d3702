package usageapiextension

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.opentelemetry.io/collector/config/configtls"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/hooks"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// WebhooksConfig says to which URLs is delivered, how, and how much.
type WebhooksConfig struct {
	// AllowHTTP allows URLs without TLS.
	AllowHTTP bool `mapstructure:"allow_http"`
	// AllowPrivateNetworks are networks that are delivered to although they are not
	// public, as CIDR.
	AllowPrivateNetworks []string `mapstructure:"allow_private_networks"`
	// TLS has the authorities that servers are checked against, and a certificate of the client's own.
	TLS configtls.ClientConfig `mapstructure:"tls"`

	// MaxWebhooks is how many there are at most, MaxPerOwner how many of one user or
	// organization.
	MaxWebhooks int `mapstructure:"max_webhooks"`
	MaxPerOwner int `mapstructure:"max_per_owner"`

	// Workers is how many requests are under way at a time, Timeout for how long each.
	Workers int           `mapstructure:"workers"`
	Timeout time.Duration `mapstructure:"timeout"`
	// Schedule is the waits before each attempt, the first included; after the last one it
	// is given up. Jitter is the share of a wait by which it is longer or shorter.
	Schedule []time.Duration `mapstructure:"schedule"`
	Jitter   float64         `mapstructure:"jitter"`
	// DisableAfter is after how long of nothing but failure a webhook is disabled.
	DisableAfter time.Duration `mapstructure:"disable_after"`
	// SecretOverlap is for how long a secret still signs that was replaced, unless the
	// request that replaces it says otherwise.
	SecretOverlap time.Duration `mapstructure:"secret_overlap"`

	// MetricsInterval is how often the levels of an instance are sent at most.
	MetricsInterval time.Duration `mapstructure:"metrics_interval"`

	PerEndpoint PerEndpointConfig `mapstructure:"per_endpoint"`
	// MaxPending is how many deliveries wait, of all webhooks; of whoever has most the oldest go.
	MaxPending int           `mapstructure:"max_pending"`
	History    HistoryConfig `mapstructure:"history"`
}

// PerEndpointConfig bounds what one webhook gets and has waiting.
type PerEndpointConfig struct {
	Concurrency int `mapstructure:"concurrency"`
	// Rate is of requests. A negative Burst is no limit.
	Rate RateConfig `mapstructure:"rate"`
	// MaxPending is how many deliveries wait, MaxAge for how long.
	MaxPending int           `mapstructure:"max_pending"`
	MaxAge     time.Duration `mapstructure:"max_age"`
}

// HistoryConfig bounds what is remembered of deliveries that are finished.
type HistoryConfig struct {
	// Deliveries is of how many a webhook.
	Deliveries int `mapstructure:"deliveries"`
	// MaxBytes is how much their payloads take, of all webhooks, so that they can be sent again.
	MaxBytes int64 `mapstructure:"max_bytes"`
}

// Bounds of what can be configured.
const (
	maxWebhooks  = 100_000
	maxWait      = 30 * 24 * time.Hour
	maxAttempts  = 50
	maxNetworks  = 1000
	maxPending   = 10_000_000
	maxHistory   = 1000
	maxWorkers   = 10_000
	leastHistory = 64 << 10 // bytes: less than a payload or two
)

func defaultWebhooks() WebhooksConfig {
	return WebhooksConfig{
		TLS:         configtls.NewDefaultClientConfig(),
		MaxWebhooks: 1000, MaxPerOwner: 20,
		Workers: 64, Timeout: 15 * time.Second,
		// That of Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
		Schedule: []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		Jitter: 0.1, DisableAfter: 120 * time.Hour, SecretOverlap: 24 * time.Hour, MetricsInterval: 10 * time.Second,
		PerEndpoint: PerEndpointConfig{Concurrency: 4, Rate: RateConfig{Burst: 100, Every: 10 * time.Millisecond}, MaxPending: 10_000, MaxAge: 168 * time.Hour},
		MaxPending:  200_000,
		History:     HistoryConfig{Deliveries: 50, MaxBytes: 32 << 20},
	}
}

// webhookDurations are the keys whose values are durations.
func webhookDurations() []string {
	return []string{
		"webhooks::timeout", "webhooks::schedule", "webhooks::disable_after", "webhooks::secret_overlap", "webhooks::metrics_interval",
		"webhooks::per_endpoint::rate::every", "webhooks::per_endpoint::max_age",
	}
}

func (c *WebhooksConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("webhooks::"+format, args...)) }
	if _, err := c.networks(); err != nil {
		errs = append(errs, err)
	}
	for _, n := range []struct {
		key                string
		value, least, most int64
	}{
		{"max_webhooks", int64(c.MaxWebhooks), 1, maxWebhooks},
		{"max_per_owner", int64(c.MaxPerOwner), 1, maxWebhooks},
		{"workers", int64(c.Workers), 2, maxWorkers}, // half of them are for endpoints that work
		{"max_pending", int64(c.MaxPending), 1, maxPending},
		{"per_endpoint::concurrency", int64(c.PerEndpoint.Concurrency), 1, maxWorkers},
		{"per_endpoint::max_pending", int64(c.PerEndpoint.MaxPending), 1, maxPending},
		{"history::deliveries", int64(c.History.Deliveries), 0, maxHistory},
		{"history::max_bytes", c.History.MaxBytes, leastHistory, 1 << 40},
	} {
		if n.value < n.least || n.value > n.most {
			fail("%s is %d: it must be %d to %d", n.key, n.value, n.least, n.most)
		}
	}
	for _, d := range []struct {
		key                string
		value, least, most time.Duration
	}{
		{"timeout", c.Timeout, 100 * time.Millisecond, time.Minute},
		{"disable_after", c.DisableAfter, time.Minute, 10 * maxWait},
		{"secret_overlap", c.SecretOverlap, 0, hooks.MaxOverlap},
		{"metrics_interval", c.MetricsInterval, 0, 24 * time.Hour},
		{"per_endpoint::max_age", c.PerEndpoint.MaxAge, time.Minute, 10 * maxWait},
	} {
		if d.value < d.least || d.value > d.most {
			fail("%s is %v: it must be %v to %v", d.key, d.value, d.least, d.most)
		}
	}
	if !(c.Jitter >= 0 && c.Jitter < 1) { // not a number is neither
		fail("jitter is %v: it must be a share of a wait, from 0 to less than 1, such as 0.1", c.Jitter)
	}
	if n := len(c.Schedule); n < 1 || n > maxAttempts {
		fail("schedule has %d waits: it must have 1 to %d, one before each attempt", n, maxAttempts)
	}
	for i, wait := range c.Schedule {
		if wait < 0 || wait > maxWait {
			fail("schedule has %v at place %d: a wait must be 0s to %v", wait, i, maxWait)
		}
	}
	if r := c.PerEndpoint.Rate; r.Burst == 0 || r.Burst > 1_000_000 {
		fail("per_endpoint::rate::burst is %d: it must be 1 to 1000000, or -1 for no limit", r.Burst)
	} else if r.Burst > 0 && (r.Every <= 0 || r.Every > 24*time.Hour) {
		fail("per_endpoint::rate::every is %v: it must be a positive duration such as 10ms, at most 24h", r.Every)
	}
	if c.TLS.Insecure || c.TLS.InsecureSkipVerify {
		fail("tls has insecure or insecure_skip_verify: whoever is in between would read everything; give tls::ca_file the authority of the endpoints")
	}
	return errors.Join(errs...)
}

// networks returns the networks of allow_private_networks.
func (c *WebhooksConfig) networks() ([]netip.Prefix, error) {
	if n := len(c.AllowPrivateNetworks); n > maxNetworks {
		return nil, fmt.Errorf("webhooks::allow_private_networks are %d: at most %d", n, maxNetworks)
	}
	var all []netip.Prefix
	var errs []error
	for _, text := range c.AllowPrivateNetworks {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || p.Addr().Is4In6():
			errs = append(errs, fmt.Errorf("webhooks::allow_private_networks has %q: write a network such as 10.0.0.0/8, or fd00::/8", text))
		case p != p.Masked():
			errs = append(errs, fmt.Errorf("webhooks::allow_private_networks has %q, an address within a network: write %s for all of it, or %s for the address",
				text, p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen())))
		default:
			all = append(all, p)
		}
	}
	return all, errors.Join(errs...)
}

// webhookMemory is how many bytes of payloads may be in memory that could not be written.
const webhookMemory = 64 << 20

func (c *WebhooksConfig) limits() webhook.Limits {
	per := &c.PerEndpoint
	return webhook.Limits{
		Hooks: c.MaxWebhooks, PerOwner: c.MaxPerOwner, Workers: c.Workers,
		Concurrency: per.Concurrency, Burst: per.Rate.Burst, Every: per.Rate.Every, PerHook: per.MaxPending, Age: per.MaxAge,
		Pending: c.MaxPending, History: c.History.Deliveries, HistoryBytes: c.History.MaxBytes, Memory: webhookMemory,
	}
}
