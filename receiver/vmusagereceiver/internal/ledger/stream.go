package ledger

import (
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// open makes the account of an instance that was not known: a new stream. One
// that was born since its source was last scanned is metered from its birth on;
// otherwise the first period starts at this reading, with its values as the base.
func (l *Ledger) open(r *reading.Reading) *account {
	l.counts.Streams++
	l.changed = true
	lost := l.settings.Lost && !l.scanned[r.Source] // it may have been known
	born := l.bornSince(r) && !lost
	at := r.At
	if born {
		at = runStart(r)
	}
	a := &account{last: at, began: at}
	a.open.Stream = usage.Stream{
		ID:     l.settings.NewID(),
		Source: r.Source,
		HostID: r.Instance.HostID,
		Run:    r.Run,
		Start:  at.Wall,
	}
	a.open.Start = at.Wall
	a.accountedTo(at.Boot)
	if born {
		a.identify(r)
		a.levels = allotted(r)
		l.advance(a, r)
		return a
	}
	for i := range r.Counters {
		a.counters = append(a.counters, a.firstSight(&r.Counters[i], at.Boot))
	}
	a.levels = r.Levels
	a.identify(r)
	if lost {
		// Nothing is known of the time before: a gap without length says so, and
		// overlaps no period that an earlier stream may have closed.
		a.markAll(usage.Gap)
		l.keep(a.finish(l.settings.Interval.Nanoseconds()))
	}
	return a
}

// bornSince reports whether the run of a reading began after all instances of
// its source were last enumerated.
func (l *Ledger) bornSince(r *reading.Reading) bool {
	scan, known := l.scans[r.Source]
	return known && (scan.BootID != r.At.BootID || r.RunAt > scan.Boot)
}

// restart ends what the old run used where it was last seen alive. Up to the
// start of the new run there is a gap, since no counter saw that time; from
// there on the new run's counters know.
func (l *Ledger) restart(a *account, r *reading.Reading) {
	due := a.due
	defer func() { a.due = due }()
	l.close(a)
	if r.At.BootID != a.last.BootID {
		a.rebase(r)
	}
	began := runStart(r)
	if a.last.Boot > began.Boot {
		// Both cannot be: the old run was seen before the new one began. A wall
		// clock that was set back has said otherwise.
		a.shift(began.Boot - a.last.Boot)
	}
	if began.Boot > a.last.Boot {
		a.markAll(usage.Gap)
		a.accountedTo(began.Boot)
		began.Wall = max(began.Wall, a.last.Wall)
		a.last = began
		l.close(a)
	}
	a.open.Stream.Run = r.Run
	a.allot(r.Flavor)
	a.levels = keepLimits(a.levels, allotted(r))
	a.levels[reading.MemoryUsed], a.levels[reading.StorageUsed] = reading.Level{}, reading.Level{}
	a.restored = false // what the new run has was born with it
}

// runStart is the instant at which the run of a reading began.
func runStart(r *reading.Reading) reading.Instant {
	return reading.Instant{Boot: r.RunAt, BootID: r.At.BootID, Wall: r.At.Wall - (r.At.Boot - r.RunAt)}
}

// allotted are the levels that a run has from its start on.
func allotted(r *reading.Reading) (levels [reading.NumLevels]reading.Level) {
	levels[reading.MemoryLimit] = r.Levels[reading.MemoryLimit]
	levels[reading.StorageLimit] = r.Levels[reading.StorageLimit]
	return levels
}
