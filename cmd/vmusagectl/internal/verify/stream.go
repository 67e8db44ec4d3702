package verify

import (
	"slices"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A stream is what was seen of one ledger's metering of an instance: runs of
// consecutive events, in their order, with what is missing between them. In a
// log in order it is one run that grows at its end.
type stream struct {
	id           uuid.UUID
	source, host string
	instance     *instance
	events       int
	start, end   int64 // unix ns: the bounds of all events
	runs         []*run
}

// A run is a number of events of a stream without one missing between them: its
// two ends, which are all that a neighbor is checked against.
type run struct {
	first, last uint64 // sequences
	start, end  int64
	final       bool // the last event said that none follows
	// Of every meter that any event had: its total before it first did, and at the end.
	metered      usage.MeterSet
	base, totals usage.Amounts

	sequence uint64 // of the first event, which may be joined from several: above first then
	where    string // the first event
}

func newRun(p *usage.Period, where string) *run {
	r := &run{
		first: p.FirstSequence(), last: p.Sequence, start: p.Start, end: p.End, final: p.Final,
		metered: p.Metered, totals: p.Totals, sequence: p.Sequence, where: where,
	}
	for m := range p.Metered.All() {
		r.base[m] = p.Totals[m] - p.Usage[m]
	}
	return r
}

// add puts a distinct event where it belongs, and checks it against the events
// before and after it if they are there.
func (s *stream) add(p *usage.Period, where string, found *violations) {
	s.events++
	s.start, s.end = min(s.start, p.Start), max(s.end, p.End)
	r := newRun(p, where)
	// The first run that does not end before r begins.
	i, _ := slices.BinarySearchFunc(s.runs, r.first, func(old *run, first uint64) int {
		if old.last < first {
			return -1
		}
		return 1
	})
	if i < len(s.runs) && s.runs[i].first <= r.last {
		found.at(p, where).addf(Duplicate, "another event of the stream has the sequence %d: their usage counts twice", max(s.runs[i].first, r.first))
		return
	}
	s.runs = slices.Insert(s.runs, i, r)
	s.join(i, found)
	if i > 0 {
		s.join(i-1, found)
	}
}

// join makes one run of the i-th and the next, if nothing is missing between.
func (s *stream) join(i int, found *violations) {
	if i+1 == len(s.runs) || s.runs[i+1].first != s.runs[i].last+1 {
		return
	}
	a, b := s.runs[i], s.runs[i+1]
	a.checkNext(b, s.finder(b, found))
	for m := range b.metered.All() {
		if !a.metered.Has(m) {
			a.base[m] = b.base[m]
		}
		a.totals[m] = b.totals[m] // a meter that an event does not have keeps its total
	}
	a.last, a.end, a.final, a.metered = b.last, b.end, b.final, a.metered|b.metered
	s.runs = slices.Delete(s.runs, i+1, i+2)
}

// checkNext checks what follows without one missing between.
func (r *run) checkNext(next *run, found finder) {
	if r.final {
		found.addf(AfterFinal, "sequence %d was marked final", r.last)
	}
	if next.start != r.end {
		found.addf(Start, "it starts at %d, sequence %d ended at %d: %+d ns", next.start, r.last, r.end, next.start-r.end)
	}
	var totals perMeter
	for m := range next.metered.All() {
		// Without the beginning of the stream, a meter that comes may have been there before.
		known := r.metered.Has(m) || r.first == 1
		if known && next.base[m] != r.totals[m] {
			totals.addf(m, "the total less the usage is %d, the total before is %d: %+d", next.base[m], r.totals[m], next.base[m]-r.totals[m])
		}
	}
	totals.end(Totals, found)
}

// checkLater checks what follows with some missing between.
func (r *run) checkLater(next *run, found finder) {
	if first, last := r.last+1, next.first-1; first == last {
		found.addf(Missing, "sequence %d is missing, from %s to %s", first, instant(r.end), instant(next.start))
	} else {
		found.addf(Missing, "sequences %d to %d are missing, from %s to %s", first, last, instant(r.end), instant(next.start))
	}
	if r.final {
		found.addf(AfterFinal, "sequence %d was marked final", r.last)
	}
	if next.start < r.end {
		found.addf(Start, "it starts at %d, sequence %d ended later, at %d", next.start, r.last, r.end)
	}
	var totals perMeter
	for m := range next.metered.All() {
		if next.base[m] < r.totals[m] {
			totals.addf(m, "the total less the usage is %d, and was %d at sequence %d", next.base[m], r.totals[m], r.last)
		}
	}
	totals.end(Totals, found)
}

func (s *stream) finder(r *run, into *violations) finder {
	return finder{into, s.instance.id, s.id, r.sequence, r.where}
}
