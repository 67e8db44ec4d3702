package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Report is what all events together prove, and what they do not. Its JSON is
// what `vmusagectl verify --json` prints: fields are added, never changed.
type Report struct {
	Proven bool `json:"proven"` // there were events, and no violations

	Counts
	Old   int     `json:"events_1_0"`   // cannot be proven: 1.0 has no streams
	Other int     `json:"other_events"` // events of other types, passed over
	Usage Amounts `json:"usage"`        // of all instances

	Instances []Instance `json:"instances"` // ordered by id
	Notes     []string   `json:"notes"`     // what a reader should know and is no violation

	ViolationCount int         `json:"violation_count"`
	Violations     []Violation `json:"violations"` // the first [MaxViolations]
}

// Counts are counts of events of version 1.1 and later.
type Counts struct {
	Events    int `json:"events"`    // distinct
	Repeats   int `json:"repeats"`   // of distinct ones
	Gaps      int `json:"gaps"`      // distinct ones in which something is not known
	Recovered int `json:"recovered"` // distinct ones in which something was recovered and all is known
}

// An Instance is what is proven of one instance.
type Instance struct {
	ID string `json:"instance_id"`
	Counts
	First   int64    `json:"first_ns"` // unix ns: where its first period starts
	Last    int64    `json:"last_ns"`  // unix ns: where its last period ends
	Usage   Amounts  `json:"usage"`    // sums over its distinct events
	Streams []Stream `json:"streams"`  // ordered by start
}

// A Stream is what was seen of one stream.
type Stream struct {
	ID     string `json:"id"`
	Source string `json:"source"`
	Host   string `json:"host"`
	First  uint64 `json:"first_sequence"`
	Last   uint64 `json:"last_sequence"`
	Start  int64  `json:"start_ns"`
	End    int64  `json:"end_ns"`
	Events int    `json:"events"`
}

// Report returns what the events so far prove. More can be added after it.
func (v *Verifier) Report() *Report {
	found := v.found.clone()
	r := &Report{Old: v.old, Other: v.other, Instances: []Instance{}, Notes: []string{}}
	byInstance := make(map[*instance][]*stream)
	for _, s := range v.streams {
		byInstance[s.instance] = append(byInstance[s.instance], s)
	}
	var cut []*stream
	for _, id := range slices.Sorted(maps.Keys(v.instances)) {
		i := v.instances[id]
		streams := slices.SortedFunc(slices.Values(byInstance[i]), compareStreams)
		for _, s := range streams {
			for k, run := range s.runs[1:] {
				s.runs[k].checkLater(run, s.finder(run, &found))
			}
			if s.runs[0].first != 1 {
				cut = append(cut, s)
			}
		}
		overlaps(streams, &found)
		r.add(i.report(streams))
	}
	r.notes(cut)
	r.ViolationCount, r.Violations = found.count, found.kept
	if r.Violations == nil {
		r.Violations = []Violation{}
	}
	r.Proven = r.Events > 0 && found.count == 0
	return r
}

func compareStreams(a, b *stream) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), slices.Compare(a.id[:], b.id[:]))
}

// overlaps finds streams of one instance that bill the same time, each against
// the one before it that reaches furthest. A stream of no length bills none.
func overlaps(streams []*stream, found *violations) {
	var furthest *stream
	for _, s := range streams {
		if s.start == s.end {
			continue
		}
		if furthest != nil && s.start < furthest.end {
			until := min(s.end, furthest.end)
			s.finder(s.runs[0], found).addf(Overlap, "the stream, from %s to %s, overlaps stream %s of the same instance, from %s to %s: %s are billed twice",
				instant(s.start), instant(s.end), furthest.id, instant(furthest.start), instant(furthest.end), time.Duration(until-s.start))
		}
		if furthest == nil || s.end > furthest.end {
			furthest = s
		}
	}
}

func (i *instance) report(streams []*stream) Instance {
	r := Instance{
		ID:     i.id,
		Counts: Counts{Events: i.events, Repeats: i.repeats, Gaps: i.gaps, Recovered: i.recovered},
		First:  i.first, Last: i.last, Usage: i.usage, Streams: []Stream{},
	}
	for _, s := range streams {
		r.Streams = append(r.Streams, Stream{
			ID: s.id.String(), Source: s.source, Host: s.host,
			First: s.runs[0].first, Last: s.runs[len(s.runs)-1].last,
			Start: s.start, End: s.end, Events: s.events,
		})
	}
	return r
}

// add adds an instance. The sums over all instances may exceed 64 bits where
// those of each do not; they are for orientation, and stay at the largest then.
func (r *Report) add(i Instance) {
	r.Instances = append(r.Instances, i)
	r.Events += i.Events
	r.Repeats += i.Repeats
	r.Gaps += i.Gaps
	r.Recovered += i.Recovered
	r.Usage.add(i.Usage.Metered, &i.Usage.Of)
}

func (r *Report) notes(cut []*stream) {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	if n := len(cut); n > 0 {
		note("%d of the streams do not begin at sequence 1, the first of them at %d (stream %s of instance %q): what was before may be deleted by the topic's retention, and is not proven",
			n, cut[0].runs[0].first, cut[0].id, cut[0].instance.id)
	}
	if r.Old > 0 {
		note("%d events of version 1.0 are not in the sums: 1.0 has no streams, so that nothing can be proven of them", r.Old)
	}
	if r.Other > 0 {
		note("%d events of other types were passed over", r.Other)
	}
}

// instant shows unix ns for people.
func instant(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000 UTC") }
