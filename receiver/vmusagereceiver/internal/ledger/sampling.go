package ledger

import (
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A sampling is for how much of its own time a counter speaks. GPUs have one for
// each counter, since one may hang while others of its class answer; the rest of
// a class is read together, and its group says what was sampled.
//
// A counter's time begins when it is first seen and ends when a full scan does
// not find it. The coverage of a meter is the share of the time of all its
// counters for which they spoke, and its quality the worst of theirs:
//
//   - What is cumulative speaks for the time since its last reading. One that did
//     not answer for longer than a level would hold is recovered once it answers.
//   - An integral of samples (reading.Counters whose Sampled is set) speaks for
//     what Covered says. Samples of before that come late count, up to the whole.
//     Where there were none for longer than a level would hold, a part of the
//     period is not known: its quality is gap, with what was counted. No counter
//     survived that could recover it. The last bit of a gap, up to the first sample
//     after it, is no gap of a period of which the rest is known.
//   - What the thing does not offer (Unknown) is a gap for all of its time.
type sampling struct {
	kind     samplingKind
	covered  uint64 // us; Covered of the last reading that had it
	at       int64  // CLOCK_BOOTTIME ns up to which the time is accounted for
	blind    int64  // ns for which nothing is known, up to at
	grown    int64  // ns of the open period for which it spoke
	expected int64  // ns of the open period for which it should have
	dark     int64  // ns of the open period in which nothing was known for longer than a level holds
}

type samplingKind uint8

const (
	integral samplingKind = iota
	cumulative
	unknownAmount
)

func kindOf(rc *reading.Counters) samplingKind {
	switch {
	case rc.Unknown:
		return unknownAmount
	case rc.Sampled:
		return integral
	}
	return cumulative
}

// apart reports whether a counter accounts for its time by itself.
func apart(rc *reading.Counters) bool {
	return rc.Sampled || rc.Unknown || rc.First >= usage.GPU.Meter(0)
}

// beginSampling is for what is seen for the first time, at that instant. One that
// was born since the last reading has its time from as long ago as it says.
func (a *account) beginSampling(rc *reading.Counters, at int64, old bool) *sampling {
	a.apart.Add(rc.First)
	s := &sampling{kind: kindOf(rc), at: at}
	switch {
	case s.kind == integral && old:
		s.covered = rc.Covered
	case s.kind == integral:
		s.at = max(at-nanos(rc.Covered, at-a.last.Boot), a.last.Boot)
	case s.kind == cumulative && !old:
		s.at = a.last.Boot
	}
	return s
}

// nanos returns us in ns, at most that many: garbage is not believed.
func nanos(us uint64, most int64) int64 {
	return int64(min(us, uint64(max(most, 0))/nanosPerMicro)) * nanosPerMicro //nolint:gosec // less than most
}

// follow adds what c speaks for in a reading at that instant.
func (a *account) follow(c *counter, rc *reading.Counters, now, interval int64) {
	s := c.sampling
	if s == nil {
		c.sampling = a.beginSampling(rc, now, true)
		return
	}
	if k := kindOf(rc); k != s.kind {
		s.kind = k
		if k == integral { // what it says of the time before is not known
			s.at, s.blind, s.covered = max(s.at, now), 0, rc.Covered
			return
		}
	}
	switch s.kind {
	case integral:
		a.followSamples(c, rc, now, interval)
	case cumulative:
		if c.absent {
			s.at, s.blind = max(s.at, now), 0
		}
		a.caughtUp(c, s.pass(now), interval)
	case unknownAmount:
		if c.absent {
			s.at = max(s.at, now)
		}
		a.never(c, s.pass(now))
	}
}

// pass accounts for the time up to now, and returns how much that is.
func (s *sampling) pass(now int64) int64 {
	step := max(now-s.at, 0)
	s.at += step
	s.expected += step
	return step
}

// followSamples is follow for an integral.
func (a *account) followSamples(c *counter, rc *reading.Counters, now, interval int64) {
	s := c.sampling
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
	step := s.pass(now)
	grown := nanos(fresh, step+s.blind+interval)
	s.grown += grown
	if rc.First == usage.GPUActive {
		a.spoken += grown / nanosPerMicro
	}
	s.blind = max(s.blind+step-grown, 0) // the driver forgets the oldest ones
	if grown > 0 {
		s.darken(interval)
		s.blind = 0 // samples have come up to now
	}
}

// darken adds what is blind to the time of the open period that is not known.
func (s *sampling) darken(interval int64) {
	if s.blind > holds*interval {
		s.dark += min(s.blind, max(s.expected-s.grown, 0))
	}
}

// caughtUp is for a cumulative counter that answers. As with a group, an
// interval's worth was sampled where readings are missing.
func (a *account) caughtUp(c *counter, step, interval int64) {
	s := c.sampling
	d := step + s.blind
	s.blind = 0
	if d <= interval+interval/2 {
		s.grown += d
		return
	}
	s.grown += interval
	if d > holds*interval {
		a.worsen(c, usage.Recovered)
	}
}

// unanswered is for a reading without c, which may be there all the same: the
// driver does not answer, or the class was not scanned in full.
func (a *account) unanswered(c *counter, now int64) {
	step := c.sampling.pass(now)
	switch c.sampling.kind {
	case integral, cumulative:
		c.sampling.blind += step
	case unknownAmount:
		a.never(c, step)
	}
}

// never says that nobody will know what c came to in d ns.
func (a *account) never(c *counter, d int64) {
	c.sampling.blind += d
	if d > 0 {
		a.worsen(c, usage.Gap)
	}
}

func (a *account) worsen(c *counter, q usage.Quality) {
	a.open.Quality[c.first] = max(a.open.Quality[c.first], q)
}

// together is for a counter whose time is that of its group from this reading on.
func (a *account) together(c *counter) {
	c.sampling, a.apart = nil, 0
	for i := range a.counters {
		if a.counters[i].sampling != nil {
			a.apart.Add(a.counters[i].first)
		}
	}
}

// coverApart sets the coverage of meters whose counters account for their time by
// themselves, and which of them have a gap, and begins the next period.
func (a *account) coverApart(p *usage.Period, interval int64) {
	if a.apart == 0 {
		return
	}
	var grown, expected [usage.NumMeters]int64
	for i := range a.counters {
		if s := a.counters[i].sampling; s != nil {
			m := a.counters[i].first
			if s.kind == integral {
				s.darken(interval)
				if s.dark > interval/2 || s.dark > 0 && s.grown == 0 {
					p.Quality[m] = max(p.Quality[m], usage.Gap)
				}
			}
			grown[m] += min(s.grown, s.expected)
			expected[m] += s.expected
			s.grown, s.expected, s.dark = 0, 0, 0
		}
	}
	for m := range a.apart.All() {
		if p.Metered.Has(m) && expected[m] > 0 {
			p.Coverage[m] = coverage(grown[m], expected[m])
		}
	}
}
