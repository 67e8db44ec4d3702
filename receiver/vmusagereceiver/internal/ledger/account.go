package ledger

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// An account is the state of one instance: its open period and what the next
// reading is compared with.
type account struct {
	open  usage.Period    // Totals are those of the last closed period
	began reading.Instant // of the open period
	last  reading.Instant // of the last reading
	due   bool            // close the period at the next reading
	seen  bool            // in the scan at hand

	restored bool // nothing was read in this run since it was restored

	counters []counter
	apart    usage.MeterSet // those with a counter that accounts for its time by itself: see [sampling]
	spoken   int64          // us for which all samples of GPUs speak that the reading at hand is the first to count
	scanned  usage.MeterSet // classes that were fully scanned at least once: what is new in them was born since
	levels   [reading.NumLevels]reading.Level
	carry    [usage.NumMeters]uint64 // what integrals left over, in parts of a unit
	groups   [numGroups]int64        // CLOCK_BOOTTIME ns up to which each group is accounted for
	covered  [numGroups]int64        // ns of the open period that were really sampled
	stats    statistics
}

// A group is a set of meters that one part of a sample fills.
type group uint8

const (
	groupRun group = iota // running and what is allotted: known as long as the run is seen alive
	groupCPU
	groupMemory
	groupStorage
	groupDisk
	groupInterface
	groupGPU
	numGroups
)

func groupOf(m usage.Meter) group {
	switch m {
	case usage.CPUTime, usage.CPUSteal:
		return groupCPU
	case usage.Memory:
		return groupMemory
	case usage.Storage:
		return groupStorage
	}
	if c, _, ok := m.Device(); ok {
		return groupDisk + group(c)
	}
	return groupRun
}

// identify takes over what holds from this reading on.
func (a *account) identify(r *reading.Reading) {
	if !a.open.Instance.Equal(r.Instance) {
		a.open.Instance = *r.Instance
		a.open.Instance.Labels = slices.Clone(r.Instance.Labels)
	}
	a.allot(r.Flavor)
	a.open.Metered |= r.Metered
	a.scanned |= r.Scanned
}

// allot takes over what the instance has. GPUs below 0 are not known now: they
// stay as many as they were.
func (a *account) allot(f usage.Flavor) {
	if f.GPUs < 0 {
		f.GPUs = a.open.Flavor.GPUs
	}
	a.open.Flavor = f
}

// advance accounts for the time from the last reading to this one.
func (a *account) advance(r *reading.Reading, set *Settings, counts *Counts) {
	interval := set.Interval.Nanoseconds()
	if r.At.BootID != a.last.BootID {
		a.rebase(r)
	}
	now := r.At.Boot
	if now <= a.last.Boot {
		return // no time has passed: there is nothing to account for
	}
	dt := now - a.last.Boot
	cpu, gpu := a.open.Usage[usage.CPUTime], a.open.Usage[usage.GPUActive]
	a.hold(r, interval)
	a.count(r, interval, counts)
	if dt <= holds*interval {
		a.sampled(r, dt, cpu, gpu, set)
	}
	a.levels = keepLimits(a.levels, r.Levels)
	a.last = r.At
}

// keepLimits is next, with the limits of was where next does not know them: what
// is allotted stays so until something else is seen.
func keepLimits(was, next [reading.NumLevels]reading.Level) [reading.NumLevels]reading.Level {
	for _, k := range [...]reading.LevelKind{reading.MemoryLimit, reading.StorageLimit} {
		if !next[k].Valid {
			next[k] = was[k]
		}
	}
	return next
}

// rebase moves everything kept in CLOCK_BOOTTIME onto the clock of a new boot,
// so that the wall clock says how much time passed. Only a host that rebooted
// comes here: nothing compares the two clocks but the wall.
func (a *account) rebase(r *reading.Reading) {
	passed := max(r.At.Wall-a.last.Wall, 0)
	a.last.BootID = r.At.BootID
	a.shift(r.At.Boot - passed - a.last.Boot)
}

// shift moves everything kept in CLOCK_BOOTTIME by d ns.
func (a *account) shift(d int64) {
	a.last.Boot += d
	a.began.Boot += d
	for g := range a.groups {
		a.groups[g] += d
	}
	for i := range a.counters {
		if s := a.counters[i].sampling; s != nil {
			s.at += d
		}
	}
}

// hold adds what levels and allotments amount to up to this reading.
func (a *account) hold(r *reading.Reading, interval int64) {
	now := r.At.Boot
	dt := now - a.groups[groupRun]
	a.cover(groupRun, now, interval, usage.Recovered)
	a.integrate(usage.Running, 1, dt, nanosPerMicro)
	a.integrate(usage.VCPUProvisioned, a.open.Flavor.VCPUs, dt, nanosPerMicro)
	a.integrate(usage.MemoryProvisioned, a.levels[reading.MemoryLimit].Bytes, dt, nanosPerMiBs)
	a.integrate(usage.StorageProvisioned, a.levels[reading.StorageLimit].Bytes, dt, nanosPerMiBs)

	for _, l := range [...]struct {
		g group
		m usage.Meter
		k reading.LevelKind
	}{
		{groupMemory, usage.Memory, reading.MemoryUsed},
		{groupStorage, usage.Storage, reading.StorageUsed},
	} {
		held := now - a.groups[l.g]
		switch {
		case !a.open.Metered.Has(l.m):
		case a.levels[l.k].Valid && held <= holds*interval:
			a.cover(l.g, now, interval, usage.Measured)
			a.integrate(l.m, a.levels[l.k].Bytes, held, nanosPerMiBs)
		default:
			a.mark(l.g, usage.Gap)
			a.groups[l.g] = now
		}
	}
}

// cover moves group g up to now and counts what was sampled: an interval's
// worth where samples are missing, and q then says how the rest was come by.
func (a *account) cover(g group, now, interval int64, q usage.Quality) {
	dt := now - a.groups[g]
	a.groups[g] = now
	if dt <= interval+interval/2 {
		a.covered[g] += dt
		return
	}
	a.covered[g] += interval
	if dt > holds*interval {
		a.mark(g, q)
	}
}

// mark lowers the quality of the open period's meters in g to q, if it was better.
// Counters that account for their time by themselves say what was recovered.
func (a *account) mark(g group, q usage.Quality) {
	for m := range usage.NumMeters {
		if groupOf(m) == g && (q != usage.Recovered || !a.apart.Has(m)) {
			a.open.Quality[m] = max(a.open.Quality[m], q)
		}
	}
}

// markAll lowers the quality of every meter.
func (a *account) markAll(q usage.Quality) {
	for g := range numGroups {
		a.mark(g, q)
	}
}

// accountedTo says that nothing before that instant is left to be accounted for.
func (a *account) accountedTo(boot int64) {
	for g := range a.groups {
		a.groups[g] = boot
	}
	for i := range a.counters {
		if s := a.counters[i].sampling; s != nil {
			s.at, s.blind = boot, 0
		}
	}
}

// finish ends the open period at the last reading and opens the next one there.
func (a *account) finish(interval int64) usage.Period {
	length := a.last.Boot - a.began.Boot
	a.open.Sequence++
	for m := range a.open.Totals {
		a.open.Totals[m] += a.open.Usage[m]
	}
	p := a.open
	p.Instance.Labels = slices.Clone(p.Instance.Labels)
	p.End = max(a.last.Wall, p.Start)
	p.Duration = length
	p.ClockStepped = stepped(p.End-p.Start, length)
	p.Devices = a.devices()
	a.stats.finish(&p)
	for m := range p.Metered.All() {
		p.Coverage[m] = coverage(a.covered[groupOf(m)], length)
	}
	a.coverApart(&p, interval)

	a.began = a.last
	a.open.Start = p.End
	a.open.Usage = usage.Amounts{}
	a.open.Quality = [usage.NumMeters]usage.Quality{}
	a.covered = [numGroups]int64{}
	a.stats = statistics{}
	return p
}

// coverage is the share of a period that was sampled; of one without length nothing was.
func coverage(covered, length int64) int32 {
	if length <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(min(covered, length)), usage.FullCoverage)
	q, _ := bits.Div64(hi, lo, uint64(length)) // covered <= length, so that it fits
	return int32(q)                            //nolint:gosec // at most FullCoverage
}

// stepped reports whether labels and length differ by more than slewing can
// do: adjtimex(2) slews by at most 500 parts in a million.
func stepped(label, length int64) bool {
	const slack = 50e6 // ns: the two clocks are read one after the other
	return abs(label-length) > slack+length/1000
}

func abs(x int64) int64 { return max(x, -x) }

// devices empties the counters of devices into a list in the order of the
// contract. What several counters say of one device is one.
func (a *account) devices() []usage.DeviceUsage {
	ds := make([]usage.DeviceUsage, 0, len(a.counters))
	for i := range a.counters {
		c := &a.counters[i]
		class, first, ok := c.first.Device()
		if ok && (!c.absent || c.used != [usage.DeviceMeters]int64{}) {
			d := usage.DeviceUsage{Class: class, ID: c.id, Model: c.model}
			copy(d.Amounts[first:], c.used[:])
			ds = append(ds, d)
		}
		c.used = [usage.DeviceMeters]int64{}
	}
	slices.SortStableFunc(ds, func(x, y usage.DeviceUsage) int {
		if x.Class != y.Class {
			return int(x.Class) - int(y.Class)
		}
		return strings.Compare(x.ID, y.ID)
	})
	n := 0
	for i := range ds {
		if n > 0 && ds[n-1].Class == ds[i].Class && ds[n-1].ID == ds[i].ID {
			for k, v := range ds[i].Amounts {
				ds[n-1].Amounts[k] += v
			}
			ds[n-1].Model = cmp.Or(ds[n-1].Model, ds[i].Model)
			continue
		}
		ds[n] = ds[i]
		n++
	}
	return ds[:n]
}
