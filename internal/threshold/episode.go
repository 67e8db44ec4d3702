package threshold

import (
	"slices"
	"time"
)

// A signal is whether a value is at least at a level, with delays: it turns only
// when what it follows was otherwise for that long.
type signal struct {
	on      bool
	turning bool
	turn    int64 // unix ns since when what it follows is otherwise; while turning
}

// feed tells the signal what is so at a time.
func (s *signal) feed(so bool, at int64, rise, fall time.Duration) {
	if so == s.on {
		s.turning, s.turn = false, 0
		return
	}
	if !s.turning {
		s.turning, s.turn = true, at
	}
	delay := rise
	if s.on {
		delay = fall
	}
	if at-s.turn >= int64(delay) {
		*s = signal{on: so}
	}
}

// An episode is what is remembered of a rule, a subject and a series: that it is
// violated (pending until For has passed), or that it was.
//
//	          For                        KeepFiringFor
//	pending --------> firing -------------------------------> closed -> forgotten
//	   |                 ^ | level changes, each with       ^   |
//	   |                 +-+ the same delays                |   | violated again:
//	   +----------------------------------------------------+   v another episode
type episode struct {
	rule    *Rule
	measure uint64 // of rule, so that one that measures something else is told apart after a restart
	subject Subject
	series  string

	vital
	last         int64 // unix ns of the last measurement
	value, limit float64
	restored     bool // read from a storage, and not measured since
	removed      bool // in a transaction: nothing is to be remembered
}

// vital is what must not be lost: when it changes, it is written.
type vital struct {
	warning, critical signal
	since             int64 // unix ns of the first measurement that violated
	was               Level // the last level that it was at
	closed            bool  // it is over
	silent            bool  // nothing is measured, and NoData was applied

	said    Level // the level that was announced last; OK: nothing was
	saidAt  int64
	offered offer             // see Prepare
	counts  [NumLevels]uint32 // of announcements at that level; at OK: of the others
	kept    kept
}

// kept says that a rate limit kept back what is to be said.
type kept struct {
	level  Level  // at which it fires; OK: nothing is kept back
	repeat bool   // of a repeat
	epoch  uint32 // of its bucket at the time
}

func (p *episode) level() Level {
	switch {
	case p.critical.on:
		return Critical
	case p.warning.on:
		return Warning
	default:
		return OK
	}
}

// begin makes p an episode in which nothing was measured yet.
func (p *episode) begin(rule *Rule, subject *Subject, series string) {
	*p = episode{rule: rule, measure: rule.measure(), series: series}
	p.subject = subject.clone()
}

// tag is the level of a value: that of the value alone or, while the episode
// fires and the value has not passed Clear, the lowest of the rule.
func (p *episode) tag(rule *Rule, value float64) Level {
	if level := rule.LevelOf(value); level != OK || p.closed || !p.warning.on || !rule.HasClear {
		return level
	}
	if rule.Direction == Below && value >= rule.Clear || rule.Direction != Below && value <= rule.Clear {
		return OK
	}
	if rule.HasWarning {
		return Warning
	}
	return Critical
}

// measured tells the episode a level.
func (p *episode) measured(level Level, at int64) {
	rule := p.rule
	if level != OK && !p.warning.on && !p.warning.turning {
		p.since = at
	}
	p.warning.feed(level >= Warning, at, rule.For, rule.KeepFiringFor)
	p.critical.feed(level >= Critical, at, rule.For, rule.KeepFiringFor)
	p.last, p.silent, p.restored = at, false, false
}

// setBack adapts the episode to a clock that was set back to a time: what is timed begins anew.
func (p *episode) setBack(at int64) {
	p.last = at
	p.saidAt = min(p.saidAt, at)
	for _, s := range [...]*signal{&p.warning, &p.critical} {
		s.turning, s.turn = false, 0
	}
}

// A step is something that happens by time alone.
type step uint8

const (
	stepNone     step = iota
	stepCritical      // it was below critical for KeepFiringFor
	stepWarning       // it was below warning for as long
	stepSilence       // nothing was measured for NoDataAfter
	stepForget        // nothing was measured for ForgetAfter
	stepPrune         // it has been over for Remember
)

// next returns what happens next by time alone, and when. resumed is when time
// went on after a restart, 0 while it has not: while nobody looked, that nothing
// was measured means nothing.
func (p *episode) next(cfg *Config, resumed int64) (step, int64) {
	if p.closed {
		return stepPrune, later(p.last, cfg.Remember)
	}
	what, when := stepNone, int64(0)
	at := func(s step, due int64) {
		if what == stepNone || due < when {
			what, when = s, due
		}
	}
	// Critical never falls after warning. Where both fall at once warning comes first and
	// takes critical with it, so that nothing is said of a warning that is over, too.
	if p.warning.on && p.warning.turning {
		at(stepWarning, later(p.warning.turn, p.rule.KeepFiringFor))
	}
	if p.critical.on && p.critical.turning {
		at(stepCritical, later(p.critical.turn, p.rule.KeepFiringFor))
	}
	last := p.last
	if p.restored {
		if resumed == 0 {
			return what, when
		}
		last = max(last, resumed)
	}
	if p.rule.NoDataAfter > 0 && !p.silent {
		at(stepSilence, later(last, p.rule.NoDataAfter))
	}
	at(stepForget, later(last, cfg.ForgetAfter))
	return what, when
}

// later adds a duration to a time, as far as there is time.
func later(at int64, d time.Duration) int64 {
	if sum := at + int64(d); sum >= at {
		return sum
	}
	return maxTime
}

// maxTime is the latest time that is believed, in the year 2255: all differences fit 64 bits.
const maxTime = int64(9e18)

func validTime(at int64) bool { return at > 0 && at <= maxTime }

func (s *Subject) clone() Subject {
	c := *s
	c.Labels = slices.Clone(s.Labels)
	return c
}

// same reports whether two subjects are the same to the byte.
func (s *Subject) same(other *Subject) bool {
	return s.InstanceID == other.InstanceID && s.UserID == other.UserID && s.OrgID == other.OrgID && slices.Equal(s.Labels, other.Labels)
}
