package conservation

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// span is which part of a run's life the events of a stream account for.
type span struct{ from, to int64 }

// prove compares the distinct events with the truth.
func (m *metering) prove() {
	t := m.t
	streams := map[uuid.UUID][]*usage.Period{}
	for _, p := range m.kafka {
		streams[p.Stream.ID] = append(streams[p.Stream.ID], p)
	}
	spans := map[string][]span{} // by run
	perInstance := map[string]int{}
	last := map[string]int64{} // by run: up to where it is accounted for
	for _, id := range slices.SortedFunc(maps.Keys(streams), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		ps := streams[id]
		slices.SortFunc(ps, func(a, b *usage.Period) int { return int(a.Sequence) - int(b.Sequence) })
		perInstance[ps[0].Instance.ID]++
		m.proveStream(ps, spans, last)
	}
	for run, ss := range spans {
		slices.SortFunc(ss, func(a, b span) int { return int(min(max(a.from-b.from, -1), 1)) })
		for i := 1; i < len(ss); i++ {
			if ss[i].from < ss[i-1].to {
				t.Fatalf("run %s is billed twice between %d and %d us of its life", run, ss[i].from, ss[i-1].to)
			}
		}
	}
	if m.dropped > 0 {
		return // what is given up is not there
	}
	for run, lived := range m.end {
		if last[run] != lived {
			t.Fatalf("run %s lived for %d us when it was last read, the events account for %d", run, lived, last[run])
		}
	}
	for id, n := range perInstance {
		if most := 1 + m.losses + m.comebacks[id]; n > most {
			t.Fatalf("%d streams of %s, at most %d have a reason", n, id, most)
		}
	}
}

// proveStream checks that the events of a stream hang together and say what was
// counted, run by run.
func (m *metering) proveStream(ps []*usage.Period, spans map[string][]span, last map[string]int64) {
	t := m.t
	holes := m.dropped > 0 || uint64(binary.BigEndian.Uint32(ps[0].Stream.ID[12:])) <= m.lost
	var totals usage.Amounts
	run, base, lived := "", int64(0), int64(0)
	var sum counted
	for i, p := range ps {
		if !holes && (i == 0 && p.FirstSequence() != 1 || i > 0 && p.FirstSequence() != ps[i-1].Sequence+1) {
			t.Fatalf("stream %s: sequence %d (joined %d) does not follow", p.Stream.ID, p.Sequence, p.Joined)
		}
		if holes && i > 0 && p.FirstSequence() <= ps[i-1].Sequence {
			t.Fatalf("stream %s: sequence %d (joined %d) overlaps", p.Stream.ID, p.Sequence, p.Joined)
		}
		if holes {
			continue
		}
		if i > 0 && p.Start != ps[i-1].End {
			t.Fatalf("stream %s: sequence %d does not start where the one before ends", p.Stream.ID, p.Sequence)
		}
		if p.End < p.Start || p.Duration < 0 {
			t.Fatalf("stream %s: sequence %d: [%d, %d) for %d ns", p.Stream.ID, p.Sequence, p.Start, p.End, p.Duration)
		}
		for u := range p.Metered.All() {
			totals[u] += p.Usage[u]
			if p.Usage[u] < 0 || totals[u] != p.Totals[u] {
				t.Fatalf("stream %s: sequence %d: %s is %d, the total %d, want %d", p.Stream.ID, p.Sequence, u, p.Usage[u], p.Totals[u], totals[u])
			}
		}
		if p.Stream.Run != run {
			if run != "" {
				spans[run] = append(spans[run], span{base, lived})
			}
			run, sum = p.Stream.Run, counted{}
			base = 0
			if i == 0 {
				base = m.world.readings[run][p.Stream.Start] // 0 where it was born since
			}
			lived = base
		}
		m.proveDevices(p)
		steal := p.Usage[usage.CPUSteal]
		if p.Quality[usage.CPUTime] == usage.Gap {
			if steal != 0 || gpuCounted(p) != (counted{}) {
				t.Fatalf("stream %s: sequence %d: a gap has usage", p.Stream.ID, p.Sequence)
			}
			continue
		}
		if steal != p.Duration/us {
			t.Fatalf("stream %s: sequence %d accounts for %d us in %d us", p.Stream.ID, p.Sequence, steal, p.Duration/us)
		}
		lived += steal
		sum.cpu += p.Usage[usage.CPUTime]
		sum.transmit += p.Usage[usage.NetworkTransmitBytes]
		sum.disk += p.Usage[usage.DiskReadBytes]
		g := gpuCounted(p)
		sum.driver, sum.samples = sum.driver.plus(g.driver), sum.samples.plus(g.samples)
		now, read := m.world.truth[run][lived]
		was := m.world.truth[run][base]
		if !read {
			t.Fatalf("stream %s: sequence %d ends where nothing was read: run %s, %d us", p.Stream.ID, p.Sequence, run, lived)
		}
		if want := now.minus(was); sum != want {
			t.Fatalf("stream %s: up to sequence %d the events say %s, counted were %s", p.Stream.ID, p.Sequence, sum, want)
		}
	}
	if !holes && run != "" {
		spans[run] = append(spans[run], span{base, lived})
		last[run] = max(last[run], lived)
	}
}

// gpuCounted is what a period says of GPUs.
func gpuCounted(p *usage.Period) (c counted) {
	c.driver = told{p.Usage[usage.GPUEnergy], p.Usage[usage.GPUProvisioned]}
	c.samples = told{p.Usage[usage.GPUActive], p.Usage[usage.GPUMemory]}
	return c
}
