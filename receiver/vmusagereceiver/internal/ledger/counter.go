package ledger

import (
	"math"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A counter is what is remembered of one group of cumulative counters.
type counter struct {
	first  usage.Meter
	id     string
	model  string
	birth  uint64
	last   [usage.DeviceMeters]uint64
	used   [usage.DeviceMeters]int64 // in the open period
	absent bool                      // not in the last scan; kept, since it may come back with the same birth
	seen   bool                      // in the reading at hand

	base bool // no value was ever known: the first one is what it counts from

	sampling *sampling // nil where its time is that of its group
}

// maxAbsent bounds how many counters of things that are gone are kept for an
// instance. Past it the one that was seen first is forgotten.
const maxAbsent = 256

// firstSight returns the counter of something that is in no earlier reading. In
// a class that was scanned before it was born since, and counts from 0;
// otherwise nobody knows how old it is, and it counts from its first value. That
// is so at the first reading of a process, too: it may be configured to count
// what the last one did not.
func (a *account) firstSight(rc *reading.Counters, at int64) counter {
	c := counter{first: rc.First, id: rc.ID, model: rc.Model, birth: rc.Birth}
	old := !a.scanned.Has(rc.First) || a.restored || rc.FromFirst
	if old {
		c.last = rc.Values
	}
	c.base = rc.Unknown
	if apart(rc) {
		c.sampling = a.beginSampling(rc, at, old)
	}
	return c
}

// count adds the differences of all counters in the reading to the open period.
func (a *account) count(r *reading.Reading, interval int64, counts *Counts) {
	now := r.At.Boot
	a.spoken = 0
	for i := range a.counters {
		a.counters[i].seen = false
	}
	passed := [numGroups]int64{}
	for g := range passed {
		passed[g] = now - a.groups[g]
	}
	for i := range r.Counters {
		rc := &r.Counters[i]
		c := a.find(i, rc)
		if c == nil {
			c = a.renamed(r, rc)
		}
		if c == nil {
			a.counters = append(a.counters, a.firstSight(rc, now))
			c = &a.counters[len(a.counters)-1]
		}
		if rc.First == usage.GPUActive && kindOf(rc) == cumulative {
			a.spoken += (now - a.last.Boot) / nanosPerMicro
		}
		dt := max(passed[groupOf(rc.First)], now-a.last.Boot)
		switch {
		case apart(rc):
			if c.sampling != nil {
				dt = max(now-c.sampling.at+c.sampling.blind, now-a.last.Boot)
			}
			a.follow(c, rc, now, interval)
		case c.sampling != nil:
			a.together(c)
		}
		a.difference(c, rc, dt, counts)
	}
	for g := groupCPU; g < numGroups; g++ {
		if g != groupMemory && g != groupStorage && r.Scanned.Has(meterOf(g)) {
			a.cover(g, now, interval, usage.Recovered)
		}
	}
	a.settle(r)
	a.restored = false
}

// meterOf returns a meter of a group of counters.
func meterOf(g group) usage.Meter {
	if g == groupCPU {
		return usage.CPUTime
	}
	return usage.Class(g - groupDisk).Meter(0)
}

// find returns the counter for the i-th of a reading. A source lists its
// counters in the same order as long as nothing comes or goes.
func (a *account) find(i int, rc *reading.Counters) *counter {
	if i < len(a.counters) && a.counters[i].is(rc) {
		return &a.counters[i]
	}
	for j := range a.counters {
		if a.counters[j].is(rc) {
			return &a.counters[j]
		}
	}
	return nil
}

// renamed returns the counter of something that goes by another name now: it has
// the same birth, and its old name is not in the reading. A GPU has a name for
// life, and shares its birth with the others of the same driver.
func (a *account) renamed(r *reading.Reading, rc *reading.Counters) *counter {
	if rc.First >= usage.GPU.Meter(0) {
		return nil
	}
	for j := range a.counters {
		c := &a.counters[j]
		if c.first != rc.First || c.birth != rc.Birth ||
			slices.ContainsFunc(r.Counters, func(o reading.Counters) bool { return c.is(&o) }) {
			continue
		}
		c.id = rc.ID
		return c
	}
	return nil
}

func (c *counter) is(rc *reading.Counters) bool { return c.first == rc.First && c.id == rc.ID }

// difference counts from the last values, or from 0 for what was born since. dt is
// for how long nobody saw them.
func (a *account) difference(c *counter, rc *reading.Counters, dt int64, counts *Counts) {
	gone := c.absent
	c.model, c.seen, c.absent = rc.Model, true, false
	if rc.Unknown {
		return
	}
	if c.birth != rc.Birth {
		c.birth, c.last = rc.Birth, [usage.DeviceMeters]uint64{}
		if rc.FromFirst && !a.plausible(rc, dt) { // it is older than that birth says
			c.last = rc.Values
			counts.Anomalies++
		}
	}
	if c.base || rc.FromFirst && gone {
		c.base, c.last = false, rc.Values
	}
	if rc.Resets && c.wasReset(rc) && a.plausible(rc, dt) {
		c.last = [usage.DeviceMeters]uint64{}
	}
	for k := range rc.N {
		if rc.Values[k] < c.last[k] && rc.Width == 0 {
			counts.Anomalies++
			continue // held: the last value stays, and what is above it again counts
		}
		d := rc.Values[k] - c.last[k]
		if rc.Width > 0 && rc.Width < 64 {
			d &= 1<<rc.Width - 1
		}
		if d > math.MaxInt64/2 {
			counts.Anomalies++
			continue
		}
		m := rc.First + usage.Meter(k) //nolint:gosec // k < DeviceMeters
		a.open.Usage[m] += int64(d)
		c.used[k] += int64(d)
		c.last[k] = rc.Values[k]
	}
}

// wasReset reports whether the values look as if all of them began anew: none is
// above its last one, and one is far below. A counter that a driver corrects by
// a little is not one that began at 0, unless there is another sign of that.
func (c *counter) wasReset(rc *reading.Counters) bool {
	far := false
	for k := range rc.N {
		if rc.Values[k] > c.last[k] {
			return false
		}
		far = far || rc.Values[k] < c.last[k]/2 || rc.Reopened && rc.Values[k] < c.last[k]
	}
	return far
}

// settle marks what a full scan did not find, and forgets what is gone for too long.
func (a *account) settle(r *reading.Reading) {
	absent, oldest := 0, -1
	for i := range a.counters {
		c := &a.counters[i]
		if !c.seen {
			a.unseen(c, r)
		}
		if c.absent {
			absent++
			if oldest < 0 && c.used == [usage.DeviceMeters]int64{} {
				oldest = i
			}
		}
	}
	if absent > maxAbsent && oldest >= 0 {
		a.counters = append(a.counters[:oldest], a.counters[oldest+1:]...)
	}
}

// unseen is for what a reading does not have.
func (a *account) unseen(c *counter, r *reading.Reading) {
	switch {
	case r.Scanned.Has(c.first):
		c.absent = true
	case c.sampling != nil && !c.absent:
		a.unanswered(c, r.At.Boot)
	}
}

// fastest bounds what hardware of today can do in a second, far above it. It
// only tells a counter that began anew from one that is broken.
func (a *account) fastest(m usage.Meter) float64 {
	switch m {
	case usage.CPUTime, usage.CPUSteal:
		return float64(max(a.open.Flavor.VCPUs, 1)) * 1.1e6
	case usage.DiskReadBytes, usage.DiskWriteBytes, usage.NetworkTransmitBytes, usage.NetworkReceiveBytes:
		return 200e9
	case usage.GPUEnergy:
		return 10e6
	default:
		return 1e9
	}
}

func (a *account) plausible(rc *reading.Counters, dt int64) bool {
	seconds := float64(dt)/1e9 + 1
	for k := range rc.N {
		m := rc.First + usage.Meter(k) //nolint:gosec // k < DeviceMeters
		if float64(rc.Values[k]) > a.fastest(m)*seconds {
			return false
		}
	}
	return true
}
