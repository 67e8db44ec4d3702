package thresholdprocessor

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

func TestDefaults(t *testing.T) {
	cfg, err := parseConfig(t, "{}")
	require.NoError(t, err)
	assert.Equal(t, "data_point", cfg.Tag)
	assert.Equal(t, "instance", cfg.Scope)
	assert.True(t, cfg.StateMetric)
	assert.Equal(t, 30*time.Second, cfg.Period)
	assert.Nil(t, cfg.Sources.HTTP.Get())
	e := cfg.engine()
	d := threshold.DefaultConfig()
	d.Period = cfg.Period
	assert.Equal(t, d, e, "the engine's defaults are those of the configuration")

	cfg, err = parseConfig(t, "sources: {http: {endpoint: https://rules.example.com/rules.yaml}}")
	require.NoError(t, err)
	h := cfg.Sources.HTTP.Get()
	assert.Equal(t, time.Minute, h.Interval)
	assert.Equal(t, 30*time.Second, h.ClientConfig.Timeout)
}

// Every error names the key, the value and what would be right.
func TestConfigErrors(t *testing.T) {
	const rule = "id: a, resource: cpu, type: percentage, warning: 80"
	for _, c := range []struct{ config, want string }{
		{"scope: world", `scope is "world": use instance, or fleet where this collector sees all usage of every owner`},
		{"tag: points", `tag is "points": use data_point, resource or none`},
		{"period: -30s", "period is -30s: it must be positive, such as 30s, or 0 to take periods as they are"},
		{"period: soon", `period is "soon"`},
		{"sources: {file: r.yaml, file_interval: 1ms}", "sources::file_interval is 1ms: it must be at least 100ms"},
		{"sources: {file: r.yaml, file_interval: often}", `sources::file_interval is "often"`},
		{"sources: {http: {}}", "sources::http::endpoint is empty: write the URL of a document of rules, or remove sources::http"},
		{"sources: {http: {endpoint: rules.example.com/x}}", "sources::http::endpoint is no URL that begins with http:// or https:// and a host"},
		{"sources: {http: {endpoint: 'ftp://rules.example.com'}}", "sources::http::endpoint is no URL"},
		{"sources: {http: {endpoint: 'http://x', interval: 10ms}}", "sources::http::interval is 10ms: it must be at least 1s"},
		{"sources: {http: {endpoint: 'http://x', timeout: 0s}}", "sources::http::timeout is 0s: it must be positive, such as 30s"},
		{"sources: {http: {endpoint: 'http://x', timeout: long}}", `sources::http::timeout is "long"`},
		{"limits: {max_episodes: 0}", "limits::max_episodes is 0: it must be at least 1"},
		{"limits: {max_quotas: -1}", "limits::max_quotas is -1: it must be at least 1"},
		{"limits: {per_rule: {burst: 0}}", "limits::per_rule::burst is 0: it must be at least 1, or -1 for no limit"},
		{"limits: {per_owner: {every: 0s}}", "limits::per_owner::every is 0s: it must be a positive duration such as 6s"},
		{"limits: {global: {every: -1s}}", "limits::global::every is -1s: it must be a positive duration such as 6s"},
		{"limits: {global: {every: now}}", `limits::global::every is "now"`},
		{"rules: [{" + rule + "}, {" + rule + "}]", `rules[1] "a": id is "a"`},
		{"rules: [{" + rule + ", clear: 90}]", `rules: rules[0] "a": clear is 90: must be at most warning, which is 80`},
		{"rules: [{" + rule + ", flavor: red}]", "flavor"},
		{"rules: [{id: a, resource: network_egress, type: absolute, unit: GBy, warning: 1, window: day, per: user}]", "scope: fleet"},
		{"rule: []", "rule"},
		{"tags: none", "tags"},
	} {
		_, err := parseConfig(t, c.config)
		if assert.Error(t, err, c.config) {
			assert.Contains(t, err.Error(), c.want, c.config)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := parseConfig(t, "{scope: x, tag: y, period: -1s, limits: {max_episodes: 0, max_quotas: 0}, rules: [{id: ''}]}")
	for _, key := range []string{"scope", "tag", "period", "limits::max_episodes", "limits::max_quotas", "rules"} {
		require.ErrorContains(t, err, key)
	}
}

// A URL may hold a token.
func TestErrorsHoldNoSecrets(t *testing.T) {
	_, err := parseConfig(t, "sources: {http: {endpoint: 'rules.example.com/?token=secret', interval: 1ms}}")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

// Each example of the README is a configuration that works, and each key is in it.
func TestExamplesOfTheREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, examples)
	for _, e := range examples {
		section := cutSection(e[1], "processors:\n  threshold:\n")
		require.NotEmpty(t, section, "%s", e[1])
		cfg, err := parseConfig(t, section)
		require.NoError(t, err, section)
		_, err = cfg.inline()
		require.NoError(t, err)
	}
}

// cutSection returns what is indented below the lines of a key.
func cutSection(yaml, key string) string {
	_, after, _ := strings.Cut(yaml, key)
	var b strings.Builder
	for l := range strings.Lines(after) {
		if !strings.HasPrefix(l, "    ") && strings.TrimSpace(l) != "" {
			break
		}
		b.WriteString(strings.TrimPrefix(l, "    "))
	}
	return b.String()
}
