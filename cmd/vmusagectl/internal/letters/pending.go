package letters

import (
	"maps"
	"slices"
)

// Pending is what is still to be replayed.
type Pending map[origin]*Decision

// NewPending returns what of the decisions is to be replayed: of an event in a
// topic there is one at most.
func NewPending(decisions []*Decision) Pending {
	p := make(Pending)
	for _, d := range decisions {
		if d.Refusal == "" {
			p[origin{d.Topic, d.EventID}] = d
		}
	}
	return p
}

// Topics returns the origin topics, sorted.
func (p Pending) Topics() []string {
	topics := make(map[string]struct{})
	for of := range p {
		topics[of.topic] = struct{}{}
	}
	return slices.Sorted(maps.Keys(topics))
}

// Saw takes out the letter whose event was seen in its origin topic at a position,
// and refuses it.
func (p Pending) Saw(topic, eventID string, at Position) {
	of := origin{topic, eventID}
	if d := p[of]; d != nil {
		d.refuse(Present, "its event is in %s, partition %d, offset %d", topic, at.Partition, at.Offset)
		delete(p, of)
	}
}

// Take takes out the letter at a position of the dead-letter topic; nil where
// none of there is pending.
func (p Pending) Take(l *Letter) *Decision {
	of := origin{l.Topic, l.EventID}
	d := p[of]
	if d == nil || d.Position != l.Position {
		return nil
	}
	delete(p, of)
	return d
}

// TakeTopic takes out the letters of an origin topic, by position.
func (p Pending) TakeTopic(topic string) []*Decision {
	return p.take(func(of origin) bool { return of.topic == topic })
}

// TakeAll takes out all letters, by position.
func (p Pending) TakeAll() []*Decision {
	return p.take(func(origin) bool { return true })
}

func (p Pending) take(which func(origin) bool) []*Decision {
	var taken []*Decision
	for of, d := range p {
		if which(of) {
			taken = append(taken, d)
			delete(p, of)
		}
	}
	slices.SortFunc(taken, func(a, b *Decision) int { return a.Compare(b.Position) })
	return taken
}
