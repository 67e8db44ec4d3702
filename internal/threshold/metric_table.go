package threshold

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// resourceMeasures is how one resource is measured; what is nil cannot be.
type resourceMeasures struct {
	share       *Measure // level, percentage of its own allotment
	level       *Measure // level, absolute or of a given limit
	amount      *Measure // of a period or longer
	amountShare *Measure // the same over what was provisioned
	rate        *Measure // amount per second of the period
	units       string   // that fit, for people
}

// The table of docs/thresholds.md; never changed.
var measures = map[Resource]resourceMeasures{
	CPU: amounts(usage.CPUTime, usage.VCPUProvisioned, resourceMeasures{
		share: &Measure{Metric: "vm.cpu.utilization", Unit: "1", Sum: true},
		level: &Measure{Metric: "vm.cpu.utilization", Unit: "1", Other: "vm.cpu.logical.count", Combine: Times, Sum: true},
		units: "{cpu} for a level, s or h for an amount, {cpu} for its average",
	}),
	MemoryResource: amounts(usage.Memory, usage.MemoryProvisioned, resourceMeasures{
		share: &Measure{Metric: "vm.memory.utilization", Unit: "1", Sum: true},
		level: &Measure{Metric: "vm.memory.usage", Unit: "By", Sum: true},
		units: "GiBy for a level, GiBy.h for an amount, GiBy for its average",
	}),
	Storage: amounts(usage.Storage, usage.StorageProvisioned, resourceMeasures{
		share: &Measure{Metric: "vm.storage.usage", Unit: "By", Other: "vm.storage.limit", Combine: Over, Sum: true},
		level: &Measure{Metric: "vm.storage.usage", Unit: "By", Sum: true},
		units: "GiBy for a level, GiBy.h for an amount, GiBy for its average",
	}),
	GPU: amounts(usage.GPUActive, usage.GPUProvisioned, resourceMeasures{
		share: &Measure{Metric: "hw.gpu.utilization", Unit: "1", Series: usage.AttrHardwareID},
		units: "s or h for an amount",
	}),
	NetworkIngress: amounts(usage.NetworkReceiveBytes, noAllotment, resourceMeasures{units: "GBy for an amount, MBy/s for a rate"}, received...),
	NetworkEgress:  amounts(usage.NetworkTransmitBytes, noAllotment, resourceMeasures{units: "GBy for an amount, MBy/s for a rate"}, transmitted...),
	DiskIO:         amounts(usage.DiskReadBytes, noAllotment, resourceMeasures{units: "GBy for an amount, MBy/s for a rate"}),
}

const noAllotment = usage.NumMeters

var (
	received    = direction(usage.NetworkReceiveBytes)
	transmitted = direction(usage.NetworkTransmitBytes)
)

func direction(m usage.Meter) []Matcher {
	return []Matcher{{Key: usage.AttrNetworkDirection, Values: Values{Exact: []string{m.Info().Direction}}}}
}

// amounts completes r with what is added up over a window.
func amounts(m, allotment usage.Meter, r resourceMeasures, filter ...Matcher) resourceMeasures {
	r.amount = meterMeasure(m, filter)
	rate := *r.amount
	rate.PerSecond = true
	r.rate = &rate
	if allotment != noAllotment {
		share := *r.amount
		share.Other, share.Combine = usage.MetricPrefix+allotment.Info().Metric, Over
		r.amountShare = &share
	}
	return r
}

func meterMeasure(m usage.Meter, filter []Matcher) *Measure {
	info := m.Info()
	return &Measure{Metric: usage.MetricPrefix + info.Metric, Unit: info.Unit, Filter: filter, Sum: true}
}

// usageMeasure returns how a vm.usage.* metric is measured; ok is false where
// the name is not that of a meter.
func usageMeasure(name string, filter []Matcher) (m *Measure, ok bool) {
	for meter := range usage.NumMeters {
		if name == usage.MetricPrefix+meter.Info().Metric {
			return meterMeasure(meter, filter), true
		}
	}
	return nil, false
}
