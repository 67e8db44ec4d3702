package ruletest

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Levels say what stands for the levels that an event does not have.
type Levels string

// What stands for them.
const (
	LevelsNone Levels = "none" // nothing: rules of levels are not checked with events
	LevelsAvg  Levels = "avg"  // the averages of the period
	LevelsMax  Levels = "max"  // the maxima of the period
)

// ParseLevels returns the levels of that name.
func ParseLevels(s string) (Levels, error) {
	l := Levels(s)
	if !slices.Contains([]Levels{LevelsNone, LevelsAvg, LevelsMax}, l) {
		return "", fmt.Errorf("%q: use %s, %s or %s", s, LevelsNone, LevelsAvg, LevelsMax)
	}
	return l, nil
}

// append appends to the metrics of a period those levels that follow from its
// statistics and its flavor, at its end.
func (l Levels) append(ms pmetric.MetricSlice, p *usage.Period) {
	if l != LevelsAvg && l != LevelsMax {
		return
	}
	gauge := func(name, unit string, value float64) {
		m := ms.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
		dp.SetTimestamp(pcommon.Timestamp(p.End)) //nolint:gosec // the engine checks it
		dp.SetDoubleValue(value)
	}
	for u, s := range p.Stats {
		if !s.Valid {
			continue
		}
		share := float64(s.Avg) / 1e6
		if l == LevelsMax {
			share = float64(s.Max) / 1e6
		}
		switch usage.Utilization(u) { //nolint:gosec // an index
		case usage.CPUUtilization:
			gauge("vm.cpu.utilization", "1", share)
			gauge("vm.cpu.logical.count", "{cpu}", float64(p.Flavor.VCPUs))
		case usage.MemoryUtilization:
			gauge("vm.memory.utilization", "1", share)
			gauge("vm.memory.usage", "By", share*float64(p.Flavor.MemoryBytes))
			gauge("vm.memory.limit", "By", float64(p.Flavor.MemoryBytes))
		case usage.StorageUtilization:
			gauge("vm.storage.usage", "By", share*float64(p.Flavor.StorageBytes))
			gauge("vm.storage.limit", "By", float64(p.Flavor.StorageBytes))
		case usage.GPUUtilization: // of all of them together
			gauge("hw.gpu.utilization", "1", share)
		}
	}
}
