package usageapiextension

import (
	"errors"
	"fmt"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// ThresholdsConfig bounds the rules that are written over the API.
type ThresholdsConfig struct {
	// Scope is that of the threshold processor that takes the rules: fleet allows
	// rules per user and organization.
	Scope string `mapstructure:"scope"`
	// MaxRules is how many rules there are at most, MaxPerOwner how many of them those of
	// one user or organization wrote.
	MaxRules    int `mapstructure:"max_rules"`
	MaxPerOwner int `mapstructure:"max_per_owner"`
	// SelectorLabels are the labels by which those may select who are no admins.
	SelectorLabels []string `mapstructure:"selector_labels"`
}

const (
	scopeInstance = "instance"
	scopeFleet    = "fleet"
)

func defaultThresholds() ThresholdsConfig {
	return ThresholdsConfig{Scope: scopeInstance, MaxRules: 10_000, MaxPerOwner: 100}
}

func (c *ThresholdsConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Scope != scopeInstance && c.Scope != scopeFleet {
		fail("thresholds::scope is %q: use %s, or %s where the threshold processor has that scope", c.Scope, scopeInstance, scopeFleet)
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{{"max_rules", c.MaxRules, threshold.MaxRules}, {"max_per_owner", c.MaxPerOwner, threshold.MaxRules}} {
		if n.value < 1 || n.value > n.most {
			fail("thresholds::%s is %d: it must be 1 to %d", n.key, n.value, n.most)
		}
	}
	if len(c.SelectorLabels) > threshold.MaxLabelKeys {
		fail("thresholds::selector_labels are %d: at most %d", len(c.SelectorLabels), threshold.MaxLabelKeys)
	}
	return errors.Join(errs...)
}

func (c *ThresholdsConfig) options() threshold.Options {
	return threshold.Options{Source: threshold.API, Fleet: c.Scope == scopeFleet}
}
