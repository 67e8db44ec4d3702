// Package verify proves from usage events alone that a bill made of them is
// right: nothing is missing, nothing is counted twice, and the amounts of every
// stream add up to its totals.
//
// It keeps a few words for each distinct event and the two ends of each run of
// consecutive events, not the events, so that millions of them can be verified.
package verify

import (
	"errors"
	"hash/maphash"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A Verifier takes events one by one, in any order and as often as the log has
// them. It is not safe for concurrent use.
type Verifier struct {
	// Instance restricts the proof to one instance; empty takes all. What cannot
	// be decoded is of no instance and is reported all the same.
	Instance string

	instances map[string]*instance
	streams   map[uuid.UUID]*stream
	seen      map[uuid.UUID]uint64 // by the id that an event should have: the hash of its content
	seed      maphash.Seed
	content   []byte // of one event, reused

	old, other int // events of 1.0, and of other types
	found      violations
}

// New returns a Verifier that has seen nothing.
func New() *Verifier {
	return &Verifier{
		instances: make(map[string]*instance),
		streams:   make(map[uuid.UUID]*stream),
		seen:      make(map[uuid.UUID]uint64),
		seed:      maphash.MakeSeed(),
	}
}

// instance is what is known of one instance, over all of its streams.
type instance struct {
	id              string
	events, repeats int
	gaps, recovered int
	usage           Amounts // of its distinct events
	first, last     int64   // unix ns: the bounds of all of them
}

// Add takes one event as the log has it. where says for people which one it is;
// Add keeps neither the value nor, but for few events, where.
func (v *Verifier) Add(value []byte, where string) {
	e, err := event.Decode(value)
	switch {
	case errors.Is(err, event.ErrType):
		v.other++
	case err != nil:
		v.found.add(Violation{Kind: Undecodable, Where: where, Detail: err.Error()})
	case v.Instance != "" && e.InstanceID != v.Instance:
	case e.Period == nil:
		v.old++
	default:
		v.period(e, where)
	}
}

func (v *Verifier) period(e *event.Event, where string) {
	p := e.Period
	id := event.ID(p)
	i := v.instance(p)
	if e.ID != id {
		v.found.at(p, where).addf(EventID, "event_id is %s, and that of its stream, sequence and bounds is %s", e.ID, id)
	}
	// The content is what the decoder made of it: another layout of the same
	// JSON is the same event.
	v.content = append(event.AppendUsage(v.content[:0], event.V1_1, p), e.ID[:]...)
	content := maphash.Bytes(v.seed, v.content)
	if before, again := v.seen[id]; again {
		if before == content {
			i.repeats++
		} else {
			v.found.at(p, where).addf(Content, "the id %s came before with other content", id)
		}
		return
	}
	v.seen[id] = content
	i.add(p, v.found.at(p, where))
	checkEvent(p, v.found.at(p, where))
	v.stream(p, i, where).add(p, where, &v.found)
}

func (v *Verifier) instance(p *usage.Period) *instance {
	i := v.instances[p.Instance.ID]
	if i == nil {
		i = &instance{id: p.Instance.ID, first: p.Start, last: p.End}
		v.instances[i.id] = i
	}
	return i
}

func (v *Verifier) stream(p *usage.Period, i *instance, where string) *stream {
	s := v.streams[p.Stream.ID]
	if s == nil {
		s = &stream{id: p.Stream.ID, source: p.Stream.Source, host: p.Stream.HostID, instance: i, start: p.Start, end: p.End}
		v.streams[s.id] = s
	}
	if s.instance != i {
		v.found.at(p, where).addf(StreamInstance, "the stream is of instance %q too", s.instance.id)
	}
	return s
}

// add counts a distinct event.
func (i *instance) add(p *usage.Period, found finder) {
	i.events++
	switch p.WorstQuality() {
	case usage.Gap:
		i.gaps++
	case usage.Recovered:
		i.recovered++
	case usage.Measured:
	}
	i.first, i.last = min(i.first, p.Start), max(i.last, p.End)
	if m, ok := i.usage.add(p.Metered, &p.Usage); !ok {
		found.addf(Sum, "the sum of %s over the instance's events exceeds 64 bits", m.Info().Field)
	}
}
