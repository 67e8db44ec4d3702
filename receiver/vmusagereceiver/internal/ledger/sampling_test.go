package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
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
