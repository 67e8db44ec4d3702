package usageapiextension

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

func loadYAML(t *testing.T, yaml string) (*Config, error) {
	t.Helper()
	r, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	require.NoError(t, err)
	conf, err := r.AsConf()
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate()
}

// Each rule of what says who may do what: key, value and remedy.
func TestAccessIsValidated(t *testing.T) {
	for yaml, want := range map[string]string{
		"api_keys: {}":                                            "api_keys::file is empty: write the path of a file of keys, or remove api_keys",
		"api_keys: {file: x, interval: 1ms}":                      "api_keys::interval is 1ms: it must be at least 100ms",
		"api_keys: {file: x, interval: soon}":                     "api_keys::interval",
		"trusted_proxies: [10.0.0.0/99]":                          `trusted_proxies is "10.0.0.0/99": write an address or a network such as 10.0.0.0/8`,
		"trusted_proxies: [proxy]":                                `trusted_proxies is "proxy": write an address`,
		"rate_limits: {per_principal: {burst: 0}}":                "rate_limits::per_principal::burst is 0: it must be at least 1, or -1 for no limit",
		"rate_limits: {per_address: {every: 0s}}":                 "rate_limits::per_address::every is 0s: it must be a positive duration",
		"rate_limits: {failed_logins: {every: 25h}}":              "rate_limits::failed_logins::every is 25h0m0s: it must be a positive duration such as 100ms, at most 24h",
		"rate_limits: {failed_logins: {burst: 1000001}}":          "rate_limits::failed_logins::burst is 1000001: it must be at most 1000000, or -1 for no limit",
		"principal: {scopes: [all]}":                              `principal::scopes has "all": there are health:read, thresholds:read, thresholds:write, usage:read, webhooks:read, webhooks:write`,
		"principal: {admin: {attribute: a}}":                      `principal::admin needs both, attribute and values: attribute is "a", values are []`,
		"principal: {org_attribute: o, org_admin: {values: [a]}}": `principal::org_admin needs both, attribute and values: attribute is "", values are ["a"]`,
		"principal: {org_admin: {attribute: a, values: [b]}}":     "principal::org_attribute is empty",
		"auth: {authenticator: oidc}":                             "set principal::user_attribute, org_attribute or admin; admin: {everybody: true} makes all of them admins",
		"thresholds: {scope: all}":                                `thresholds::scope is "all": use instance, or fleet where the threshold processor has that scope`,
		"thresholds: {max_rules: 0}":                              "thresholds::max_rules is 0: it must be 1 to 200000",
		"thresholds: {max_per_owner: 200001}":                     "thresholds::max_per_owner is 200001: it must be 1 to 200000",
		"thresholds: {selector_label: [a]}":                       "selector_label",
		"endpoint: 0.0.0.0:8080":                                  "set auth::authenticator or api_keys::file",
	} {
		_, err := loadYAML(t, yaml)
		require.ErrorContains(t, err, want, "%s", yaml)
	}
	for _, yaml := range []string{
		"{}", "{endpoint: 0.0.0.0:8080, api_keys: {file: keys.yaml}}", "{endpoint: 0.0.0.0:8080, allow_unauthenticated: true}",
		"auth: {authenticator: bearertokenauth}\nprincipal: {admin: {everybody: true}}",
		"rate_limits: {per_principal: {burst: -1, every: 0s}}", "trusted_proxies: [10.0.0.0/8, '::1', 192.0.2.1]",
	} {
		_, err := loadYAML(t, yaml)
		assert.NoError(t, err, "%s", yaml)
	}
}

func TestPrincipalOfTheConfiguration(t *testing.T) {
	cfg, err := loadYAML(t, `
auth: {authenticator: oidc}
principal:
  user_attribute: claims.uid
  org_attribute: claims.org
  org_admin: {attribute: membership, values: [org-admins]}
  admin: {attribute: membership, values: [operators]}
  scopes_attribute: claims.scope
  scopes: [usage:read]
trusted_proxies: [10.1.2.3/8]
`)
	require.NoError(t, err)
	assert.Equal(t, access.Mapping{
		Name: "subject", User: "claims.uid", Org: "claims.org",
		OrgAdmin:   access.Condition{Attribute: "membership", Values: []string{"org-admins"}},
		Admin:      access.Condition{Attribute: "membership", Values: []string{"operators"}},
		ScopesFrom: "claims.scope", Scopes: []route.Scope{route.ReadUsage},
	}, cfg.Principal.mapping())
	proxies, err := cfg.proxies()
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.0/8", proxies[0].String())
}
