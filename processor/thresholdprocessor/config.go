package thresholdprocessor

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/vmusage/otelcol-vmusage/internal/durations"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
)

// Config of the threshold processor.
type Config struct {
	// Rules are those written here. They hold over those of any other source with
	// the same id.
	Rules []map[string]any `mapstructure:"rules"`
	// Sources are documents of rules, each a list under rules.
	Sources SourcesConfig `mapstructure:"sources"`
	// API names the extension whose rules are written while the collector runs.
	API *component.ID `mapstructure:"api"`
	// Storage names the storage extension that keeps episodes, quotas and the last
	// good document of sources::http; without one they are in memory.
	Storage *component.ID `mapstructure:"storage"`

	// Tag says what is marked with threshold.level and threshold.rules:
	// data_point, resource or none.
	Tag string `mapstructure:"tag"`
	// StateMetric turns vm.threshold.state on.
	StateMetric bool `mapstructure:"state_metric"`
	// Scope is fleet where this collector sees all usage of every owner, which
	// rules per user or organization need; else instance.
	Scope string `mapstructure:"scope"`
	// Period is how long a usage period usually is: a longer one, which bridges an
	// outage, is judged by rules of a period as if it had come evenly. 0 takes
	// periods as they are.
	Period time.Duration `mapstructure:"period"`
	// Limits bound what is remembered and announced.
	Limits LimitsConfig `mapstructure:"limits"`
}

// SourcesConfig names documents of rules.
type SourcesConfig struct {
	// File is the path of one, in YAML or JSON.
	File string `mapstructure:"file"`
	// FileInterval is how often the path is looked at.
	FileInterval time.Duration `mapstructure:"file_interval"`
	// HTTP is a URL of one.
	HTTP configoptional.Optional[HTTPConfig] `mapstructure:"http"`
}

// HTTPConfig says from where and how often a document is fetched.
type HTTPConfig struct {
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`
	// Interval is how often, give or take a tenth.
	Interval time.Duration `mapstructure:"interval"`
}

// LimitsConfig bounds what is remembered and announced.
type LimitsConfig struct {
	// MaxEpisodes is of how many violations something is remembered.
	MaxEpisodes int `mapstructure:"max_episodes"`
	// MaxQuotas is how many sums of usage there are, one for each rule and subject.
	MaxQuotas int `mapstructure:"max_quotas"`
	// PerRule, PerOwner and Global bound announcements.
	PerRule  RateConfig `mapstructure:"per_rule"`
	PerOwner RateConfig `mapstructure:"per_owner"`
	Global   RateConfig `mapstructure:"global"`
}

// RateConfig is so many announcements at once, and one more each Every. A
// negative Burst is no limit.
type RateConfig struct {
	Burst int           `mapstructure:"burst"`
	Every time.Duration `mapstructure:"every"`
}

const (
	scopeInstance = "instance"
	scopeFleet    = "fleet"

	minSourceInterval = 100 * time.Millisecond
)

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	engine := threshold.DefaultConfig()
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 30 * time.Second
	rate := func(r threshold.Rate) RateConfig { return RateConfig{Burst: r.Burst, Every: r.Every} }
	return &Config{
		Sources: SourcesConfig{
			FileInterval: 2 * time.Second,
			HTTP:         configoptional.Default(HTTPConfig{ClientConfig: client, Interval: time.Minute}),
		},
		Tag:         string(checker.TagPoint),
		StateMetric: true,
		Scope:       scopeInstance,
		Period:      30 * time.Second,
		Limits: LimitsConfig{
			MaxEpisodes: engine.MaxEpisodes,
			MaxQuotas:   engine.MaxQuotas,
			PerRule:     rate(engine.Limits.PerRule),
			PerOwner:    rate(engine.Limits.PerOwner),
			Global:      rate(engine.Limits.Global),
		},
	}
}

// Unmarshal names durations that are none by key and value.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := durations.Check(conf, "period", "sources::file_interval", "sources::http::interval", "sources::http::timeout",
		"limits::per_rule::every", "limits::per_owner::every", "limits::global::every"); err != nil {
		return err
	}
	return conf.Unmarshal(c)
}

// Validate says all that is wrong, each with its key, its value and the remedy.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Scope != scopeInstance && c.Scope != scopeFleet {
		fail("scope is %q: use %s, or %s where this collector sees all usage of every owner", c.Scope, scopeInstance, scopeFleet)
	}
	if _, err := checker.ParseTag(c.Tag); err != nil {
		fail("tag is %w", err)
	}
	if c.Period < 0 {
		fail("period is %v: it must be positive, such as 30s, or 0 to take periods as they are", c.Period)
	}
	if c.Sources.File != "" && c.Sources.FileInterval < minSourceInterval {
		fail("sources::file_interval is %v: it must be at least %v", c.Sources.FileInterval, minSourceInterval)
	}
	if h := c.Sources.HTTP.Get(); h != nil {
		if u, err := url.Parse(h.ClientConfig.Endpoint); h.ClientConfig.Endpoint == "" {
			fail("sources::http::endpoint is empty: write the URL of a document of rules, or remove sources::http")
		} else if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			// Not all of it: there may be a token in it.
			fail("sources::http::endpoint is no URL that begins with http:// or https:// and a host: write one such as https://rules.example.com/rules.yaml")
		}
		if h.ClientConfig.Timeout <= 0 {
			fail("sources::http::timeout is %v: it must be positive, such as 30s: a server that never answers would keep rules as they are for ever", h.ClientConfig.Timeout)
		}
		if h.Interval < time.Second {
			fail("sources::http::interval is %v: it must be at least 1s", h.Interval)
		}
	}
	if _, err := c.inline(); err != nil {
		fail("rules: %w", err)
	}
	return errors.Join(append(errs, c.Limits.validate())...)
}

// inline returns the rules that are written in the configuration.
func (c *Config) inline() ([]*threshold.Rule, error) {
	list := make([]any, len(c.Rules))
	for i, r := range c.Rules {
		list[i] = r
	}
	return threshold.Decode(list, c.options(threshold.Inline))
}

func (c *Config) options(s threshold.Source) threshold.Options {
	return threshold.Options{Source: s, Fleet: c.Scope == scopeFleet}
}

func (c *LimitsConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, n := range []struct {
		key   string
		value int
	}{{"max_episodes", c.MaxEpisodes}, {"max_quotas", c.MaxQuotas}} {
		if n.value < 1 {
			fail("limits::%s is %d: it must be at least 1", n.key, n.value)
		}
	}
	for _, r := range []struct {
		key  string
		rate RateConfig
	}{{"per_rule", c.PerRule}, {"per_owner", c.PerOwner}, {"global", c.Global}} {
		if r.rate.Burst == 0 {
			fail("limits::%s::burst is 0: it must be at least 1, or -1 for no limit", r.key)
		}
		if r.rate.Burst > 0 && r.rate.Every <= 0 {
			fail("limits::%s::every is %v: it must be a positive duration such as 6s", r.key, r.rate.Every)
		}
	}
	return errors.Join(errs...)
}

// engine returns what the engine is to remember.
func (c *Config) engine() threshold.Config {
	e := threshold.DefaultConfig()
	e.MaxEpisodes, e.MaxQuotas, e.Period = c.Limits.MaxEpisodes, c.Limits.MaxQuotas, c.Period
	for _, r := range []struct {
		to   *threshold.Rate
		from RateConfig
	}{{&e.Limits.PerRule, c.Limits.PerRule}, {&e.Limits.PerOwner, c.Limits.PerOwner}, {&e.Limits.Global, c.Limits.Global}} {
		*r.to = threshold.Rate{Burst: r.from.Burst, Every: r.from.Every}
	}
	return e
}
