package gpu

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	valid := DefaultConfig()
	valid.Include = Selection{UUIDs: []string{"GPU-1"}, Indices: []int{0}, Models: []string{"*H100*"}}
	valid.Instances = []Attribution{{Instance: Instance{ID: "a"}, GPUs: []string{"0", "MIG-2"}}}
	if !Built {
		require.ErrorContains(t, valid.Validate(), "built without cgo")
		return
	}
	require.NoError(t, valid.Validate())
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.NVMLPath = "lib.so" }, `nvml_path is "lib.so"`},
		{func(c *Config) { c.Timeout = time.Millisecond }, "timeout is 1ms: it must be at least 10ms"},
		{func(c *Config) { c.PollInterval = time.Minute }, "poll_interval is 1m0s: it must be 100ms to 10s"},
		{func(c *Config) { c.PollInterval = 0 }, "poll_interval is 0s"},
		{func(c *Config) { c.RescanInterval = 0 }, "rescan_interval is 0s"},
		{func(c *Config) { c.Include.UUIDs = []string{"0000:65:00.0"} }, `include::uuids: "0000:65:00.0" is no UUID of NVML`},
		{func(c *Config) { c.Exclude.Indices = []int{-1} }, "exclude::indices: -1 is negative"},
		{func(c *Config) { c.Exclude.Models = []string{"[A"} }, `exclude::models: "[A" is no pattern`},
		{func(c *Config) { c.Instances[0].GPUs = nil }, "instances[0]::gpus is empty"},
		{func(c *Config) { c.Instances[0].GPUs = []string{"first"} }, `instances[0]::gpus: "first" is neither`},
		{func(c *Config) { c.Instances[0].GPUs = []string{"1", "1"} }, `instances[0]::gpus: "1" is already in instances[0]`},
		{func(c *Config) { c.Instances[0].Instance.Hypervisor = "xen" }, `instances[0]::instance::hypervisor is "xen"`},
		{func(c *Config) { c.Instances = append(c.Instances, c.Instances[0]) }, `instances[1]::instance::id is "a", as in instances[0]`},
	} {
		t.Run(c.want, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Instances = []Attribution{{Instance: Instance{ID: "a"}, GPUs: []string{"0"}}}
			c.change(&cfg)
			assert.ErrorContains(t, cfg.Validate(), c.want)
		})
	}
}

func TestCounts(t *testing.T) {
	h100 := &Identity{UUID: "GPU-1", Model: "NVIDIA H100 80GB HBM3", Index: 0}
	l4 := &Identity{UUID: "GPU-2", Model: "NVIDIA L4", Index: 1}
	for _, c := range []struct {
		include, exclude Selection
		h100, l4         bool
	}{
		{h100: true, l4: true},
		{include: Selection{Models: []string{"*H100*"}}, h100: true},
		{include: Selection{Indices: []int{1}}, l4: true},
		{include: Selection{UUIDs: []string{"GPU-1"}, Indices: []int{1}}, h100: true, l4: true},
		{exclude: Selection{UUIDs: []string{"GPU-1"}}, l4: true},
		{include: Selection{Models: []string{"*"}}, exclude: Selection{Indices: []int{1}}, h100: true},
	} {
		cfg := Config{Include: c.include, Exclude: c.exclude}
		assert.Equal(t, c.h100, cfg.counts(h100), "%+v", c)
		assert.Equal(t, c.l4, cfg.counts(l4), "%+v", c)
	}
}

func TestOwner(t *testing.T) {
	cfg := Config{Instances: []Attribution{{GPUs: []string{"1"}}, {GPUs: []string{"GPU-3", "MIG-1"}}}}
	parent := &Identity{UUID: "GPU-1", Index: 1}
	assert.Equal(t, -1, cfg.owner(&Identity{UUID: "GPU-0", Index: 0}, nil))
	assert.Equal(t, 0, cfg.owner(parent, nil))
	assert.Equal(t, 1, cfg.owner(&Identity{UUID: "GPU-3", Index: 3}, nil))
	assert.Equal(t, 1, cfg.owner(&Identity{UUID: "MIG-1", Index: 0}, parent), "its own name is stronger than its GPU's")
	assert.Equal(t, 0, cfg.owner(&Identity{UUID: "MIG-2", Index: 3}, parent), "its index is within the GPU")
}
