package vmusagereceiver

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// theMachine is the owner of GPUs that are attributed to nobody else.
const theMachine = -1

// gpus are the GPUs of the machine. The host's source asks them and meters those
// of the machine itself; the source "gpu" meters what is attributed to others.
type gpus struct {
	meter    *gpu.Meter
	builder  *metadata.MetricsBuilder
	snapshot *gpu.Snapshot // of the sample at hand

	told gpuNews
}

// gpuNews is what was said of GPUs so far.
type gpuNews struct {
	absent  bool            // that there is no driver
	found   bool            // that there are GPUs
	points  map[string]bool // that the driver has no samples of these
	failing map[string]bool // of these, by UUID
	lacking map[string]bool // that these do not offer what others do
	counts  gpu.Counts      // up to which the meter's counts were added
}

func newGPUs(set receiver.Settings, cfg *Config, clock func() reading.Instant, at reading.Instant) *gpus {
	m := &cfg.MetricsBuilderConfig.Metrics
	return &gpus{
		meter: gpu.New(gpu.Settings{
			Config: *cfg.GPU.Get(),
			Clock:  clock,
			Wants: gpu.Wants{
				Power: m.HwPower.Enabled, Temperature: m.HwTemperature.Enabled, Errors: m.HwErrors.Enabled,
				Clocks: m.HwGpuClockFrequency.Enabled, PCIe: m.HwGpuIo.Enabled, NVLink: m.HwGpuNvlinkIo.Enabled,
				Processes: m.HwGpuProcessMemoryUsage.Enabled || m.HwGpuProcessUtilization.Enabled,
				VGPUs:     m.HwGpuVgpuMemoryUsage.Enabled || m.HwGpuVgpuUtilization.Enabled,
			},
		}),
		builder: metadata.NewMetricsBuilder(cfg.MetricsBuilderConfig, set, metadata.WithStartTime(bootTime(at))),
		told:    gpuNews{points: map[string]bool{}, failing: map[string]bool{}, lacking: map[string]bool{}},
	}
}

func (g *gpus) collect(ctx context.Context, at reading.Instant) {
	g.snapshot = g.meter.Collect(ctx, at)
}

// tell says in logs, status and self-metrics what happened to the GPUs.
func (g *gpus) tell(ctx context.Context, t *telemetry, n news) {
	s, counts := g.snapshot, g.meter.Counts()
	t.gpus(ctx, s, &counts, &g.told.counts)
	g.told.counts = counts
	switch {
	case s.Driver == gpu.Absent && !s.Known:
		if !g.told.absent {
			g.told.absent = true
			t.logger.Info("no driver or library for GPUs is here; metering goes on without, and looks for one now and then", zap.Error(s.Err))
		}
	case s.Driver == gpu.Starting:
	default:
		n.Report("driver of the GPUs", s.Err)
	}
	if s.Known && !g.told.found {
		g.told.found = true
		t.logger.Info("metering GPUs", zap.Int("gpus_and_mig_instances", len(s.GPUs)))
	}
	for i := range s.GPUs {
		d := &s.GPUs[i]
		if d.Parent == "" {
			if d.Err != nil || g.told.failing[d.UUID] {
				n.Report("GPU "+d.UUID, d.Err)
			}
			g.told.failing[d.UUID] = d.Err != nil
		}
		if d.Points && !g.told.points[d.UUID] {
			g.told.points[d.UUID] = true
			t.logger.Warn("the driver has no utilization samples of a GPU: active time is estimated from one point at each poll_interval", zap.String("gpu", d.UUID))
		}
	}
	for i := range s.GPUs {
		if d := &s.GPUs[i]; d.Lacks != 0 && !g.told.lacking[d.UUID] {
			g.told.lacking[d.UUID] = true
			t.logger.Warn("a GPU or MIG instance does not offer what others of its instance do, whose meters have a gap: "+
				"give them to different instances by gpu::instances",
				zap.String("gpu", d.UUID), zap.Strings("meters", meterNames(d.Lacks)))
		}
	}
	for uuid := range g.told.lacking {
		if !g.snapshotHas(uuid) {
			delete(g.told.lacking, uuid)
		}
	}
	for uuid, failing := range g.told.failing {
		if !g.snapshotHas(uuid) {
			if failing {
				n.Report("GPU "+uuid, nil) // it is gone, and fails no more
			}
			delete(g.told.failing, uuid)
			delete(g.told.points, uuid)
		}
	}
}

func meterNames(set usage.MeterSet) (names []string) {
	for m := range set.All() {
		names = append(names, m.String())
	}
	return names
}

func (g *gpus) snapshotHas(uuid string) bool {
	for i := range g.snapshot.GPUs {
		if g.snapshot.GPUs[i].UUID == uuid {
			return true
		}
	}
	return false
}

// appendLevels appends the levels of the GPUs of one owner.
func (g *gpus) appendLevels(ms pmetric.MetricSlice, owner int, at reading.Instant) {
	ts := pcommon.Timestamp(at.Wall) //nolint:gosec // after 1970
	for i := range g.snapshot.GPUs {
		if d := &g.snapshot.GPUs[i]; d.Owner == owner && d.Answered {
			g.record(ts, d)
		}
	}
	moveMetrics(g.builder.Emit(), ms)
}

func moveMetrics(from pmetric.Metrics, to pmetric.MetricSlice) {
	for _, rm := range from.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			sm.Metrics().MoveAndAppendTo(to)
		}
	}
}
