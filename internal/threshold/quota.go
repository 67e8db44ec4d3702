package threshold

import (
	"math"
	"time"

	"github.com/google/uuid"
)

// Usage is what one instance used of one thing in one period.
type Usage struct {
	Stream   uuid.UUID // whose period it is
	First    uint64    // sequence of the first of the periods that it was joined from
	Sequence uint64    // and of the last, or its own
	Start    int64     // unix ns, of the period: [Start, End)
	End      int64
	Amount   int64 // in the unit of the rule's Measure
	// Allotment is what [Rule.Value] takes as the other amount; 0 where the Measure
	// has none.
	Allotment int64
}

func (u *Usage) valid() bool {
	return validTime(u.Start) && validTime(u.End) && u.Start <= u.End && u.First <= u.Sequence && u.Amount >= 0 && u.Allotment >= 0
}

// value is what a rule compares of the amounts of a window.
func (s *quotaState) value(w *window) (value, limit float64, ok bool) {
	return s.rule.Value(float64(w.amount), float64(w.allotment), time.Duration(w.end-w.start).Seconds())
}

// A quota is what is remembered of the amounts of a rule, a subject and a series.
type quota struct {
	key    key
	state  quotaState
	exists bool
	marks  map[uuid.UUID]mark // what was added, by stream
	gone   Reason
	users  int    // transactions that work on it
	writes uint64 // counts commits, so that a transaction notices another one's
	spot   spot
	timer  timer
}

// quotaState is a value, so that a transaction can have its own.
type quotaState struct {
	rule    *Rule
	measure uint64
	judged  *Rule  // by whose values levels are; after a restart there is only:
	values  uint64 // a hash of them
	subject Subject
	series  string
	// cur is the latest window to which something was added, prev the one right
	// before it. An absent one has neither start nor end.
	cur, prev window
	last      int64 // unix ns of the latest end of a period
	removed   bool  // in a transaction
}

// A window is one stretch of the calendar, and what was used in it.
type window struct {
	start, end        int64 // unix ns
	amount, allotment int64
	level             Level             // the highest that it was at; it stays until the end
	said              Level             // the one announced last
	ended             bool              // it is over, which was said if anything was
	counts            [NumLevels]uint32 // of announcements at that level; at OK: that it is over
	kept              kept
}

func (w *window) has(at int64) bool { return w.start <= at && at < w.end }

// subjectOf returns whose amounts a rule adds up, and the key of that. An
// instance without an owner has none where it is per owner.
func (r *Rule) subjectOf(s *Subject) (Subject, string) {
	switch r.Per {
	case PerUser:
		return Subject{UserID: s.UserID}, s.UserID
	case PerOrg:
		return Subject{OrgID: s.OrgID}, s.OrgID
	default:
		return *s, s.InstanceID
	}
}

// reach makes cur the window that has a time after it, and says which was cur before.
func (s *quotaState) reach(start, end int64) {
	next := window{start: start, end: end}
	if s.cur.end == start {
		s.prev = s.cur
	} else {
		s.prev = window{}
	}
	s.cur = next
}

// find returns the window that has a time, if it is kept. The one right before
// cur is kept though nothing was added to it.
func (s *quotaState) find(at int64) *window {
	switch {
	case s.cur.has(at):
		return &s.cur
	case s.prev.has(at):
		return &s.prev
	case s.prev.end != 0 || at >= s.cur.start:
		return nil
	}
	if start, end := bounds(s.rule.Window, s.rule.zone(), at); end == s.cur.start {
		s.prev = window{start: start, end: end, ended: true}
		return &s.prev
	}
	return nil
}

// part is what of amount falls between two times, in a period in which it came
// evenly. Parts are differences of shares, rounded down, from the start on, so that
// those of neighbors add up to amount.
func (u *Usage) part(amount, from, to int64) int64 {
	share := func(at int64) int64 {
		if at >= u.End {
			return amount
		}
		return mulDiv(amount, at-u.Start, u.End-u.Start)
	}
	if from <= u.Start {
		return share(to)
	}
	return share(to) - share(from)
}

// spread visits the windows over which a period goes, from the earliest that is
// kept, with the parts that fall into them. Those in between the last two and the ones
// kept so far are left out: nobody measured them apart, so there is nothing to judge.
// It reports whether something was left out, or came too late.
func (s *quotaState) spread(u *Usage, enter func(start, end int64), visit func(w *window)) (late bool) {
	zone, kind := s.rule.zone(), s.rule.Window
	last := u.End
	if u.End > u.Start {
		last--
	}
	at := u.Start
	if s.cur.end == 0 {
		enter(bounds(kind, zone, at))
	}
	for at <= last {
		w := s.find(at)
		if w == nil && at < s.cur.start {
			late = true
			at = s.earliest()
			continue
		}
		if w == nil {
			// Beyond cur: the two last windows of the period are enough.
			start, end := bounds(kind, zone, at)
			if end <= last {
				lastStart, _ := bounds(kind, zone, last)
				before, _ := bounds(kind, zone, lastStart-1)
				if start < before {
					late = true
					at = before
					start, end = bounds(kind, zone, at)
				}
			}
			enter(start, end)
			w = &s.cur
		}
		w.amount = addSaturating(w.amount, u.part(u.Amount, at, w.end))
		w.allotment = addSaturating(w.allotment, u.part(u.Allotment, at, w.end))
		visit(w)
		at = w.end
	}
	s.last = max(s.last, u.End)
	return late
}

// earliest is the start of the earliest window to which anything is added still.
func (s *quotaState) earliest() int64 {
	if s.prev.end != 0 {
		return s.prev.start
	}
	start, _ := bounds(s.rule.Window, s.rule.zone(), s.cur.start-1)
	return start
}

func addSaturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
