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
	// Lost says that there was state and it is gone, in whole or in part: the
	// stream of what is seen for the first time, in the first scan of its source,
	// begins with a gap.
	Lost bool
	// Sampled is told what each instance used, in millionths of what it has, and
	// for how many ns; nil where nobody wants to know.
	Sampled func(id string, at reading.Instant, dt int64, ppm [usage.NumUtilizations]int64)
}

// holds is for how many intervals a level holds without a new sample. After
// that nobody knows it, and a counter's difference counts as recovered.
const holds = 3

// A Ledger keeps one account for each instance. It is not safe for concurrent use.
type Ledger struct {
	settings Settings
	accounts map[string]*account
	scans    map[string]reading.Instant // by source: when its instances were last enumerated
	scanned  map[string]bool            // sources that were enumerated since the ledger was made
	closed   []usage.Period
	changed  bool // since the last Take: a stream was minted, ended or closed a period
	counts   Counts
}

// Counts says what the ledger did since it was made, for self-telemetry.
type Counts struct {
	Streams    int64 // minted
	Anomalies  int64 // counter values that were held
	ClockSteps int64 // periods within which the wall clock was set
	Periods    [usage.NumQualities]int64
}

// New returns an empty ledger.
func New(s Settings) *Ledger {
	return &Ledger{
		settings: s, accounts: map[string]*account{},
		scans: map[string]reading.Instant{}, scanned: map[string]bool{},
	}
}

// Observe adds one reading. Readings of an instance are given in the order in
// which they were taken; r is not kept.
func (l *Ledger) Observe(r *reading.Reading) {
	a, known := l.accounts[r.Instance.ID]
	if !known {
		a = l.open(r)
		l.accounts[r.Instance.ID] = a
	} else {
		if r.Run != a.open.Stream.Run {
			l.restart(a, r)
		}
		l.advance(a, r)
		if a.due || r.Flavor.VCPUs != a.open.Flavor.VCPUs || r.Flavor.MemoryBytes != a.open.Flavor.MemoryBytes ||
			r.Flavor.GPUs >= 0 && r.Flavor.GPUs != a.open.Flavor.GPUs || !a.open.Instance.Equal(r.Instance) {
			l.close(a)
		}
		a.identify(r)
	}
	a.seen = true
}

// EndScan says that the source has visited every instance that it could at that
// instant. Where complete, those that it did not visit are gone: their last
// period ends at their last reading, is marked final, and closes the stream.
func (l *Ledger) EndScan(source string, at reading.Instant, complete bool) {
	observed := false
	for id, a := range l.accounts {
		if a.open.Stream.Source != source {
			continue
		}
		observed = observed || a.seen
		if complete && !a.seen {
			p := a.finish(l.settings.Interval.Nanoseconds())
			p.Final = true
			l.keep(p)
			delete(l.accounts, id)
		}
		a.seen = false
	}
	if _, known := l.scans[source]; complete || known && observed {
		// Also where some could not be read: whoever is older and new to the
		// ledger later on is not taken for one that was just born.
		l.scans[source] = at
	}
	l.scanned[source] = l.scanned[source] || complete
}

// Due asks for every open period to be closed by the next reading of its instance.
func (l *Ledger) Due() {
	for _, a := range l.accounts {
		a.due = true
	}
}

// Take returns the periods closed since the last Take, in the order in which
// they were closed; they are the caller's. It reports whether the ledger is
// worth a checkpoint: whether anything began or ended since.
func (l *Ledger) Take() (closed []usage.Period, changed bool) {
	closed, changed = l.closed, l.changed
	l.closed, l.changed = nil, false
	return closed, changed
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

func (l *Ledger) advance(a *account, r *reading.Reading) {
	a.advance(r, &l.settings, &l.counts)
}

// close ends the open period at the last reading, where any time has passed.
func (l *Ledger) close(a *account) {
	a.due = false
	if a.last.Boot > a.began.Boot {
		l.keep(a.finish(l.settings.Interval.Nanoseconds()))
	}
}

func (l *Ledger) keep(p usage.Period) {
	l.counts.Periods[p.WorstQuality()]++
	if p.ClockStepped {
		l.counts.ClockSteps++
	}
	l.closed = append(l.closed, p)
	l.changed = true
}
