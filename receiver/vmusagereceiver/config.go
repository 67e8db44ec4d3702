package vmusagereceiver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/vmusage/otelcol-vmusage/internal/durations"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
)

// Config of the vm_usage receiver. A source is on when its key is there; with
// none named, host is.
type Config struct {
	// CollectionInterval is how often counters are read and levels are emitted.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`
	// Period is how long a usage period is; a multiple of CollectionInterval
	// that divides an hour evenly.
	Period time.Duration `mapstructure:"period"`
	// Jitter bounds by how much the hand-over of a closed period is delayed, by
	// an amount that is fixed for each host, so that a fleet does not offer all
	// its periods in the same instant. The reading itself is never delayed.
	Jitter time.Duration `mapstructure:"jitter"`
	// Instance says which machine this is and whose.
	Instance InstanceConfig `mapstructure:"instance"`
	// Storage names the storage extension that keeps ledger and outbox; without
	// one they are in memory.
	Storage *component.ID `mapstructure:"storage"`
	// Outbox bounds the closed periods that wait for their confirmation.
	Outbox OutboxConfig `mapstructure:"outbox"`
	// Window bounds the samples that are kept of late.
	Window WindowConfig `mapstructure:"window"`
	// Host meters the machine that the collector runs on.
	Host configoptional.Optional[host.Config] `mapstructure:"host"`
	// GPU meters its GPUs. The machine itself is metered with them.
	GPU configoptional.Optional[gpu.Config] `mapstructure:"gpu"`

	MetricsBuilderConfig metadata.MetricsBuilderConfig `mapstructure:",squash"`
}

// InstanceConfig is the identity of the machine itself.
type InstanceConfig struct {
	ID     string            `mapstructure:"id"` // empty: the machine's own stable id
	Name   string            `mapstructure:"name"`
	UserID string            `mapstructure:"user_id"`
	OrgID  string            `mapstructure:"org_id"`
	Labels map[string]string `mapstructure:"labels"`
}

// OutboxConfig bounds the outbox.
type OutboxConfig struct {
	// MaxBytes is how large it may grow. Past it periods are joined into longer
	// ones, and what still does not fit is given up, oldest first.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// MaxAge is after how long periods that wait are joined by the hour; 0 is never.
	MaxAge time.Duration `mapstructure:"max_age"`
	// Growing says from when on extensions such as usage_api are told that it grows.
	Growing GrowingConfig `mapstructure:"growing"`
}

// GrowingConfig is when the outbox counts as growing: past either limit, until it is below
// half of both.
type GrowingConfig struct {
	// Periods is the age of the oldest period that is not confirmed, in periods; 0 is never.
	Periods int `mapstructure:"periods"`
	// Percent is how much of MaxBytes is in use; 0 is never.
	Percent int `mapstructure:"percent"`
}

// WindowConfig bounds the sliding window, which feeds vm.window.utilization.
type WindowConfig struct {
	// Periods is how many closed periods are kept beside the open one.
	Periods int `mapstructure:"periods"`
	// MaxBytes bounds the samples of all instances together.
	MaxBytes int64 `mapstructure:"max_bytes"`
}

const (
	minInterval  = 100 * time.Millisecond
	minOutbox    = 64 << 10
	maxPeriods   = 10_000 // of the window, and that wait
	maxLabels    = 64
	maxIDLength  = 255
	maxLabelText = 1024
)

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names durations that are none by key and value.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := durations.Check(conf, "collection_interval", "period", "jitter", "outbox::max_age", "host::filesystems::timeout",
		"gpu::timeout", "gpu::poll_interval", "gpu::rescan_interval"); err != nil {
		return err
	}
	return conf.Unmarshal(c)
}

func createDefaultConfig() component.Config {
	return &Config{
		CollectionInterval:   10 * time.Second,
		Period:               30 * time.Second,
		Jitter:               2 * time.Second,
		Outbox:               OutboxConfig{MaxBytes: 1 << 30, MaxAge: 7 * 24 * time.Hour, Growing: GrowingConfig{Periods: 20, Percent: 50}},
		Window:               WindowConfig{Periods: 1, MaxBytes: 16 << 20},
		Host:                 configoptional.Default(host.DefaultConfig()),
		GPU:                  configoptional.Default(gpu.DefaultConfig()),
		MetricsBuilderConfig: metadata.NewDefaultMetricsBuilderConfig(),
	}
}

// Validate says all that is wrong, each with its key, its value and the remedy.
// The sections validate themselves.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.CollectionInterval < minInterval {
		fail("collection_interval is %v: it must be at least %v", c.CollectionInterval, minInterval)
	}
	if c.Period <= 0 {
		fail("period is %v: it must be a positive duration such as 30s", c.Period)
	} else {
		if c.CollectionInterval >= minInterval && c.Period%c.CollectionInterval != 0 {
			fail("period is %v: it must be a multiple of collection_interval (%v), such as %v",
				c.Period, c.CollectionInterval, max(c.Period.Truncate(c.CollectionInterval), c.CollectionInterval))
		}
		if time.Hour%c.Period != 0 {
			fail("period is %v: it must divide an hour evenly, such as 30s, 1m, 5m or 1h, so that no period lies across an hour", c.Period)
		}
	}
	if c.Jitter < 0 || c.Period > 0 && c.Jitter > c.Period/2 {
		fail("jitter is %v: it must be between 0s and half of period (%v)", c.Jitter, c.Period/2)
	}
	if c.Outbox.MaxBytes < minOutbox {
		fail("outbox::max_bytes is %d: it must be at least %d", c.Outbox.MaxBytes, minOutbox)
	}
	if c.Outbox.MaxAge < 0 {
		fail("outbox::max_age is %v: it must be positive, such as 168h, or 0 for never", c.Outbox.MaxAge)
	}
	if n := c.Outbox.Growing.Periods; n < 0 || n == 1 || n > maxPeriods {
		fail("outbox::growing::periods is %d: it must be 2 to %d, or 0 for never", n, maxPeriods)
	}
	if n := c.Outbox.Growing.Percent; n < 0 || n > 99 {
		fail("outbox::growing::percent is %d: it must be 1 to 99, or 0 for never", n)
	}
	if c.Window.Periods < 0 || c.Window.Periods > maxPeriods {
		fail("window::periods is %d: it must be 0 to %d", c.Window.Periods, maxPeriods)
	}
	if c.Window.MaxBytes < 0 {
		fail("window::max_bytes is %d: it must be 0, for no window, or more", c.Window.MaxBytes)
	}
	return errors.Join(append(errs, c.Instance.validate("instance"), c.validateGPU())...)
}

// validateGPU says what is wrong with the section gpu beside what it says itself.
func (c *Config) validateGPU() error {
	if !c.GPU.HasValue() {
		return nil
	}
	var errs []error
	section := c.GPU.Get()
	if section.Timeout >= c.CollectionInterval {
		errs = append(errs, fmt.Errorf("gpu::timeout is %v: it must be below collection_interval (%v)", section.Timeout, c.CollectionInterval))
	}
	for i := range section.Instances {
		in := &section.Instances[i].Instance
		key := fmt.Sprintf("gpu::instances[%d]::instance", i)
		switch in.ID {
		case "":
			errs = append(errs, fmt.Errorf("%s::id is empty: name the instance that has the GPUs", key))
		case c.Instance.ID:
			errs = append(errs, fmt.Errorf("%s::id is %q, as instance::id: remove the entry, since a GPU that is attributed to nobody is the machine's", key, in.ID))
		}
		named := InstanceConfig{ID: in.ID, Name: in.Name, UserID: in.UserID, OrgID: in.OrgID, Labels: in.Labels}
		errs = append(errs, named.validate(key))
	}
	return errors.Join(errs...)
}

func (c *InstanceConfig) validate(key string) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct{ key, value string }{
		{"id", c.ID}, {"name", c.Name}, {"user_id", c.UserID}, {"org_id", c.OrgID},
	} {
		if len(f.value) > maxIDLength || strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' }) {
			fail("%s::%s is %q: it must have at most %d bytes and no control characters", key, f.key, f.value, maxIDLength)
		}
	}
	if len(c.Labels) > maxLabels {
		fail("%s::labels has %d entries: at most %d are allowed", key, len(c.Labels), maxLabels)
	}
	reserved := []string{
		usage.AttrVMID, usage.AttrVMName, usage.AttrHypervisor, usage.AttrHostID,
		usage.AttrHostName, usage.AttrUserID, usage.AttrOrgID,
	}
	for _, l := range sortedLabels(c.Labels) {
		switch {
		case l.Key == "":
			fail("%s::labels has an empty key with the value %q: name it or remove it", key, l.Value)
		case slices.Contains(reserved, l.Key):
			fail("%s::labels::%s: the name belongs to the resource itself; choose another", key, l.Key)
		case len(l.Key) > maxLabelText || len(l.Value) > maxLabelText:
			fail("%s::labels::%.40s: key and value must have at most %d bytes each", key, l.Key, maxLabelText)
		}
	}
	return errors.Join(errs...)
}

func sortedLabels(m map[string]string) []usage.Label {
	labels := make([]usage.Label, 0, len(m))
	for k, v := range m {
		labels = append(labels, usage.Label{Key: k, Value: v})
	}
	slices.SortFunc(labels, func(a, b usage.Label) int { return strings.Compare(a.Key, b.Key) })
	return labels
}
