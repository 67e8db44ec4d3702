package ledger

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// gpuMachine is a machine with GPUs; what they count a test moves by hand.
func gpuMachine(ids ...string) *machine {
	m := newMachine()
	m.Metered.AddClass(usage.GPU)
	m.Scanned = m.Metered
	for _, id := range ids {
		m.plug(id, 10)
	}
	return m
}

// plug adds a GPU whose counters have that birth.
func (m *machine) plug(id string, birth uint64) *machine {
	for k := range usage.Meter(usage.DeviceMeters) {
		c := reading.Counters{First: usage.GPUActive + k, N: 1, ID: id, Model: "H100", Birth: birth}
		c.Sampled = c.First == usage.GPUActive || c.First == usage.GPUMemory
		m.Counters = append(m.Counters, c)
	}
	m.Flavor.GPUs++
	return m
}

func (m *machine) unplug(id string) *machine {
	kept := m.Counters[:0]
	for _, c := range m.Counters {
		if c.ID != id {
			kept = append(kept, c)
		}
	}
	m.Counters = kept
	m.Flavor.GPUs--
	return m
}

// gpu returns the counters of a GPU, in the order of its meters.
func (m *machine) gpu(id string) (cs []*reading.Counters) {
	for i := range m.Counters {
		if m.Counters[i].ID == id {
			cs = append(cs, &m.Counters[i])
		}
	}
	return cs
}

// ran lets a GPU be allotted for that many seconds, for some of which samples
// speak. In those it was active for half of the time and used 100 MiB.
func (m *machine) ran(id string, seconds, sampled uint64) *machine {
	cs := m.gpu(id)
	cs[0].Values[0] += sampled * 500_000
	cs[1].Values[0] += seconds * 1e6
	cs[2].Values[0] += sampled * 100
	cs[3].Values[0] += seconds * 300_000
	cs[0].Covered += sampled * 1e6
	cs[2].Covered += sampled * 1e6
	return m
}

// reload lets the counters of a GPU begin anew.
func (m *machine) reload(id string, birth uint64) *machine {
	for _, c := range m.gpu(id) {
		c.Birth, c.Values, c.Covered = birth, [usage.DeviceMeters]uint64{}, 0
	}
	return m
}

// steps reads n times, every 10 s.
func (m *machine) steps(l *Ledger, n int, ids ...string) *machine {
	for range n {
		m.pass(10)
		for _, id := range ids {
			m.ran(id, 10, 10)
		}
		l.Observe(m.read())
	}
	return m
}

func gpuAmounts(p *usage.Period) [usage.DeviceMeters]int64 {
	return [usage.DeviceMeters]int64(p.Usage[usage.GPUActive:])
}

func gpuQuality(p *usage.Period) [usage.DeviceMeters]usage.Quality {
	return [usage.DeviceMeters]usage.Quality(p.Quality[usage.GPUActive:])
}

func gpuCoverage(p *usage.Period) [usage.DeviceMeters]int32 {
	return [usage.DeviceMeters]int32(p.Coverage[usage.GPUActive:])
}

const (
	full      = usage.FullCoverage
	measured  = usage.Measured
	recovered = usage.Recovered
	gap       = usage.Gap
)

type (
	amounts4   = [usage.DeviceMeters]int64
	qualities4 = [usage.DeviceMeters]usage.Quality
	coverage4  = [usage.DeviceMeters]int32
)

func TestAGPUIsOneDevice(t *testing.T) {
	l, m := newLedger(), gpuMachine("GPU-b", "GPU-a")
	m.ran("GPU-a", 1000, 1000) // before anybody looked
	l.Observe(m.read())
	m.steps(l, 2, "GPU-a")
	p := closeWith(t, l, m.pass(10).ran("GPU-a", 10, 10).ran("GPU-b", 30, 30))
	want := amounts4{15e6, 30e6, 3000, 9e6}
	assert.Equal(t, []usage.DeviceUsage{
		{Class: usage.GPU, ID: "GPU-a", Model: "H100", Amounts: want},
		{Class: usage.GPU, ID: "GPU-b", Model: "H100", Amounts: want},
	}, p.Devices[2:])
	assert.Equal(t, amounts4{30e6, 60e6, 6000, 18e6}, gpuAmounts(&p))
	assert.Equal(t, p.Usage, p.Totals)
	assert.Equal(t, qualities4{}, gpuQuality(&p))
	assert.EqualValues(t, full, p.Coverage[usage.GPUProvisioned])
}

func TestWhatSamplesSpeakFor(t *testing.T) {
	tests := map[string]struct {
		do       func(t *testing.T, l *Ledger, m *machine) usage.Period // from a reading on
		amounts  amounts4
		quality  qualities4
		coverage coverage4
	}{
		"all of it": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				return closeWith(t, l, m.steps(l, 2, "x").pass(10).ran("x", 10, 10))
			},
			amounts4{15e6, 30e6, 3000, 9e6},
			qualities4{},
			coverage4{full, full, full, full},
		},
		"a part of it": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				return closeWith(t, l, m.steps(l, 2, "x").pass(10).ran("x", 10, 4))
			},
			amounts4{12e6, 30e6, 2400, 9e6},
			qualities4{},
			coverage4{800_000, full, 800_000, full},
		},
		"nothing, though it answers": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 3 {
					l.Observe(m.pass(10).ran("x", 10, 0).read())
				}
				return closeWith(t, l, m.pass(10).ran("x", 10, 0))
			},
			amounts4{0, 40e6, 0, 12e6},
			qualities4{gap, measured, gap, measured},
			coverage4{0, full, 0, full},
		},
		"samples that come late": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				l.Observe(m.pass(10).ran("x", 10, 0).read())
				return closeWith(t, l, m.pass(10).ran("x", 10, 20))
			},
			amounts4{10e6, 20e6, 2000, 6e6},
			qualities4{},
			coverage4{full, full, full, full},
		},
		"half of each interval, for long": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 9 {
					l.Observe(m.pass(10).ran("x", 10, 5).read())
				}
				return closeWith(t, l, m.pass(10).ran("x", 10, 5))
			},
			amounts4{25e6, 100e6, 5000, 30e6},
			qualities4{},
			coverage4{500_000, full, 500_000, full},
		},
		"garbage of how much": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.pass(10).ran("x", 10, 10).gpu("x")[0].Covered = 1 << 63
				return closeWith(t, l, m)
			},
			amounts4{5e6, 10e6, 1000, 3e6},
			qualities4{},
			coverage4{full, full, full, full},
		},
		"it hangs and answers again": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.hang(l, 2)
				return closeWith(t, l, m.pass(10).ran("x", 30, 10))
			},
			amounts4{5e6, 30e6, 1000, 9e6},
			qualities4{},
			coverage4{333_333, 333_333, 333_333, 333_333},
		},
		"it hangs for longer": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.hang(l, 5)
				return closeWith(t, l, m.pass(10).ran("x", 60, 10))
			},
			amounts4{5e6, 60e6, 1000, 18e6},
			qualities4{gap, recovered, gap, recovered},
			coverage4{166_666, 166_666, 166_666, 166_666},
		},
		"the driver is loaded anew": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.steps(l, 1, "x").reload("x", 11)
				return closeWith(t, l, m.pass(10).ran("x", 6, 6))
			},
			amounts4{8e6, 16e6, 1600, 48e5},
			qualities4{},
			coverage4{800_000, full, 800_000, full},
		},
		"an outage of the collector": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.steps(l, 1, "x")
				*l = *reborn(t, l)
				for _, k := range []int{0, 2} { // the new process integrates anew
					c := m.gpu("x")[k]
					c.Birth, c.Values, c.Covered = 11, [usage.DeviceMeters]uint64{}, 0
				}
				l.Observe(m.pass(600).ran("x", 600, 5).read())
				return taken(l)[0]
			},
			amounts4{75e5, 610e6, 1500, 183e6},
			qualities4{gap, recovered, gap, recovered},
			coverage4{24_590, 32_786, 24_590, 32_786},
		},
		"a short outage of the collector": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.steps(l, 1, "x")
				*l = *reborn(t, l)
				for _, k := range []int{0, 2} {
					c := m.gpu("x")[k]
					c.Birth, c.Values, c.Covered = 11, [usage.DeviceMeters]uint64{}, 0
				}
				l.Observe(m.pass(20).ran("x", 20, 5).read())
				return taken(l)[0]
			},
			amounts4{75e5, 30e6, 1500, 9e6},
			qualities4{},
			coverage4{500_000, 666_666, 500_000, 666_666},
		},
		"one of two hangs": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				kept := m.Counters
				m.unplug("y").Flavor.GPUs++
				m.Scanned &^= gpuClass()
				m.steps(l, 3, "x")
				m.Counters = kept
				m.Scanned = m.Metered
				return closeWith(t, l, m.pass(10).ran("x", 10, 10).ran("y", 40, 10))
			},
			amounts4{20e6 + 5e6, 80e6, 5000, 24e6},
			qualities4{measured, recovered, measured, recovered},
			coverage4{625_000, 625_000, 625_000, 625_000},
		},
		"one of two hangs for a moment": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				m.hangs(l, "y", 2, "x")
				return closeWith(t, l, m.pass(10).ran("x", 10, 10).ran("y", 30, 10))
			},
			amounts4{20e6, 60e6, 4000, 18e6},
			qualities4{},
			coverage4{666_666, 666_666, 666_666, 666_666},
		},
		"one of two hangs, and the period closes": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				l.Due()
				m.hangs(l, "y", 1, "x")
				return taken(l)[0]
			},
			amounts4{5e6, 10e6, 1000, 3e6},
			qualities4{},
			coverage4{500_000, 500_000, 500_000, 500_000},
		},
		"the period after an outage of the collector": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.steps(l, 1, "x")
				*l = *reborn(t, l)
				for _, k := range []int{0, 2} {
					c := m.gpu("x")[k]
					c.Birth, c.Values, c.Covered = 11, [usage.DeviceMeters]uint64{}, 0
				}
				assert.Equal(t, qualities4{gap, recovered, gap, recovered}, gpuQuality(new(closeWith(t, l, m.pass(40).ran("x", 40, 0)))))
				// Its samples began a little after that reading, and the first comes later.
				l.Observe(m.pass(1).ran("x", 1, 0).read())
				m.ran("x", 9, 10)
				for _, k := range []int{0, 2} {
					m.gpu("x")[k].Covered -= 2_000
				}
				l.Observe(m.pass(9).read())
				return closeWith(t, l, m.pass(10).ran("x", 10, 10))
			},
			amounts4{10e6, 20e6, 2000, 6e6},
			qualities4{},
			coverage4{999_900, full, 999_900, full},
		},
		"a long gap ends late in a period": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 4 {
					closeWith(t, l, m.pass(10).ran("x", 10, 0))
				}
				return closeWith(t, l, m.pass(10).ran("x", 10, 4))
			},
			amounts4{2e6, 10e6, 400, 3e6},
			qualities4{gap, measured, gap, measured},
			coverage4{400_000, full, 400_000, full},
		},
		"samples of all of a period come late": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 4 {
					closeWith(t, l, m.pass(10).ran("x", 10, 0))
				}
				l.Observe(m.pass(10).ran("x", 10, 0).read())
				return closeWith(t, l, m.pass(10).ran("x", 10, 25)) // the driver kept so many
			},
			amounts4{125e5, 20e6, 2500, 6e6},
			qualities4{},
			coverage4{full, full, full, full},
		},
		"samples of most of a long gap come late": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 5 {
					l.Observe(m.pass(10).ran("x", 10, 0).read())
				}
				return closeWith(t, l, m.pass(10).ran("x", 10, 16))
			},
			amounts4{8e6, 60e6, 1600, 18e6},
			qualities4{gap, measured, gap, measured},
			coverage4{266_666, full, 266_666, full},
		},
		"a short period of a long gap": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				for range 4 {
					closeWith(t, l, m.pass(10).ran("x", 10, 0))
				}
				return closeWith(t, l, m.pass(2).ran("x", 2, 0))
			},
			amounts4{0, 2e6, 0, 6e5},
			qualities4{gap, measured, gap, measured},
			coverage4{0, full, 0, full},
		},
		"another one offers no utilization": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				m.lacks("y", usage.GPUActive)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				return closeWith(t, l, m.pass(10).ran("x", 10, 10).ran("y", 10, 10))
			},
			amounts4{5e6, 20e6, 2000, 6e6},
			qualities4{gap, measured, measured, measured},
			coverage4{500_000, full, full, full},
		},
		"another one offers no energy, and hangs": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				m.lacks("y", usage.GPUEnergy)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				m.hangs(l, "y", 2, "x")
				return closeWith(t, l, m.pass(10).ran("x", 10, 10).ran("y", 30, 10))
			},
			amounts4{20e6, 60e6, 4000, 9e6},
			qualities4{measured, measured, measured, gap},
			coverage4{666_666, 666_666, 666_666, 500_000},
		},
		"it offers energy later on": {
			func(t *testing.T, l *Ledger, m *machine) usage.Period {
				m.plug("y", 12)
				m.lacks("y", usage.GPUEnergy)
				closeWith(t, l, m.pass(10).ran("x", 10, 10))
				m.gpu("y")[3].Unknown = false
				l.Observe(m.ran("x", 10, 10).pass(10).ran("y", 10, 10).read())
				return closeWith(t, l, m.ran("x", 10, 10).pass(10).ran("y", 10, 10))
			},
			amounts4{20e6, 40e6, 4000, 9e6},
			qualities4{},
			coverage4{full, full, full, full},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, m := newLedger(), gpuMachine("x")
			l.Observe(m.ran("x", 77, 77).read())
			p := tt.do(t, l, m)
			assert.Equal(t, tt.amounts, gpuAmounts(&p), "amounts")
			assert.Equal(t, tt.quality, gpuQuality(&p), "quality")
			assert.Equal(t, tt.coverage, gpuCoverage(&p), "coverage")
		})
	}
}

func gpuClass() (s usage.MeterSet) {
	s.AddClass(usage.GPU)
	return s
}

// hang reads n times while no GPU answers.
func (m *machine) hang(l *Ledger, n int) {
	all := m.Counters
	m.Counters = nil
	for _, c := range all {
		if c.First < usage.GPUActive {
			m.Counters = append(m.Counters, c)
		}
	}
	m.Scanned &^= gpuClass()
	for range n {
		l.Observe(m.pass(10).read())
	}
	m.Counters, m.Scanned = all, m.Metered
}

// hangs reads n times while one GPU does not answer, and others do.
func (m *machine) hangs(l *Ledger, id string, n int, others ...string) {
	all := m.Counters
	m.Counters = slices.DeleteFunc(slices.Clone(all), func(c reading.Counters) bool { return c.ID == id })
	m.Scanned &^= gpuClass()
	m.steps(l, n, others...)
	for _, other := range others {
		for k, c := range m.gpu(other) {
			for i := range all {
				if all[i].ID == other && all[i].First == usage.GPU.Meter(k) {
					all[i] = *c
				}
			}
		}
	}
	m.Counters, m.Scanned = all, m.Metered
}

// lacks lets a GPU not offer a meter.
func (m *machine) lacks(id string, meter usage.Meter) {
	for _, c := range m.gpu(id) {
		if c.First == meter {
			c.Unknown, c.Sampled = true, false
		}
	}
}

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

func TestAWindowOfASampleBeginsBeforeTheReading(t *testing.T) {
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	x := m.gpu("x")[0]
	for _, us := range []uint64{9_900_000, 10_050_000, 9_980_000} {
		x.Covered += us
		l.Observe(m.pass(10).read())
	}
	p := closeWith(t, l, m)
	assert.InDelta(t, full, p.Coverage[usage.GPUActive], 3000)
	assert.Equal(t, measured, p.Quality[usage.GPUActive])
}

func TestGPUUtilization(t *testing.T) {
	l, m := newLedger(), gpuMachine("x", "y")
	var told []int64
	l.settings.Sampled = func(_ string, _ reading.Instant, _ int64, ppm [usage.NumUtilizations]int64) {
		told = append(told, ppm[usage.GPUUtilization])
	}
	l.Observe(m.read())
	step := func(x, y uint64) {
		for id, v := range map[string]uint64{"x": x, "y": y} {
			c := m.gpu(id)[0]
			c.Values[0] += v
			c.Covered += 10e6
		}
		l.Observe(m.pass(10).read())
	}
	step(10e6, 5e6)
	step(0, 5e6)
	m.hang(l, 1)
	p := closeWith(t, l, m)
	assert.Equal(t, []int64{750_000, 250_000, unknown}, told)
	assert.Equal(t, usage.Statistic{Avg: 500_000, Max: 750_000, Valid: true}, p.Stats[usage.GPUUtilization])

	// A cumulative counter of active time speaks for all the time.
	l, m = newLedger(), gpuMachine("x")
	m.gpu("x")[0].Sampled = false
	l.Observe(m.read())
	m.gpu("x")[0].Values[0] += 1e6
	p = closeWith(t, l, m.pass(10))
	assert.EqualValues(t, 100_000, p.Stats[usage.GPUUtilization].Avg)
	assert.EqualValues(t, full, p.Coverage[usage.GPUActive])
	assert.False(t, closeWith(t, newLedgerWith(newMachine()), newMachine().pass(10)).Stats[usage.GPUUtilization].Valid, "no GPU")
}

func newLedgerWith(m *machine) *Ledger {
	l := newLedger()
	l.Observe(m.read())
	return l
}

func TestSampledOrCumulativeMayChange(t *testing.T) {
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	m.gpu("x")[0].Sampled = false
	l.Observe(m.pass(100).ran("x", 100, 50).read())
	p := closeWith(t, l, m)
	assert.Equal(t, qualities4{recovered, recovered, gap, recovered}, gpuQuality(&p))
	m.gpu("x")[0].Sampled = true
	l.Observe(m.pass(10).ran("x", 10, 10).read())
	p = closeWith(t, l, m.pass(10).ran("x", 10, 5))
	assert.EqualValues(t, 75e5, p.Usage[usage.GPUActive])
	assert.EqualValues(t, 500_000, p.Coverage[usage.GPUActive], "of the time since it is sampled")
}

// TestStateBeforeSampling restores a state that knows no GPU and one that does.
func TestStateBeforeSampling(t *testing.T) {
	format := func(l *Ledger) (byte, Snapshot) {
		var s Snapshot
		l.Snapshot(&s)
		return s.Shards[0][len("VMUS")+1], s
	}
	old, _ := format(newLedgerWith(newMachine()))
	assert.EqualValues(t, wire.FormatBase, old, "what has no such counters is read by the version before, too")
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	m.steps(l, 1, "x")
	_, s := format(l)
	next := newLedger()
	require.NoError(t, next.Restore(s.Shards[0]))
	f, again := format(next)
	assert.EqualValues(t, wire.FormatSampled, f)
	assert.Equal(t, s, again)
	assert.Equal(t, l.accounts["vm-1"].apart, next.accounts["vm-1"].apart)
}

func TestObserveOfGPUsDoesNotAllocate(t *testing.T) {
	l, m := newLedger(), gpuMachine("x", "y")
	l.Observe(m.read())
	l.Observe(m.pass(1).read())
	assert.Zero(t, testing.AllocsPerRun(100, func() { l.Observe(m.pass(1).read()) }))
}

// BenchmarkObserveGPUs is BenchmarkObserve of a machine with eight GPUs.
func BenchmarkObserveGPUs(b *testing.B) {
	l, m := newLedger(), gpuMachine("0", "1", "2", "3", "4", "5", "6", "7")
	l.Observe(m.read())
	b.ReportAllocs()
	for b.Loop() {
		for i := range m.Counters {
			if c := &m.Counters[i]; c.Sampled {
				c.Values[0] += 500_000
				c.Covered += 1_000_000
			}
		}
		l.Observe(m.pass(1).read())
	}
}

// TestAStateOfFormat1 goes on from what the first version wrote.
func TestAStateOfFormat1(t *testing.T) {
	shard, err := os.ReadFile("testdata/accounts-format-1.bin")
	require.NoError(t, err)
	l, m := newLedger(), newMachine()
	require.NoError(t, l.Restore(shard))
	var s Snapshot
	l.Snapshot(&s)
	assert.Equal(t, shard, s.Shards[0], "it is written as it was")
	m.plug("x", 10)
	m.Metered.AddClass(usage.GPU)
	m.Scanned = m.Metered
	l.Observe(m.pass(50).use("cpu", 1000).ran("x", 60, 60).read())
	p := taken(l)[0]
	assert.EqualValues(t, 2, p.Sequence)
	assert.EqualValues(t, 1000, p.Totals[usage.CPUTime])
	assert.Equal(t, amounts4{}, gpuAmounts(&p), "it may have been there before")
	p = closeWith(t, l, m.pass(10).ran("x", 10, 10))
	assert.Equal(t, amounts4{5e6, 10e6, 1000, 3e6}, gpuAmounts(&p))
}
