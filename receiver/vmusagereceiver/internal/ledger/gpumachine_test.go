package ledger

import (
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
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

func newLedgerWith(m *machine) *Ledger {
	l := newLedger()
	l.Observe(m.read())
	return l
}
