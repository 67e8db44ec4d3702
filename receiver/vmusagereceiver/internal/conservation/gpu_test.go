package conservation

import (
	"fmt"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A gpu is one GPU of a machine. Energy and allotted time are the driver's: they
// go on through crashes, and begin anew when it is loaded. Active time and memory
// the process integrates from samples: they begin anew with it, and what they had
// come to since the last checkpoint goes with a crash.
type gpu struct {
	id      string
	lacks   usage.MeterSet // what it does not offer
	plugged bool
	hangs   bool // it does not answer
	read    bool // nothing is used before somebody looks: how old the values are, nobody knows
	load    uint64
	began   uint64
	driver  told // what its counters say
	samples told
	covered int64 // us
	known   bool  // it was in the last full scan
	last    told  // what its counters said in the last reading that had it
	told    told  // what its samples had come to then
}

// told is what GPUs count: energy and time, or active time and memory.
type told [2]int64

func (t told) plus(o told) told  { return told{t[0] + o[0], t[1] + o[1]} }
func (t told) minus(o told) told { return told{t[0] - o[0], t[1] - o[1]} }

// newGPUs has one GPU that is there and one that may come. Not all of b and c offer
// all meters.
func newGPUs(w *world, id string) []*gpu {
	gs := []*gpu{
		{id: id + "-0", plugged: true, load: w.birth(), began: w.birth()},
		{id: id + "-1", load: w.birth(), began: w.birth()},
	}
	switch id {
	case "b":
		gs[1].lacks = lacking
	case "c":
		gs[0].lacks = lacking
	}
	return gs
}

// lacking is what some GPUs do not offer.
const lacking usage.MeterSet = 1<<usage.GPUActive | 1<<usage.GPUEnergy

// pass lets a GPU work. While it hangs, nobody gets its samples.
func (g *gpu) pass(micros, amount int64) {
	if !g.plugged || !g.read {
		return
	}
	d, s := told{amount, micros}, told{min(amount, micros), amount}
	if g.lacks != 0 {
		d[0], s[0] = 0, 0
	}
	g.driver = g.driver.plus(d)
	if !g.hangs {
		g.samples = g.samples.plus(s)
		g.covered += micros
	}
}

// deliver adds to the truth what a reading tells of the GPUs.
func (m *machine) deliver() {
	for _, g := range m.gpus {
		if g.hangs {
			continue
		}
		if !g.plugged {
			g.known = false
			continue
		}
		if g.known {
			m.driver = m.driver.plus(g.driver.minus(g.last))
		}
		m.samples = m.samples.plus(g.samples.minus(g.told))
		g.last, g.told, g.known, g.read = g.driver, g.samples, true, true
	}
}

// gpuReading adds what the GPUs say to a reading.
func (m *machine) gpuReading(r *reading.Reading) {
	r.Scanned.AddClass(usage.GPU)
	for _, g := range m.gpus {
		if !g.plugged {
			continue
		}
		r.Flavor.GPUs++
		if g.hangs {
			r.Scanned &= 1<<usage.GPU.Meter(0) - 1
			continue
		}
		add := func(c reading.Counters, v int64) {
			c.N, c.ID, c.Values[0] = 1, g.id, uint64(v)
			if c.Unknown = g.lacks.Has(c.First); c.Unknown {
				c.Sampled, c.Values[0] = false, 1<<60 // nobody looks at it
			} else {
				r.Metered.Add(c.First)
			}
			r.Counters = append(r.Counters, c)
		}
		covered := uint64(g.covered)
		add(reading.Counters{First: usage.GPUActive, Birth: g.began, Sampled: true, Covered: covered}, g.samples[0])
		add(reading.Counters{First: usage.GPUProvisioned, Birth: g.load, FromFirst: true}, g.driver[1])
		add(reading.Counters{First: usage.GPUMemory, Birth: g.began, Sampled: true, Covered: covered}, g.samples[1])
		add(reading.Counters{First: usage.GPUEnergy, Birth: g.load, FromFirst: true, Resets: true}, g.driver[0])
	}
}

// begin lets the integrals of a GPU begin anew, and with the driver all else, too.
func (g *gpu) begin(w *world, reload bool) {
	g.began, g.samples, g.told, g.covered = w.birth(), told{}, told{}, 0
	if reload {
		g.load, g.driver, g.last = w.birth(), told{}, told{}
	}
}

// saved is what a checkpoint has of a machine.
type saved struct {
	counted
	last [2]told   // by GPU: what its driver had said
	load [2]uint64 // and which load of it
}

func (m *machine) save() saved {
	s := saved{counted: m.counted}
	for i, g := range m.gpus {
		s.last[i], s.load[i] = g.last, g.load
	}
	return s
}

// restartProcess is what a crash does to GPUs, of which the storage knows up to
// durable. A run that it does not know begins anew for whoever reads it next.
func (w *world) restartProcess(durable map[string]saved) {
	for _, m := range w.machines {
		s, known := durable[m.run]
		m.driver, m.samples = s.driver, s.samples
		for i, g := range m.gpus {
			g.hangs = g.hangs && known
			g.begin(w, !known)
			g.last, g.read = told{}, g.read && known
			if g.load == s.load[i] {
				g.last = s.last[i]
			}
		}
	}
}

// reload loads the driver anew, right after a reading that is written.
func (w *world) reload() {
	for _, m := range w.machines {
		for _, g := range m.gpus {
			g.begin(w, true)
		}
	}
}

// hang lets a GPU of a machine hang, or answer again.
func (w *world) hang(id string, n int, hangs bool) {
	if m := w.machines[id]; m != nil && (!hangs || m.gpus[n].read && m.gpus[n].plugged) {
		m.gpus[n].hangs = hangs
	}
}

func (w *world) answer() {
	for _, m := range w.machines {
		for _, g := range m.gpus {
			g.hangs = false
		}
	}
}

// replugGPU plugs the second GPU of each machine in or out. Who had it in between
// used it, too.
func (w *world) replugGPU() {
	for _, m := range w.machines {
		g := m.gpus[1]
		if g.plugged = !g.plugged; g.plugged {
			g.begin(w, false)
			g.driver = g.driver.plus(told{1_000_003, 77_000_001})
		}
	}
}

// proveDevices checks that a period's devices are in order, each once, and add up,
// and that what one of them does not offer is not taken for nothing.
func (m *metering) proveDevices(p *usage.Period) {
	var sum usage.Amounts
	for i, d := range p.Devices {
		for k, v := range d.Amounts {
			sum[d.Class.Meter(k)] += v
		}
		if i > 0 {
			if was := p.Devices[i-1]; was.Class > d.Class || was.Class == d.Class && was.ID >= d.ID {
				m.t.Fatalf("stream %s: sequence %d: %s after %s", p.Stream.ID, p.Sequence, d.ID, was.ID)
			}
		}
	}
	for u := usage.DiskReadBytes; u < usage.NumMeters; u++ {
		if p.Usage[u] != sum[u] {
			m.t.Fatalf("stream %s: sequence %d: %s is %d, of devices %d", p.Stream.ID, p.Sequence, u, p.Usage[u], sum[u])
		}
	}
	for _, d := range p.Devices {
		if d.Class != usage.GPU || d.ID != "b-1" && d.ID != "c-0" || d.Amounts[1] == 0 {
			continue
		}
		for u := range lacking.All() {
			if p.Metered.Has(u) && (p.Quality[u] != usage.Gap || p.Coverage[u] == usage.FullCoverage) {
				m.t.Fatalf("stream %s: sequence %d: %s is %s, covered to %d, and %s does not offer it",
					p.Stream.ID, p.Sequence, u, p.Quality[u], p.Coverage[u], d.ID)
			}
		}
	}
	for u := usage.GPUActive; u < usage.NumMeters; u++ {
		if !p.Metered.Has(u) && p.Usage[u] != 0 {
			m.t.Fatalf("stream %s: sequence %d: %s is %d, and not metered", p.Stream.ID, p.Sequence, u, p.Usage[u])
		}
	}
	for _, u := range []usage.Meter{usage.GPUActive, usage.GPUMemory} {
		if p.Quality[u] == usage.Recovered || p.Coverage[u] < 0 || p.Coverage[u] > usage.FullCoverage {
			m.t.Fatalf("stream %s: sequence %d: %s is %s, covered to %d", p.Stream.ID, p.Sequence, u, p.Quality[u], p.Coverage[u])
		}
	}
}

// String is what a failure shows.
func (c counted) String() string {
	return fmt.Sprintf("cpu %d, transmit %d, disk %d, GPU energy %d, allotted %d, active %d, memory %d",
		c.cpu, c.transmit, c.disk, c.driver[0], c.driver[1], c.samples[0], c.samples[1])
}

func (c counted) minus(o counted) counted {
	return counted{c.cpu - o.cpu, c.transmit - o.transmit, c.disk - o.disk, c.driver.minus(o.driver), c.samples.minus(o.samples)}
}
