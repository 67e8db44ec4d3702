//go:build cgo && linux

package vmusagereceiver

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/internal/nvmltest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadatatest"
)

const twoGPUs = `
gpu
uuid GPU-1
name Stub
memory 80GiB
used 0s 8GiB
busy 0s - 50
power 0s 350W
temperature 0s 61C
ecc aggregate corrected 0s 5
ecc aggregate uncorrected 0s 1
gpu
uuid GPU-2
name Stub
memory 80GiB
mig 0s 1
mig-device 0
uuid MIG-1
name Stub MIG
memory 10GiB
used 0s 1GiB
`

// gpuConfig meters this machine with the GPUs of a library.
func gpuConfig(t *testing.T, library string) *Config {
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, cfg.Unmarshal(confmap.NewFromStringMap(map[string]any{
		"instance": map[string]any{"id": "machine"},
		"gpu": map[string]any{
			"nvml_path": library,
			"timeout":   "5s",
			"instances": []any{map[string]any{
				"instance": map[string]any{"id": "guest", "user_id": "u", "labels": map[string]any{"k": "v"}},
				"gpus":     []any{"MIG-1"},
			}},
		},
	})))
	require.NoError(t, cfg.Validate())
	section := cfg.GPU.Get()
	require.NoError(t, section.Validate())
	return cfg
}

// gpuSampler samples this machine once for each call of what it returns.
func gpuSampler(t *testing.T, cfg *Config, logger *zap.Logger) (*componenttest.Telemetry, func() pmetric.Metrics) {
	tel := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(tel)
	set.Logger = logger
	scrape, closing, err := newScrape(set, cfg, systemClock)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, closing())
		assert.NoError(t, tel.Shutdown(context.WithoutCancel(t.Context())))
	})
	return tel, func() pmetric.Metrics { return scrape(t.Context()) }
}

// points finds the points of a metric, by hw.id and what else is given.
func points(md pmetric.Metrics, vm, name string) (ids []string) {
	for _, rm := range md.ResourceMetrics().All() {
		if id, _ := rm.Resource().Attributes().Get("vm.id"); id.Str() != vm {
			continue
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != name {
					continue
				}
				var dps pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeSum {
					dps = m.Sum().DataPoints()
				} else {
					dps = m.Gauge().DataPoints()
				}
				for _, dp := range dps.All() {
					id, _ := dp.Attributes().Get("hw.id")
					ids = append(ids, id.Str())
				}
			}
		}
	}
	return slices.Compact(ids)
}

// TestGPUs meters the GPUs of a library: the machine's, and one of somebody else.
func TestGPUs(t *testing.T) {
	d := nvmltest.StartReal(t, twoGPUs)
	tel, sample := gpuSampler(t, gpuConfig(t, d.Library()), zap.NewNop())
	md := sample()
	for name, want := range map[string][]string{
		"hw.gpu.memory.usage":        {"GPU-1", "GPU-2"},
		"hw.gpu.memory.limit":        {"GPU-1", "GPU-2"},
		"hw.gpu.memory.utilization":  {"GPU-1", "GPU-2"},
		"hw.power":                   {"GPU-1"},
		"hw.temperature":             {"GPU-1"},
		"hw.gpu.process.utilization": nil,
	} {
		assert.Equal(t, want, points(md, "machine", name), name)
	}
	assert.NotEmpty(t, points(md, "machine", "hw.errors"))
	assert.NotEmpty(t, points(md, "machine", "vm.cpu.time"))
	assert.Equal(t, []string{"MIG-1"}, points(md, "guest", "hw.gpu.memory.usage"))
	assert.Empty(t, points(md, "guest", "vm.cpu.time"))
	metadatatest.AssertEqualReceiverVMUsageGpuDevices(t, tel, []metricdata.DataPoint[int64]{
		{Attributes: attribute.NewSet(attribute.String("state", "ready")), Value: 3},
		{Attributes: attribute.NewSet(attribute.String("state", "hung")), Value: 0},
		{Attributes: attribute.NewSet(attribute.String("state", "lost")), Value: 0},
	}, metricdatatest.IgnoreTimestamp())
}

// TestLackingIsSaid warns once of a MIG instance that makes a gap of the active time
// of a whole GPU.
func TestLackingIsSaid(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	d := nvmltest.StartReal(t, twoGPUs)
	cfg := gpuConfig(t, d.Library())
	_, sample := gpuSampler(t, cfg, zap.New(core))
	sample()
	sample()
	for _, e := range logs.All() {
		assert.NotContains(t, e.ContextMap()["meters"], "gpu.active", "the MIG instance is somebody else's")
	}
	logs.TakeAll()
	cfg.GPU.Get().Instances = nil
	_, sample = gpuSampler(t, cfg, zap.New(core))
	sample()
	sample()
	entries := logs.FilterField(zap.String("gpu", "MIG-1")).All()
	require.Len(t, entries, 1)
	assert.Equal(t, []any{"gpu.active"}, entries[0].ContextMap()["meters"])
}

// TestOptionalGPULevels has the levels that cost further calls switched on.
func TestOptionalGPULevels(t *testing.T) {
	d := nvmltest.StartReal(t, twoGPUs+`
gpu
uuid GPU-3
pcie tx 0s 1000
pcie rx 0s 4000
nvlink 0 tx 0s 1024
nvlink 0 rx 0s 1024
clock sm 0s 1980MHz
clock memory 0s 2619MHz
process 4242 0s - 1GiB 20% 5%
`)
	cfg := gpuConfig(t, d.Library())
	m := &cfg.MetricsBuilderConfig.Metrics
	m.HwGpuIo.Enabled, m.HwGpuNvlinkIo.Enabled, m.HwGpuClockFrequency.Enabled = true, true, true
	m.HwGpuProcessMemoryUsage.Enabled = true
	_, sample := gpuSampler(t, cfg, zap.NewNop())
	md := sample()
	for _, name := range []string{"hw.gpu.io", "hw.gpu.nvlink.io", "hw.gpu.clock.frequency", "hw.gpu.process.memory.usage"} {
		assert.Equal(t, []string{"GPU-3"}, points(md, "machine", name), name)
	}
}

// TestGPUsAreMeteredNoMore takes the section out of the configuration: a GPU of
// which the ledger knows is gone, and nobody waits for it.
func TestGPUsAreMeteredNoMore(t *testing.T) {
	d := nvmltest.StartReal(t, "gpu\nuuid GPU-1\nbusy 0s - 50\n")
	l := ledger.New(ledger.Settings{Interval: 10 * time.Second, NewID: uuid.New})
	at := systemClock()
	cfg := gpuConfig(t, d.Library())
	for range 2 {
		sources, err := openSources(receivertest.NewNopSettings(metadata.Type), cfg, systemClock, at)
		require.NoError(t, err)
		at.Boot, at.Wall = at.Boot+60e9, at.Wall+60e9
		require.NoError(t, sources[0].Sample(t.Context(), at, func(i sampled) {
			r := i.Reading()
			r.At.Boot, r.At.Wall = at.Boot, at.Wall
			l.Observe(r)
		}))
		require.NoError(t, closeAll(sources))
		cfg = gpuConfig(t, d.Library())
		cfg.GPU = configoptional.None[gpu.Config]()
	}
	closed, _ := l.Take()
	require.Len(t, closed, 1, "it has one GPU less")
	p := &closed[0]
	assert.True(t, p.Metered.Has(usage.GPUActive))
	assert.Equal(t, usage.Measured, p.Quality[usage.GPUActive])
}

// TestPointsAreSaid warns once of a GPU whose active time is only estimated.
func TestPointsAreSaid(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	d := nvmltest.StartReal(t, "gpu\nuuid GPU-1\nbusy 0s - 50\ngpu\nuuid GPU-2\nbusy 0s - 50\nunsupported DeviceGetSamples\n")
	cfg := gpuConfig(t, d.Library())
	cfg.GPU.Get().Instances = nil
	_, sample := gpuSampler(t, cfg, zap.New(core))
	for range 3 {
		sample()
	}
	entries := logs.All()
	require.Len(t, entries, 1)
	assert.Contains(t, entries[0].Message, "active time is estimated from one point at each poll_interval")
	assert.Equal(t, "GPU-2", entries[0].ContextMap()["gpu"])
}

// TestNoGPUs says once that there is no library, and meters the rest.
func TestNoGPUs(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	cfg := gpuConfig(t, filepath.Join(t.TempDir(), nvmltest.LibraryName))
	cfg.GPU.Get().Instances = nil
	_, sample := gpuSampler(t, cfg, zap.New(core))
	for range 3 {
		assert.NotEmpty(t, points(sample(), "machine", "vm.cpu.time"))
	}
	entries := logs.All()
	require.Len(t, entries, 1)
	assert.Equal(t, zapcore.InfoLevel, entries[0].Level)
	assert.Contains(t, entries[0].Message, "no driver or library for GPUs is here")
}

func TestGPUConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*Config, *gpu.Config)
		want   string
	}{
		{func(c *Config, _ *gpu.Config) { c.CollectionInterval = 200 * time.Millisecond }, "gpu::timeout is 500ms: it must be below collection_interval (200ms)"},
		{func(_ *Config, g *gpu.Config) { g.Instances[0].Instance.ID = "" }, "gpu::instances[0]::instance::id is empty"},
		{func(c *Config, _ *gpu.Config) { c.Instance.ID = "guest" }, `gpu::instances[0]::instance::id is "guest", as instance::id`},
		{func(_ *Config, g *gpu.Config) { g.Instances[0].Instance.UserID = "a\nb" }, `gpu::instances[0]::instance::user_id is "a\nb"`},
		{func(_ *Config, g *gpu.Config) { g.Instances[0].Instance.Labels = map[string]string{"vm.id": "x"} }, "gpu::instances[0]::instance::labels::vm.id"},
	} {
		cfg := gpuConfig(t, "/usr/lib/libnvidia-ml.so.1")
		section := cfg.GPU.Get()
		section.Timeout = 500 * time.Millisecond
		c.change(cfg, section)
		require.ErrorContains(t, cfg.Validate(), c.want)
	}
	cfg := createDefaultConfig().(*Config)
	require.ErrorContains(t, cfg.Unmarshal(confmap.NewFromStringMap(map[string]any{"gpu": map[string]any{"timeout": "soon"}})),
		`gpu::timeout is "soon"`)

	cfg = gpuConfig(t, "/usr/lib/libnvidia-ml.so.1")
	cfg.Instance.ID = ""
	set := receivertest.NewNopSettings(metadata.Type)
	h, err := newHostSource(set, cfg, systemClock())
	require.NoError(t, err)
	cfg.GPU.Get().Instances[0].Instance.ID = h.instance.ID
	require.NoError(t, h.Close())
	_, err = openSources(set, cfg, systemClock, systemClock())
	assert.ErrorContains(t, err, "which is this machine's own")
}
