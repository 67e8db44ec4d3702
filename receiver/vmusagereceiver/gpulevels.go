package vmusagereceiver

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
)

// record records what a GPU said with the generated builder, which knows which
// metrics the user wants.
func (g *gpus) record(ts pcommon.Timestamp, d *gpu.GPU) {
	const kind = metadata.AttributeHwTypeGpu
	mb, l := g.builder, d.Levels
	id, model, name := d.UUID, d.Model, d.Name
	var parent []metadata.MetricAttributeOption
	if d.Parent != "" {
		parent = append(parent, metadata.WithHwParentMetricAttribute(d.Parent))
	}
	if d.Utilization.OK {
		mb.RecordHwGpuUtilizationDataPoint(ts, float64(d.Utilization.N)/usage.FullCoverage, id, kind, name, model, parent...)
	}
	if l.Used.OK {
		mb.RecordHwGpuMemoryUsageDataPoint(ts, integer(l.Used.N), id, kind, name, model, parent...)
		mb.RecordHwGpuMemoryLimitDataPoint(ts, integer(l.Total.N), id, kind, name, model, parent...)
		if l.Total.N > 0 {
			mb.RecordHwGpuMemoryUtilizationDataPoint(ts, float64(l.Used.N)/float64(l.Total.N), id, kind, name, model, parent...)
		}
	}
	if l.Energy.OK {
		mb.RecordHwEnergyDataPoint(ts, float64(l.Energy.N)/1000, id, kind, name, model, parent...)
	}
	if l.Power.OK {
		mb.RecordHwPowerDataPoint(ts, float64(l.Power.N)/1000, id, kind, name, model, parent...)
	}
	if l.Temperature.OK {
		mb.RecordHwTemperatureDataPoint(ts, float64(l.Temperature.N), id, kind, name, model, parent...)
	}
	for _, e := range [...]struct {
		gpu.Value
		kind metadata.AttributeErrorType
	}{
		{l.ECCCorrected, metadata.AttributeErrorTypeEccCorrected},
		{l.ECCUncorrected, metadata.AttributeErrorTypeEccUncorrected},
		{l.RetiredCorrected, metadata.AttributeErrorTypeRetiredCorrected},
		{l.RetiredUncorrected, metadata.AttributeErrorTypeRetiredUncorrected},
		{l.Xids, metadata.AttributeErrorTypeXid},
	} {
		if e.OK {
			mb.RecordHwErrorsDataPoint(ts, integer(e.N), id, kind, name, model, e.kind, parent...)
		}
	}
	if l.SMClock.OK {
		mb.RecordHwGpuClockFrequencyDataPoint(ts, integer(l.SMClock.N*1_000_000), id, kind, name, model, metadata.AttributeHwGpuClockSm, parent...)
		mb.RecordHwGpuClockFrequencyDataPoint(ts, integer(l.MemoryClock.N*1_000_000), id, kind, name, model, metadata.AttributeHwGpuClockMemory, parent...)
	}
	const transmit, receive = metadata.AttributeNetworkIoDirectionTransmit, metadata.AttributeNetworkIoDirectionReceive
	if l.PCIeTransmit.OK {
		mb.RecordHwGpuIoDataPoint(ts, integer(l.PCIeTransmit.N), id, kind, name, model, transmit, parent...)
		mb.RecordHwGpuIoDataPoint(ts, integer(l.PCIeReceive.N), id, kind, name, model, receive, parent...)
	}
	if l.LinkTransmit.OK {
		mb.RecordHwGpuNvlinkIoDataPoint(ts, integer(l.LinkTransmit.N), id, kind, name, model, transmit, parent...)
		mb.RecordHwGpuNvlinkIoDataPoint(ts, integer(l.LinkReceive.N), id, kind, name, model, receive, parent...)
	}
	for _, p := range l.Processes {
		if p.HasMemory {
			mb.RecordHwGpuProcessMemoryUsageDataPoint(ts, integer(p.Memory), id, kind, name, model, int64(p.PID), parent...)
		}
		if p.HasUtilization {
			mb.RecordHwGpuProcessUtilizationDataPoint(ts, float64(p.Utilization)/100, id, kind, name, model, int64(p.PID), parent...)
		}
	}
	for _, v := range l.VGPUs {
		if v.HasMemory {
			mb.RecordHwGpuVgpuMemoryUsageDataPoint(ts, integer(v.Memory), id, kind, name, model, v.UUID, parent...)
		}
		if v.HasUtilization {
			mb.RecordHwGpuVgpuUtilizationDataPoint(ts, float64(v.Utilization)/100, id, kind, name, model, v.UUID, parent...)
		}
	}
}
