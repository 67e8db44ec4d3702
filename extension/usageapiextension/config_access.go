package usageapiextension

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// APIKeysConfig says where API keys are.
type APIKeysConfig struct {
	// File has the keys, hashed. `vmusagectl apikey` writes it.
	File string `mapstructure:"file"`
	// Interval is how often it is looked at.
	Interval time.Duration `mapstructure:"interval"`
}

// PrincipalConfig says who somebody is whom an authenticator let in, by the attributes
// that the authenticator knows of them: those of oidc are subject, membership and
// claims.<name>.
type PrincipalConfig struct {
	// NameAttribute names them in the audit log, and tells them apart for rate_limits.
	NameAttribute string `mapstructure:"name_attribute"`
	// UserAttribute is the id of the user whose instances they see.
	UserAttribute string `mapstructure:"user_attribute"`
	// OrgAttribute is the id of the organization all of whose instances they see, where
	// they are its OrgAdmin or that is not set.
	OrgAttribute string          `mapstructure:"org_attribute"`
	OrgAdmin     ConditionConfig `mapstructure:"org_admin"`
	// Admin is who sees and may do everything.
	Admin AdminConfig `mapstructure:"admin"`
	// ScopesAttribute lists scopes; Scopes are those that all have besides.
	ScopesAttribute string   `mapstructure:"scopes_attribute"`
	Scopes          []string `mapstructure:"scopes"`
}

// ConditionConfig is that an attribute has one of some values.
type ConditionConfig struct {
	Attribute string   `mapstructure:"attribute"`
	Values    []string `mapstructure:"values"`
}

// AdminConfig says who is an admin.
type AdminConfig struct {
	ConditionConfig `mapstructure:",squash"`
	// Everybody makes all whom the authenticator lets in admins: for those that know
	// nothing of them, such as bearertokenauth.
	Everybody bool `mapstructure:"everybody"`
}

// RateLimitsConfig bounds how often somebody may ask.
type RateLimitsConfig struct {
	PerPrincipal RateConfig `mapstructure:"per_principal"`
	PerAddress   RateConfig `mapstructure:"per_address"`
	// FailedLogins is by address, too.
	FailedLogins RateConfig `mapstructure:"failed_logins"`
}

// RateConfig is so many at once, and one more each Every. A negative Burst is no limit.
type RateConfig struct {
	Burst int           `mapstructure:"burst"`
	Every time.Duration `mapstructure:"every"`
}

func defaultPrincipal() PrincipalConfig {
	return PrincipalConfig{
		NameAttribute: "subject",
		Scopes:        []string{string(route.ReadThresholds), string(route.ReadUsage)},
	}
}

func defaultRateLimits() RateLimitsConfig {
	return RateLimitsConfig{
		PerPrincipal: RateConfig{Burst: 200, Every: 10 * time.Millisecond},
		PerAddress:   RateConfig{Burst: 1000, Every: time.Millisecond},
		FailedLogins: RateConfig{Burst: 10, Every: 10 * time.Second},
	}
}

func (c *Config) validateAccess() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if keys := c.APIKeys.Get(); keys != nil {
		if keys.File == "" {
			fail("api_keys::file is empty: write the path of a file of keys, or remove api_keys")
		}
		if keys.Interval < 100*time.Millisecond {
			fail("api_keys::interval is %v: it must be at least 100ms", keys.Interval)
		}
	}
	if _, err := c.proxies(); err != nil {
		fail("trusted_proxies is %w", err)
	}
	for _, r := range []struct {
		key  string
		rate RateConfig
	}{{"per_principal", c.RateLimits.PerPrincipal}, {"per_address", c.RateLimits.PerAddress}, {"failed_logins", c.RateLimits.FailedLogins}} {
		if r.rate.Burst == 0 {
			fail("rate_limits::%s::burst is 0: it must be at least 1, or -1 for no limit", r.key)
		}
		if r.rate.Burst > 0 && (r.rate.Every <= 0 || r.rate.Every > 24*time.Hour) {
			fail("rate_limits::%s::every is %v: it must be a positive duration such as 100ms, at most 24h", r.key, r.rate.Every)
		}
		if r.rate.Burst > 1_000_000 {
			fail("rate_limits::%s::burst is %d: it must be at most 1000000, or -1 for no limit", r.key, r.rate.Burst)
		}
	}
	return errors.Join(append(errs, c.validatePrincipal(), c.Thresholds.validate(), c.Webhooks.validate())...)
}

func (c *Config) validatePrincipal() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	p := &c.Principal
	for _, s := range p.Scopes {
		if !slices.Contains(access.AllScopes(), route.Scope(s)) {
			fail("principal::scopes has %q: there are %s", s, scopeNames())
		}
	}
	for _, on := range []struct {
		key string
		ConditionConfig
	}{{"org_admin", p.OrgAdmin}, {"admin", p.Admin.ConditionConfig}} {
		if (on.Attribute == "") != (len(on.Values) == 0) {
			fail("principal::%s needs both, attribute and values: attribute is %q, values are %q", on.key, on.Attribute, on.Values)
		}
	}
	if p.OrgAdmin.Attribute != "" && p.OrgAttribute == "" {
		fail("principal::org_admin says who sees all of an organization, and principal::org_attribute is empty: write which attribute has its id")
	}
	if c.ServerConfig.Auth.HasValue() && p.UserAttribute == "" && p.OrgAttribute == "" && p.Admin.Attribute == "" && !p.Admin.Everybody {
		fail("auth::authenticator is set, and nothing says what those see whom it lets in: set principal::user_attribute, " +
			"org_attribute or admin; admin: {everybody: true} makes all of them admins")
	}
	return errors.Join(errs...)
}

func scopeNames() string {
	var names []string
	for _, s := range access.AllScopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// proxies returns the networks of trusted_proxies. An address is a network of one.
func (c *Config) proxies() (access.Proxies, error) {
	var all access.Proxies
	for _, text := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q: write an address or a network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

func (p *PrincipalConfig) mapping() access.Mapping {
	m := access.Mapping{
		Name: p.NameAttribute, User: p.UserAttribute, Org: p.OrgAttribute,
		OrgAdmin: access.Condition(p.OrgAdmin), Admin: access.Condition(p.Admin.ConditionConfig),
		EverybodyAdmin: p.Admin.Everybody, ScopesFrom: p.ScopesAttribute,
	}
	for _, s := range p.Scopes {
		m.Scopes = append(m.Scopes, route.Scope(s))
	}
	return m
}

func (r *RateLimitsConfig) limits() access.Limits {
	return access.Limits{
		PerPrincipal: access.Rate(r.PerPrincipal), PerAddress: access.Rate(r.PerAddress), FailedLogins: access.Rate(r.FailedLogins),
	}
}
