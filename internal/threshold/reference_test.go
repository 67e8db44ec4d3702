package threshold_test

import (
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// An input is one thing that happened to one rule, subject and series, in the order in which it was committed.
type input struct {
	kind  inputKind
	at    int64
	value float64
	rule  *threshold.Rule // in force from here on; nil: removed
}

type inputKind int

const (
	measured inputKind = iota
	ticked
	restarted
	reloaded
)

// sample is an accepted measurement of an episode.
type sample struct {
	at    int64
	level threshold.Level
}

// reference says what an engine without rate limits should have said, from the
// whole history, looking back over all of it at every step. It knows no timers,
// no signals and no transactions.
type reference struct {
	rule    *threshold.Rule
	history []sample // of the episode, pending or not
	fired   []threshold.Level
	known   bool // there was an episode, or could have been one
	done    bool // it is over
	last    int64
	said    threshold.Level
	saidAt  int64
	silent  bool
	removed bool
	asleep  bool  // nothing was measured since a restart
	woke    int64 // the first tick after it
	out     []said
}

func refer(inputs []input) []said {
	r := &reference{done: true}
	for _, in := range inputs {
		switch in.kind {
		case reloaded:
			r.removed = in.rule == nil
			if in.rule != nil {
				r.rule = in.rule
			}
		case restarted:
			r.asleep, r.woke = true, 0
		case ticked:
			if r.woke == 0 {
				r.woke = in.at
			}
			if r.removed && !r.done {
				r.finish(max(in.at, r.last), threshold.RuleRemoved)
			}
			r.passTo(in.at)
		case measured:
			r.rule = in.rule
			r.measure(in.value, in.at)
		}
	}
	return r.out
}

func (r *reference) now() threshold.Level {
	if len(r.fired) == 0 {
		return threshold.OK
	}
	return r.fired[len(r.fired)-1]
}

func (r *reference) measure(value float64, at int64) {
	if at <= r.last && r.known {
		return // not newer
	}
	if !r.done {
		r.passTo(at)
	}
	level := r.rule.LevelOf(value)
	if r.done {
		if level == threshold.OK {
			return
		}
		*r = reference{rule: r.rule, removed: r.removed, woke: r.woke, out: r.out, known: true}
	}
	inBand := r.rule.HasClear && value > r.rule.Clear
	if level == threshold.OK && r.now() != threshold.OK && inBand {
		level = threshold.Warning
	}
	r.history = append(r.history, sample{at, level})
	r.last, r.silent, r.asleep = at, false, false
	next := threshold.OK
	for _, l := range []threshold.Level{threshold.Warning, threshold.Critical} {
		on := r.now() >= l
		since := r.run(l)
		if !on && level >= l && at-since >= int64(r.rule.For) {
			on = true
		} else if on && level < l && at-since >= int64(r.rule.KeepFiringFor) {
			on = false
		}
		if on {
			next = l
		}
	}
	r.become(next, at, threshold.Measured)
	if !r.done && next != threshold.OK && r.said == next && level != threshold.OK && r.rule.RepeatInterval > 0 && at-r.saidAt >= int64(r.rule.RepeatInterval) {
		r.say(threshold.Firing, next, at, threshold.Measured)
	}
	if r.now() == threshold.OK && level == threshold.OK && !r.done {
		r.forget()
	}
}

// run is since when the last samples are all on the same side of a level.
func (r *reference) run(l threshold.Level) int64 {
	i := len(r.history) - 1
	for i > 0 && (r.history[i-1].level >= l) == (r.history[i].level >= l) {
		i--
	}
	return r.history[i].at
}

func (r *reference) become(l threshold.Level, at int64, why threshold.Reason) {
	was := r.now()
	if l == was {
		return
	}
	r.fired = append(r.fired, l)
	if l == threshold.OK {
		r.say(threshold.Resolved, was, at, why)
		r.done, r.last = true, max(r.last, at)
		return
	}
	r.say(threshold.Firing, l, at, threshold.Measured)
}

func (r *reference) finish(at int64, why threshold.Reason) {
	if r.now() == threshold.OK {
		r.forget()
		return
	}
	r.become(threshold.OK, at, why)
}

func (r *reference) forget() { r.done, r.fired, r.history = true, nil, nil }

func (r *reference) say(s threshold.State, l threshold.Level, at int64, why threshold.Reason) {
	r.out = append(r.out, said{s, l, at - t0, why})
	if s == threshold.Firing {
		r.said, r.saidAt = l, at
	}
}

// passTo has happen what is due, one after the other.
func (r *reference) passTo(at int64) {
	for !r.done {
		type due struct {
			at  int64
			why int
		}
		var all []due
		lastLevel := r.history[len(r.history)-1].level
		for why, l := range []threshold.Level{threshold.Warning, threshold.Critical} {
			if r.now() >= l && lastLevel < l {
				all = append(all, due{r.run(l) + int64(r.rule.KeepFiringFor), why})
			}
		}
		if base := r.base(); base != 0 {
			if r.rule.NoDataAfter > 0 && !r.silent {
				all = append(all, due{base + int64(r.rule.NoDataAfter), 2})
			}
			all = append(all, due{base + int64(7*24*time.Hour), 3})
		}
		if len(all) == 0 {
			return
		}
		first := slices.MinFunc(all, func(a, b due) int {
			if a.at != b.at {
				return int(min(max(a.at-b.at, -1), 1))
			}
			return a.why - b.why
		})
		if first.at > at {
			return
		}
		switch first.why {
		case 0:
			r.become(threshold.OK, first.at, threshold.Measured)
		case 1:
			r.become(threshold.Warning, first.at, threshold.Measured)
		case 2:
			r.silence(first.at)
		default:
			r.finish(first.at, threshold.Forgotten)
		}
	}
}

// base is since when nothing is measured; 0 while nobody looked.
func (r *reference) base() int64 {
	last := r.history[len(r.history)-1].at
	if !r.asleep {
		return last
	}
	if r.woke == 0 {
		return 0
	}
	return max(last, r.woke)
}

func (r *reference) silence(at int64) {
	r.silent = true
	if r.now() == threshold.OK {
		r.forget()
		return
	}
	if r.now() == threshold.Warning { // critical that did not last long enough begins anew
		for i := range r.history {
			r.history[i].level = min(r.history[i].level, threshold.Warning)
		}
	}
	switch r.rule.NoData {
	case threshold.NoDataResolve:
		r.finish(at, threshold.NotMeasured)
	case threshold.NoDataNotify:
		r.say(threshold.NoneSeen, r.now(), at, threshold.Measured)
	}
}
