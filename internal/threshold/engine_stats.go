package threshold

// Counters count what happened in committed transactions since the start.
type Counters struct {
	Announced   [NumKinds]uint64
	Suppressed  [NumKinds]uint64 // by rate limits; each thing to say counts once
	Invalid     uint64           // values that are no finite number, times out of range, negative amounts
	Stale       uint64           // measurements not newer than the last one
	Contended   uint64           // measurements of what another transaction had
	Refused     uint64           // for want of room: violations not remembered, amounts not added
	Repeated    uint64           // periods that were added before
	Overlapping uint64           // periods of which a part was added before; not added
	Late        uint64           // periods, parts of which fell in windows no longer kept
}

// A Kind tells announcements apart for counting.
type Kind uint8

// The kinds.
const (
	KindTransition Kind = iota // it fires, or at another level
	KindRepeat                 // it still does
	KindResolved
	KindNoData
	NumKinds
)

// String returns transition, repeat, resolved or no_data.
func (k Kind) String() string {
	switch k {
	case KindTransition:
		return "transition"
	case KindRepeat:
		return "repeat"
	case KindResolved:
		return "resolved"
	default:
		return "no_data"
	}
}

func (c *Counters) add(d *Counters) {
	for k := range NumKinds {
		c.Announced[k] += d.Announced[k]
		c.Suppressed[k] += d.Suppressed[k]
	}
	c.Invalid += d.Invalid
	c.Stale += d.Stale
	c.Contended += d.Contended
	c.Refused += d.Refused
	c.Repeated += d.Repeated
	c.Overlapping += d.Overlapping
	c.Late += d.Late
}

// Stats are how much is remembered, and what was counted.
type Stats struct {
	Counters
	Pending   int            // violated, but not yet for long enough
	Firing    [NumLevels]int // by level
	Ended     int            // over, or never fired, and known for a while
	Quotas    int
	Streams   int // that contribute to quotas
	Suspended int // firing and never announced, because of rate limits
}

// Counters returns what was counted, and how many quotas there are, in constant time.
func (e *Engine) Counters() (c Counters, quotas int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats, len(e.quotas)
}

// NumLevels is the number of levels.
const NumLevels = Critical + 1

// Stats returns what is committed. It takes time linear in how much that is, and
// transactions go on in between: what it returns need not be of one instant.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	s := Stats{Counters: e.stats, Streams: e.streams}
	e.mu.Unlock()
	for i := range e.shards {
		e.mu.Lock()
		s.addShard(&e.shards[i])
		e.mu.Unlock()
	}
	return s
}

func (s *Stats) addShard(from *shard) {
	for _, n := range from.entries {
		switch l := n.state.level(); {
		case n.state.closed:
			s.Ended++
		case l == OK:
			s.Pending++
		default:
			s.Firing[l]++
			if n.state.said == OK {
				s.Suspended++
			}
		}
	}
	s.Quotas += len(from.quotas)
	for _, q := range from.quotas {
		if cur := &q.state.cur; cur.level != OK && !cur.ended {
			s.Firing[cur.level]++
			if cur.said == OK {
				s.Suspended++
			}
		}
	}
}
