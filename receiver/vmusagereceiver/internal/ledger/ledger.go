package ledger

import (
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// Settings of a [Ledger].
type Settings struct {
	Interval time.Duration    // at which instances are sampled
	NewID    func() uuid.UUID // mints streams: uuid.New, or something a test can foresee
}

// holds is for how many intervals a level holds without a new sample. After
// that nobody knows it, and a counter's difference counts as recovered.
const holds = 3

// A Ledger keeps one account for each instance. It is not safe for concurrent use.
type Ledger struct {
	settings Settings
	accounts map[string]*account
	closed   []usage.Period
	counts   Counts
}

// Counts says what the ledger did since it was made, for self-telemetry.
type Counts struct {
	Streams   int64 // minted
	Anomalies int64 // counter values that were held
	Periods   [usage.NumQualities]int64
}

// New returns an empty ledger.
func New(s Settings) *Ledger {
	return &Ledger{settings: s, accounts: map[string]*account{}}
}

// Observe adds one reading. Readings of an instance are given in the order in
// which they were taken; r is not kept.
func (l *Ledger) Observe(r *reading.Reading) {
	a, known := l.accounts[r.Instance.ID]
	if !known {
		l.accounts[r.Instance.ID] = l.open(r)
		return
	}
	if r.Run != a.open.Stream.Run {
		// The period of the old run ends where it was last seen alive. What the
		// new run's counters say since their birth belongs to the next period.
		l.close(a)
		a.open.Stream.Run = r.Run
		a.lost = true
	}
	a.advance(r, l.settings.Interval.Nanoseconds(), &l.counts)
	if a.due || r.Flavor.VCPUs != a.open.Flavor.VCPUs || r.Flavor.MemoryBytes != a.open.Flavor.MemoryBytes ||
		r.Flavor.GPUs != a.open.Flavor.GPUs || !a.open.Instance.Equal(r.Instance) {
		l.close(a)
	}
	a.identify(r)
}

// Due asks for every open period to be closed by the next reading of its instance.
func (l *Ledger) Due() {
	for _, a := range l.accounts {
		a.due = true
	}
}

// Take returns the periods closed since the last Take, in the order in which
// they were closed. They are the caller's.
func (l *Ledger) Take() []usage.Period {
	closed := l.closed
	l.closed = nil
	return closed
}

// Counts returns what the ledger did so far.
func (l *Ledger) Counts() Counts { return l.counts }

// Instances returns how many instances have an account.
func (l *Ledger) Instances() int { return len(l.accounts) }

// Metered visits the stream of an instance and its running totals up to the end
// of the last closed period: what the events of the stream sum up to. It
// reports false where the instance has no account.
func (l *Ledger) Metered(id string) (metered usage.MeterSet, totals *usage.Amounts, streamStart int64, ok bool) {
	a, ok := l.accounts[id]
	if !ok {
		return 0, nil, 0, false
	}
	return a.open.Metered, &a.open.Totals, a.open.Stream.Start, true
}

// open makes the account of an instance that was not known: a new stream whose
// first period starts at this reading, with the reading's values as its base.
func (l *Ledger) open(r *reading.Reading) *account {
	l.counts.Streams++
	a := &account{last: r.At, began: r.At}
	a.open.Stream = usage.Stream{
		ID:     l.settings.NewID(),
		Source: r.Source,
		HostID: r.Instance.HostID,
		Run:    r.Run,
		Start:  r.At.Wall,
	}
	a.open.Start = r.At.Wall
	for g := range a.groups {
		a.groups[g] = r.At.Boot
	}
	for i := range r.Counters {
		a.counters = append(a.counters, a.firstSight(&r.Counters[i]))
	}
	a.levels = r.Levels
	a.identify(r)
	return a
}

func (l *Ledger) close(a *account) {
	if p, ok := a.close(); ok {
		l.counts.Periods[p.WorstQuality()]++
		l.closed = append(l.closed, p)
	}
}
