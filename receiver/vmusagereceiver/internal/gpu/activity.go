package gpu

import (
	"cmp"
	"slices"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	// maxHold is how long, in us, one utilization sample may speak for. NVML samples
	// over windows of 1/6 s to 1 s ("nvmlUtilization_t"); more than two of the
	// longest between two samples are a gap.
	maxHold = 2_000_000
	// firstWindow is the window of a sample that follows a gap, in us, before two
	// samples have told how far apart they are: the shortest one, so that nothing
	// is billed that was not seen.
	firstWindow = 1_000_000 / 6
	longWindow  = 1_000_000
	// shortWindow is what tells a window from samples that are hardly apart.
	shortWindow = 1_000
	// slack is by how much a timestamp may lie in the future, in us, and the wall
	// clock move against CLOCK_BOOTTIME between two polls without having been set.
	slack = 100_000
)

// Garbage counts samples that were ignored, by what was wrong with them.
type Garbage struct {
	Value  int64 // above 100
	Zero   int64 // no timestamp
	Stale  int64 // not after the last one: repeated, out of order, or of the past
	Future int64
}

func (g *Garbage) add(o Garbage) {
	g.Value += o.Value
	g.Zero += o.Zero
	g.Stale += o.Stale
	g.Future += o.Future
}

// activity integrates utilization samples into active time. Each sample's value
// holds for the time since the one before; the first one after a gap only for
// its own window. All of it is in integers: nothing is rounded away.
type activity struct {
	active  uint64 // percent times us, since metering began
	covered uint64 // us for which there were samples
	last    uint64 // unix us up to which samples are accounted for
	window  uint64 // us between the last two samples
	offset  int64  // ns between wall clock and CLOCK_BOOTTIME at the last poll
}

// begin starts at that instant: what a sample says of the time before is not counted.
func (a *activity) begin(at reading.Instant) {
	*a = activity{last: micros(at.Wall), window: firstWindow, offset: at.Wall - at.Boot}
}

// micros returns the wall clock in unix us.
func micros(wall int64) uint64 { return uint64(max(wall, 0)) / 1000 }

// add integrates the samples that a poll at that instant returned. It sorts them.
func (a *activity) add(at reading.Instant, samples []Sample) (g Garbage) {
	a.follow(at)
	slices.SortStableFunc(samples, func(x, y Sample) int { return cmp.Compare(x.At, y.At) })
	now := micros(at.Wall)
	for _, s := range samples {
		switch {
		case s.At == 0:
			g.Zero++
		case s.At > now+slack:
			g.Future++
		case s.At <= a.last:
			g.Stale++
		case s.Value > 100:
			// Nobody knows that window: the next value does not speak for it.
			g.Value++
			a.last = min(s.At, now)
		default:
			a.take(s)
		}
	}
	return g
}

func (a *activity) take(s Sample) {
	d := s.At - a.last
	if d > maxHold {
		d = a.window
	} else if d >= shortWindow {
		a.window = min(d, longWindow)
	}
	a.active += s.Value * d
	a.covered += d
	a.last = s.At
}

// point adds a single point of utilization that a poll at that instant returned,
// where the driver has no samples: it holds for the time since the last poll, at
// most for hold us.
func (a *activity) point(at reading.Instant, percent uint32, hold uint64) (g Garbage) {
	a.follow(at)
	now := micros(at.Wall)
	switch {
	case percent > 100:
		g.Value++
		return g
	case now <= a.last:
		return g
	}
	d := min(now-a.last, hold)
	a.active += uint64(percent) * d
	a.covered += d
	a.last = now
	return g
}

// follow moves the last timestamp along where the wall clock was set, since the
// driver stamps its samples with that. What it had stamped before counts as
// stale or of the future: a poll's worth of time is not covered.
func (a *activity) follow(at reading.Instant) {
	offset := at.Wall - at.Boot
	step := (offset - a.offset) / 1000
	a.offset = offset
	if step > slack || step < -slack {
		a.last = uint64(max(int64(a.last)+step, 0)) //nolint:gosec // unix us fit into 63 bits
	}
}

// micros is the active time so far, and up to which it could be known.
func (a *activity) micros() (active, covered uint64) { return a.active / 100, a.covered }

// A ceiling lets a cumulative value grow by no more than the time that passed:
// what is beyond is carried to the next report, and never lost.
type ceiling struct {
	value uint64 // reported so far, us
	at    int64  // ns of CLOCK_BOOTTIME
}

// report returns what may be said at that instant of a value that came to v.
func (c *ceiling) report(boot int64, v uint64) uint64 {
	passed := max(boot-c.at, 0) / 1000
	c.at += passed * 1000
	if v > c.value {
		c.value += min(v-c.value, uint64(passed))
	}
	return c.value
}
