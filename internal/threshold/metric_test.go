package threshold

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMeasures is the table of docs/thresholds.md: what is measured, and what
// becomes of an amount, the other metric, and the length of a period.
func TestMeasures(t *testing.T) {
	type m struct {
		metric, unit, other string
		series              string // "-" where all points are added up
		filter              string
	}
	const gib = 1 << 30
	for _, tt := range []struct {
		rule                   string
		want                   m
		amount, other, seconds float64
		value, limit           float64
	}{
		{"resource: cpu, type: percentage", m{"vm.cpu.utilization", "1", "", "-", ""}, 0.29, 0, 0, 29, 0},
		{"resource: cpu, type: absolute, unit: '{cpu}'", m{"vm.cpu.utilization", "1", "vm.cpu.logical.count", "-", ""}, 0.5, 4, 0, 2, 0},
		{"resource: cpu, type: percentage, limit: 4, unit: '{cpu}'", m{"vm.cpu.utilization", "1", "vm.cpu.logical.count", "-", ""}, 0.5, 4, 0, 50, 4},
		{"resource: cpu, type: percentage, window: period", m{"vm.usage.cpu.time", "us", "vm.usage.vcpu.provisioned", "-", ""}, 15e6, 60e6, 30, 25, 60e6},
		{"resource: cpu, type: absolute, unit: h, window: month", m{"vm.usage.cpu.time", "us", "", "-", ""}, 7200e6, 0, 0, 2, 0},
		{"resource: cpu, type: percentage, limit: 10, unit: h, window: month", m{"vm.usage.cpu.time", "us", "", "-", ""}, 7200e6, 0, 0, 20, 36e9},
		{"resource: cpu, type: absolute, unit: '{cpu}', window: period", m{"vm.usage.cpu.time", "us", "", "-", ""}, 45e6, 0, 30, 1.5, 0},

		{"resource: memory, type: percentage", m{"vm.memory.utilization", "1", "", "-", ""}, 0.5, 0, 0, 50, 0},
		{"resource: memory, type: absolute, unit: GiBy", m{"vm.memory.usage", "By", "", "-", ""}, 3 * gib, 0, 0, 3, 0},
		{"resource: memory, type: absolute, unit: GB", m{"vm.memory.usage", "By", "", "-", ""}, 3 * gib, 0, 0, 3, 0},
		{"resource: memory, type: absolute, unit: GBy", m{"vm.memory.usage", "By", "", "-", ""}, 3e9, 0, 0, 3, 0},
		{"resource: memory, type: percentage, limit: 4, unit: GiBy", m{"vm.memory.usage", "By", "", "-", ""}, 3 * gib, 0, 0, 75, 4 * gib},
		{"resource: memory, type: percentage, window: day", m{"vm.usage.memory", "MiBy.s", "vm.usage.memory.provisioned", "-", ""}, 10, 40, 0, 25, 40},
		{"resource: memory, type: absolute, unit: GiBy.h, window: day", m{"vm.usage.memory", "MiBy.s", "", "-", ""}, 2 * 1024 * 3600, 0, 0, 2, 0},
		{"resource: memory, type: absolute, unit: GiBy, window: period", m{"vm.usage.memory", "MiBy.s", "", "-", ""}, 2 * 1024 * 30, 0, 30, 2, 0},

		{"resource: storage, type: percentage", m{"vm.storage.usage", "By", "vm.storage.limit", "-", ""}, 30, 120, 0, 25, 120},
		{"resource: storage, type: absolute, unit: TiBy", m{"vm.storage.usage", "By", "", "-", ""}, 1 << 40, 0, 0, 1, 0},
		{"resource: storage, type: percentage, window: hour", m{"vm.usage.storage", "MiBy.s", "vm.usage.storage.provisioned", "-", ""}, 30, 120, 0, 25, 120},

		{"resource: gpu, type: percentage", m{"hw.gpu.utilization", "1", "", "hw.id", ""}, 0.07, 0, 0, 7, 0},
		{"resource: gpu, type: percentage, window: day", m{"vm.usage.gpu.active", "us", "vm.usage.gpu.provisioned", "-", ""}, 1, 8, 0, 12.5, 8},
		{"resource: gpu, type: absolute, unit: s, window: day", m{"vm.usage.gpu.active", "us", "", "-", ""}, 1.5e6, 0, 0, 1.5, 0},

		{"resource: network_ingress, type: absolute, unit: MB", m{"vm.usage.network.io", "By", "", "-", "[{network.io.direction {[receive] []}}]"}, 3 << 20, 0, 30, 3, 0},
		{"resource: network_egress, type: absolute, unit: GBy, window: month", m{"vm.usage.network.io", "By", "", "-", "[{network.io.direction {[transmit] []}}]"}, 3e9, 0, 0, 3, 0},
		{"resource: network_egress, type: percentage, limit: 1, unit: Gbit/s", m{"vm.usage.network.io", "By", "", "-", "[{network.io.direction {[transmit] []}}]"}, 1.875e9, 0, 30, 50, 125e6},
		{"resource: disk_io, type: absolute, unit: MBy/s", m{"vm.usage.disk.io", "By", "", "-", ""}, 60e6, 0, 30, 2, 0},
		{"resource: disk_io, type: percentage, limit: 100, unit: GBy, window: day", m{"vm.usage.disk.io", "By", "", "-", ""}, 50e9, 0, 0, 50, 100e9},

		{"metric: vm.process.count, type: absolute", m{"vm.process.count", "", "", "", ""}, 500, 0, 0, 500, 0},
		{"metric: vm.disk.io, type: absolute, unit: GiBy, attributes: {disk.io.direction: read}", m{"vm.disk.io", "GiBy", "", "", "[{disk.io.direction {[read] []}}]"}, 5, 0, 0, 5, 0},
		{"metric: vm.filesystem.utilization, type: percentage", m{"vm.filesystem.utilization", "1", "", "", ""}, 0.9, 0, 0, 90, 0},
		{"metric: hw.power, type: percentage, limit: 300, unit: W", m{"hw.power", "W", "", "", ""}, 240, 0, 0, 80, 300},
		{"metric: hw.errors, type: percentage, limit: 10", m{"hw.errors", "", "", "", ""}, 5, 0, 0, 50, 10},
		{"metric: vm.usage.disk.operations, type: absolute, window: period, unit: '{operation}/s'", m{"vm.usage.disk.operations", "{operation}", "", "-", ""}, 3000, 0, 30, 100, 0},
		{"metric: vm.usage.network.packets, type: absolute, window: hour, attributes: {network.interface.name: eth0}", m{"vm.usage.network.packets", "{packet}", "", "-", "[{network.interface.name {[eth0] []}}]"}, 3000, 0, 0, 3000, 0},
		{"metric: vm.usage.statistics, type: percentage", m{"vm.usage.statistics", "1", "", "", ""}, 0.5, 0, 0, 50, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			r := parse(t, "[{id: a, warning: 1, "+tt.rule+"}]")[0]
			got := m{metric: r.Measure.Metric, unit: r.Measure.Unit, other: r.Measure.Other, series: r.Measure.Series}
			if r.Measure.Sum {
				got.series = "-"
			}
			if r.Measure.Filter != nil {
				got.filter = fmt.Sprint(r.Measure.Filter)
			}
			assert.Equal(t, tt.want, got)
			value, limit, ok := r.Value(tt.amount, tt.other, tt.seconds)
			require.True(t, ok)
			assert.Equal(t, tt.value, value)
			assert.Equal(t, tt.limit, limit)
		})
	}
}

func TestNoValue(t *testing.T) {
	for rule, amounts := range map[string][3]float64{
		"resource: storage, type: percentage":                    {1, 0, 0},
		"resource: cpu, type: percentage, window: day":           {1, -1, 0},
		"resource: disk_io, type: absolute, unit: By/s":          {1, 0, 0},
		"resource: memory, type: absolute, unit: By":             {math.NaN(), 0, 0},
		"resource: memory, type: percentage":                     {math.Inf(1), 0, 0},
		"resource: cpu, type: absolute, unit: '{cpu}'":           {1, math.Inf(1), 0},
		"resource: storage, type: percentage, direction: below":  {1, math.Inf(1), 0},
		"resource: storage, type: percentage, description: what": {1, math.NaN(), 0},
	} {
		r := parse(t, "[{id: a, warning: 1, "+rule+"}]")[0]
		_, _, ok := r.Value(amounts[0], amounts[1], amounts[2])
		assert.False(t, ok, rule)
	}
}

func TestConvert(t *testing.T) {
	for _, tt := range []struct {
		to, from string
		factor   float64
		ok       bool
	}{
		{"By", "By", 1, true},
		{"By", "", 1, true},
		{"", "By", 1, true},
		{"By", "KiBy", 1024, true},
		{"1", "%", 0.01, true},
		{"GiBy", "By", 1.0 / (1 << 30), true},
		{"By", "s", 0, false},
		{"By", "bytes", 0, false},
	} {
		factor, ok := (&Measure{Unit: tt.to}).Convert(tt.from)
		assert.Equal(t, tt.ok, ok, tt)
		if ok {
			assert.Equal(t, tt.factor, factor, tt)
		}
	}
}

func TestRulesShareMeasures(t *testing.T) {
	rules := parse(t, `
- {id: a, resource: cpu, type: percentage, warning: 80}
- {id: b, resource: cpu, type: percentage, warning: 90}`)
	assert.Same(t, rules[0].Measure, rules[1].Measure)
}
