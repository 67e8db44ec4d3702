package ledger

import (
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A sampling is for how much time an integral of samples speaks: reading.Counters
// whose Sampled is set. What was integrated is counted as any difference is; how
// good it is follows from Covered alone:
//
//   - The coverage of the meter is the share of the time of its devices for which
//     there were samples. A device's time begins when it is first seen and ends
//     when a full scan does not find it. Samples of before that come late count,
//     up to the whole.
//   - Where there were no samples for longer than a level would hold, a part of
//     the period is not known: its quality is gap, with what was counted. No
//     counter survived that could recover it.
type sampling struct {
	covered  uint64 // us; Covered of the last reading that had it
	at       int64  // CLOCK_BOOTTIME ns up to which the time is accounted for
	blind    int64  // ns without samples, up to at
	grown    int64  // ns of the open period for which there were samples
	expected int64  // ns of the open period for which there should be
}

// beginSampling is for what is seen for the first time, at that instant. One that
// was born since the last reading has its time from as long ago as its samples say.
func (a *account) beginSampling(rc *reading.Counters, at int64, old bool) *sampling {
	a.integrals.Add(rc.First)
	if old {
		return &sampling{covered: rc.Covered, at: at}
	}
	return &sampling{at: max(at-nanos(rc.Covered, at-a.last.Boot), a.last.Boot)}
}

// nanos returns us in ns, at most that many: garbage is not believed.
func nanos(us uint64, most int64) int64 {
	return int64(min(us, uint64(max(most, 0))/nanosPerMicro)) * nanosPerMicro //nolint:gosec // less than most
}

// follow adds what the samples of c speak for in a reading at that instant.
func (a *account) follow(c *counter, rc *reading.Counters, now, interval int64) {
	s := c.sampling
	if s == nil { // it was cumulative before
		c.sampling = a.beginSampling(rc, now, true)
		return
	}
	if c.birth != rc.Birth {
		s.covered = 0
	}
	fresh := rc.Covered - min(s.covered, rc.Covered) // one that fell is held, as values are
	s.covered = max(s.covered, rc.Covered)
	if c.absent {
		// It was not there: its time goes on as that of a new one begins.
		s.at, s.blind = max(now-nanos(fresh, now-a.last.Boot), a.last.Boot), 0
	}
	// Up to all that was missed may come late, and samples have windows of their
	// own, which begin before the last reading.
	step := max(now-s.at, 0)
	grown := nanos(fresh, step+s.blind+interval)
	s.at = max(s.at, now)
	s.expected += step
	s.grown += grown
	if rc.First == usage.GPUActive {
		a.spoken += grown / nanosPerMicro
	}
	if step > grown {
		a.missing(c, step-grown, interval)
	}
	if grown > 0 {
		s.blind = 0 // samples have come up to now
	}
}

// cumulate is for what is a cumulative counter from this reading on.
func (a *account) cumulate(c *counter) {
	c.sampling, a.integrals = nil, 0
	for i := range a.counters {
		if a.counters[i].sampling != nil {
			a.integrals.Add(a.counters[i].first)
		}
	}
}

// blind is for a reading without c, which may be there all the same: the driver
// does not answer, or the class was not scanned in full.
func (a *account) blind(c *counter, now, interval int64) {
	s := c.sampling
	step := max(now-s.at, 0)
	s.at = max(s.at, now)
	s.expected += step
	a.missing(c, step, interval)
}

// missing says that there were no samples of c for another d ns.
func (a *account) missing(c *counter, d, interval int64) {
	c.sampling.blind += d
	if c.sampling.blind > holds*interval {
		a.open.Quality[c.first] = max(a.open.Quality[c.first], usage.Gap)
	}
}

// sampledCoverage sets the coverage of meters that are integrated from samples,
// and begins the next period.
func (a *account) sampledCoverage(p *usage.Period) {
	if a.integrals == 0 {
		return
	}
	var grown, expected [usage.NumMeters]int64
	for i := range a.counters {
		if s := a.counters[i].sampling; s != nil {
			m := a.counters[i].first
			grown[m] += min(s.grown, s.expected)
			expected[m] += s.expected
			s.grown, s.expected = 0, 0
		}
	}
	for m := range a.integrals.All() {
		if p.Metered.Has(m) && expected[m] > 0 {
			p.Coverage[m] = coverage(grown[m], expected[m])
		}
	}
}
