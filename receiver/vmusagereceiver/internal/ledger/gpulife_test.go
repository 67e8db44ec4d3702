package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// TestWhatNoGPUOffers is not metered, where a GPU that offered it is divided and its
// parts do not, it is a gap.
func TestWhatNoGPUOffers(t *testing.T) {
	l, m := newLedger(), gpuMachine("x")
	m.lacks("x", usage.GPUActive)
	m.Metered &^= 1 << usage.GPUActive
	l.Observe(m.read())
	p := closeWith(t, l, m.pass(10).ran("x", 10, 10))
	assert.False(t, p.Metered.Has(usage.GPUActive))
	assert.True(t, p.Metered.Has(usage.GPUMemory))
	assert.Equal(t, measured, p.WorstQuality())
	assert.EqualValues(t, full, p.LeastCoverage())
	assert.Len(t, p.Devices, 3)

	l, m = newLedger(), gpuMachine("x")
	l.Observe(m.read())
	closeWith(t, l, m.pass(10).ran("x", 10, 10))
	m.unplug("x").plug("y", 12)
	m.lacks("y", usage.GPUActive)
	m.Metered &^= 1 << usage.GPUActive
	l.Observe(m.pass(10).read())
	l.Observe(m.pass(10).ran("y", 10, 10).read())
	l = reborn(t, l)
	l.Observe(m.pass(10).ran("y", 10, 10).read())
	taken(l)
	p = closeWith(t, l, m.pass(10).ran("y", 10, 10))
	assert.True(t, p.Metered.Has(usage.GPUActive), "the stream has it")
	assert.Equal(t, amounts4{0, 10e6, 1000, 3e6}, gpuAmounts(&p))
	assert.Equal(t, qualities4{gap, measured, measured, measured}, gpuQuality(&p))
	assert.Equal(t, coverage4{0, full, full, full}, gpuCoverage(&p))

	l = reborn(t, l)
	y := m.gpu("y")[0]
	y.Unknown, y.Sampled, y.Values[0], y.Covered = false, true, 77e6, 99e6
	l.Observe(m.pass(10).ran("y", 10, 10).read())
	taken(l)
	p = closeWith(t, l, m.pass(10).ran("y", 10, 10))
	assert.EqualValues(t, 5e6, p.Totals[usage.GPUActive]-5e6, "what it had come to before counts for nothing")
}

// TestEnergyBeginsAnew has the counter of energy fall.
func TestEnergyBeginsAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		last, next uint64 // mJ
		change     func(c *reading.Counters)
		want       int64
	}{
		"by itself, to less than half":        {100_000_000, 40_000_000, func(*reading.Counters) {}, 40_000_000},
		"by itself, to more than half":        {100_000_000, 60_000_000, func(*reading.Counters) {}, 0},
		"after an initialization":             {100_000_000, 60_000_000, func(c *reading.Counters) { c.Reopened = true }, 60_000_000},
		"by a little, of what cannot be new":  {5e12, 5e12 - 1, func(c *reading.Counters) { c.Reopened = true }, 0},
		"an initialization that lost nothing": {100_000_000, 100_000_001, func(c *reading.Counters) { c.Reopened = true }, 1},
		"another load of the driver":          {100_000_000, 60_000_000, func(c *reading.Counters) { c.Birth++ }, 60_000_000},
		"another load says what it cannot":    {5e12, 6e12, func(c *reading.Counters) { c.Birth++ }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l, m := newLedger(), gpuMachine("x")
			e := m.gpu("x")[3]
			e.Resets, e.FromFirst, e.Values[0] = true, true, tt.last
			l.Observe(m.read())
			e.Values[0] = tt.next
			tt.change(e)
			assert.Equal(t, tt.want, closeWith(t, l, m.pass(10)).Usage[usage.GPUEnergy])
			e.Values[0] += 7
			e.Reopened = false
			assert.LessOrEqual(t, closeWith(t, l, m.pass(10)).Usage[usage.GPUEnergy], int64(7))
		})
	}
}

// TestAHangOverPeriods closes a period while a GPU hangs: what is there is in it,
// nothing is absent, and the next good reading catches up.
func TestAHangOverPeriods(t *testing.T) {
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	m.steps(l, 2, "x")
	m.hang(l, 4)
	l.Due()
	m.hang(l, 1)
	p := taken(l)[0]
	assert.Equal(t, amounts4{10e6, 20e6, 2000, 6e6}, gpuAmounts(&p))
	require.Len(t, p.Devices, 3, "it is there")
	assert.Equal(t, gap, p.Quality[usage.GPUActive])
	assert.EqualValues(t, 285_714, p.Coverage[usage.GPUActive])
	p = closeWith(t, l, m.pass(10).ran("x", 60, 16))
	assert.Equal(t, amounts4{8e6, 60e6, 1600, 18e6}, gpuAmounts(&p))
	assert.Equal(t, measured, p.Quality[usage.GPUActive], "of its own time all is known")
	assert.Equal(t, recovered, p.Quality[usage.GPUEnergy])
	assert.EqualValues(t, full, p.Coverage[usage.GPUActive])
	assert.EqualValues(t, 0, l.Counts().Anomalies)
}

func TestGPUsComeAndGo(t *testing.T) {
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	l.Observe(m.pass(10).ran("x", 10, 10).read())
	// y is there since 4 s; that changes the flavor, which closes the period.
	m.plug("y", 10).ran("y", 4, 4)
	l.Observe(m.pass(10).ran("x", 10, 10).read())
	ps := taken(l)
	require.Len(t, ps, 1)
	assert.Equal(t, amounts4{12e6, 24e6, 2400, 72e5}, gpuAmounts(&ps[0]), "what is born counts from 0")
	assert.EqualValues(t, full, ps[0].Coverage[usage.GPUActive])
	// x goes, and z comes with the birth of the driver: no rename.
	m.unplug("x").plug("z", 10).ran("z", 3, 3)
	p := closeWith(t, l, m.pass(10).ran("y", 10, 10))
	assert.Equal(t, amounts4{65e5, 13e6, 1300, 39e5}, gpuAmounts(&p))
	assert.Len(t, p.Devices, 4)
	assert.EqualValues(t, full, p.Coverage[usage.GPUActive], "the time of what is gone is over")
	assert.EqualValues(t, 0, l.Counts().Anomalies)
	// x is back with what it had counted in between.
	m.plug("x", 10)
	m.unplug("z").ran("x", 20+7, 20+7)
	p = closeWith(t, l, m.pass(10).ran("y", 10, 10))
	assert.Equal(t, amounts4{85e5, 17e6, 1700, 51e5}, gpuAmounts(&p))
	assert.EqualValues(t, full, p.Coverage[usage.GPUActive])
}
