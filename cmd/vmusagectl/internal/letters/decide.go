package letters

import (
	"fmt"
	"strings"
)

// A Refusal is why a letter is not replayed. It is a word for summaries; the
// empty one means that the letter is replayed.
type Refusal string

// Why letters are not replayed.
const (
	Broken     Refusal = "broken"       // it is no proper dead letter
	Input      Refusal = "otlp_json"    // it holds no event
	Truncated  Refusal = "truncated"    // it holds a part of an event
	NoID       Refusal = "no_event_id"  // nothing would tell a repeat of it
	Superseded Refusal = "superseded"   // there is a newer letter of the event
	AtLimit    Refusal = "max_attempts" // it came back too often
	Present    Refusal = "present"      // its event is in the origin topic
)

// A Decision is what to do with a letter.
type Decision struct {
	*Letter
	Refusal Refusal // empty: replay it
	Why     string  // for people: more on the refusal, and what to do instead
}

func (d *Decision) refuse(r Refusal, format string, args ...any) {
	d.Refusal, d.Why = r, fmt.Sprintf(format, args...)
}

// Limits are what a letter is held against.
type Limits struct {
	MaxAttempts int64  // letters with as many or more are not replayed
	DeadLetters string // the topic that the letters are in
}

// An origin is an event in the topic it was meant for.
type origin struct{ topic, eventID string }

// Decide decides on the letters that f selects, in the order of all. Whether a
// letter is the newest of its event is seen over all letters, those that f
// leaves out included; but only over those that hold an event whole. What is in
// the origin topics it does not know: see [Pending].
func Decide(all []*Letter, f Filter, limits Limits) []*Decision {
	newest := make(map[origin]*Letter)
	decisions := make([]*Decision, 0, len(all))
	for _, l := range all {
		d := &Decision{Letter: l}
		d.holdsEvent(limits)
		if d.Refusal == "" {
			of := origin{l.Topic, l.EventID}
			if other := newest[of]; other == nil || l.Newer(other) {
				newest[of] = l
			}
		}
		if f.Match(l) {
			decisions = append(decisions, d)
		}
	}
	for _, d := range decisions {
		if d.Refusal != "" {
			continue
		}
		if n := newest[origin{d.Topic, d.EventID}]; n != d.Letter {
			d.refuse(Superseded, "a newer letter of this event is at %s", n.Position)
		} else if *d.Attempts >= limits.MaxAttempts {
			d.refuse(AtLimit, "dead-lettered %d times, the limit is %d: remove what its error names, then replay it with a higher --max-attempts", *d.Attempts, limits.MaxAttempts)
		}
	}
	return decisions
}

// holdsEvent refuses what can never go back.
func (d *Decision) holdsEvent(limits Limits) {
	switch {
	case len(d.Problems) > 0:
		d.refuse(Broken, "no dead letter of the exporter: %s; look at it with 'vmusagectl dlq show %s'", strings.Join(d.Problems, ", "), d.Position)
	case d.Topic == limits.DeadLetters:
		d.refuse(Broken, "it came from the dead-letter topic itself; look at it with 'vmusagectl dlq show %s'", d.Position)
	case d.Content == ContentInput:
		d.refuse(Input, "it holds the input that no event could be made of: 'vmusagectl dlq export' it, correct what its error names, and post the value to the collector's OTLP/HTTP receiver (/v1/metrics)")
	case d.Truncated:
		d.refuse(Truncated, "only %d of %d bytes are here: raise max.message.bytes of both topics; what the event billed is in the totals of the next event of its stream", d.Size, *d.FullSize)
	case d.Size == 0:
		d.refuse(Broken, "its value is empty; look at it with 'vmusagectl dlq show %s'", d.Position)
	case d.EventID == "":
		d.refuse(NoID, "without an event id a second replay would bill it twice: 'vmusagectl dlq export' it and decide by hand")
	}
}
