package usageapiextension

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each rule of the section webhooks: key, value and remedy.
func TestWebhooksAreValidated(t *testing.T) {
	for yaml, want := range map[string]string{
		"{allow_private_networks: [10.0.0.0]}":                      `webhooks::allow_private_networks has "10.0.0.0": write a network such as 10.0.0.0/8, or fd00::/8`,
		"{allow_private_networks: ['::ffff:10.0.0.0/104']}":         `webhooks::allow_private_networks has "::ffff:10.0.0.0/104": write a network`,
		"{allow_private_networks: [10.1.2.3/8]}":                    `has "10.1.2.3/8", an address within a network: write 10.0.0.0/8 for all of it, or 10.1.2.3/32 for the address`,
		"{max_webhooks: 0}":                                         "webhooks::max_webhooks is 0: it must be 1 to 100000",
		"{max_per_owner: 100001}":                                   "webhooks::max_per_owner is 100001: it must be 1 to 100000",
		"{workers: 1}":                                              "webhooks::workers is 1: it must be 2 to 10000",
		"{max_pending: 0}":                                          "webhooks::max_pending is 0: it must be 1 to 10000000",
		"{timeout: 1ms}":                                            "webhooks::timeout is 1ms: it must be 100ms to 1m0s",
		"{timeout: 15}":                                             "webhooks::timeout",
		"{timeout: '15'}":                                           `webhooks::timeout is "15": write a number and a unit`,
		"{schedule: []}":                                            "webhooks::schedule has 0 waits: it must have 1 to 50, one before each attempt",
		"{schedule: [0s, soon]}":                                    `webhooks::schedule[1] is "soon": write a number and a unit`,
		"{schedule: [0s, -1s]}":                                     "webhooks::schedule has -1s at place 1: a wait must be 0s to 720h0m0s",
		"{jitter: 1}":                                               "webhooks::jitter is 1: it must be a share of a wait, from 0 to less than 1, such as 0.1",
		"{jitter: -0.1}":                                            "webhooks::jitter is -0.1",
		"{jitter: .nan}":                                            "webhooks::jitter is NaN",
		"{disable_after: 1s}":                                       "webhooks::disable_after is 1s: it must be 1m0s to 7200h0m0s",
		"{secret_overlap: 169h}":                                    "webhooks::secret_overlap is 169h0m0s: it must be 0s to 168h0m0s",
		"{per_endpoint: {concurrency: 0}}":                          "webhooks::per_endpoint::concurrency is 0: it must be 1 to 10000",
		"{per_endpoint: {max_pending: 0}}":                          "webhooks::per_endpoint::max_pending is 0",
		"{per_endpoint: {max_age: 1s}}":                             "webhooks::per_endpoint::max_age is 1s: it must be 1m0s to",
		"{per_endpoint: {max_age: week}}":                           `webhooks::per_endpoint::max_age is "week"`,
		"{per_endpoint: {rate: {burst: 0}}}":                        "webhooks::per_endpoint::rate::burst is 0: it must be 1 to 1000000, or -1 for no limit",
		"{per_endpoint: {rate: {every: 0s}}}":                       "webhooks::per_endpoint::rate::every is 0s: it must be a positive duration such as 10ms, at most 24h",
		"{history: {deliveries: 1001}}":                             "webhooks::history::deliveries is 1001: it must be 0 to 1000",
		"{history: {max_bytes: 1000}}":                              "webhooks::history::max_bytes is 1000: it must be 65536 to",
		"{retries: 5}":                                              "retries",
		"{max_webhooks: 0, jitter: 2}":                              "webhooks::jitter is 2", // all at once
		"{schedule: [0s, 5s], allow_private_networks: [fd00::1/8]}": "write fd00::/8 for all of it, or fd00::1/128 for the address",
	} {
		_, err := loadYAML(t, "webhooks: "+yaml)
		require.ErrorContains(t, err, want, "%s", yaml)
	}
}

func TestWebhooksOfTheConfiguration(t *testing.T) {
	cfg, err := loadYAML(t, "{}")
	require.NoError(t, err)
	assert.Equal(t, defaultWebhooks(), cfg.Webhooks)
	var total time.Duration
	for _, wait := range cfg.Webhooks.Schedule {
		total += wait
	}
	assert.Less(t, total, cfg.Webhooks.PerEndpoint.MaxAge, "what waits lives to see its last attempt")

	cfg, err = loadYAML(t, `
webhooks:
  allow_http: true
  allow_private_networks: [10.0.0.0/8, 'fd00::/8', 192.0.2.1/32]
  schedule: [0s, 1s]
  jitter: 0
  secret_overlap: 0s
  per_endpoint: {rate: {burst: -1}}
  tls: {ca_file: /etc/ssl/own.pem}
`)
	require.NoError(t, err)
	assert.Equal(t, []time.Duration{0, time.Second}, cfg.Webhooks.Schedule, "a list replaces the default")
	assert.Equal(t, "/etc/ssl/own.pem", cfg.Webhooks.TLS.CAFile)
	assert.Equal(t, 4, cfg.Webhooks.PerEndpoint.Concurrency)
	networks, err := cfg.Webhooks.networks()
	require.NoError(t, err)
	assert.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.0.2.1/32"),
	}, networks)
}
