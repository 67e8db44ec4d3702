package threshold

import (
	"maps"
	"time"

	"github.com/google/uuid"
)

// quotaWork is a quota as a transaction has it.
type quotaWork struct {
	quota  *quota
	writes uint64 // of quota when the work began
	state  quotaState
	marks  map[uuid.UUID]mark // those that the transaction changed
	added  []Usage
}

func (w *quotaWork) reset() {
	clear(w.marks)
	*w = quotaWork{marks: w.marks, added: w.added[:0]}
}

// AddUsage adds what an instance used of what a rule with a window adds up, and
// returns the level that the window is at now. Call it once for each period of
// an instance and series: the amounts of devices that the rule takes together are
// added up before.
//
// A period counts once: its (stream, sequence) is remembered. One that goes over
// the end of a window is spread over both by time, to the unit. One of the window
// before is added to that; of an earlier one it is counted (Late) and left out.
//
// Each level of a window is announced once, and when the window ends, which a
// later period or a Tick tells, that it is resolved. For, KeepFiringFor, Clear and
// RepeatInterval are not for quotas. Nor is [Below]: a quota begins at 0, so
// it would always be violated first, and nothing is done.
//
// A rule of [WindowPeriod] adds nothing up. Its periods are measurements, like those that
// Observe takes, at the end of the period.
func (tx *Tx) AddUsage(rule *Rule, subject *Subject, series string, u Usage) Level {
	if tx.work == nil {
		return OK
	}
	e := tx.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if !u.valid() {
		tx.work.stats.Invalid++
		return OK
	}
	if !rule.Calendar() {
		return tx.observePeriod(rule, subject, series, &u)
	}
	if rule.Direction == Below {
		return OK
	}
	owner, id := rule.subjectOf(subject)
	if id == "" && (rule.Per == PerUser || rule.Per == PerOrg) {
		return OK
	}
	w := tx.quota(rule, &owner, key{rule.ID, id, series})
	if w == nil {
		tx.work.stats.Refused++
		return OK
	}
	if verdict := tx.take(w, &u); verdict != isNew {
		return w.state.cur.level
	}
	w.added = append(w.added, u)
	late := w.state.spread(&u, func(start, end int64) { tx.enter(w, start, end) }, func(win *window) { tx.judge(w, win, u.End) })
	if late {
		tx.work.stats.Late++
	}
	return w.state.cur.level
}

// observePeriod judges a period by itself. Of an amount that grows with the length
// of the period it takes the share of a usual one.
func (tx *Tx) observePeriod(rule *Rule, subject *Subject, series string, u *Usage) Level {
	amount := float64(u.Amount)
	if rule.Measure.Combine != Over && !rule.Measure.PerSecond {
		length, usual := float64(u.End-u.Start), float64(tx.engine.cfg.Period)
		switch {
		case usual > 0 && length > usual:
			amount *= usual / length
		case usual == 0:
			amount /= float64(u.Sequence-u.First) + 1
		}
	}
	value, limit, ok := rule.Value(amount, float64(u.Allotment), time.Duration(u.End-u.Start).Seconds())
	if !ok {
		return OK
	}
	return tx.observe(rule, subject, series, value, limit, u.End)
}

// quota returns a quota to work on, or nil where there is no room.
func (tx *Tx) quota(rule *Rule, owner *Subject, k key) *quotaWork {
	e := tx.engine
	q := e.quotas[k]
	if q == nil {
		if len(e.quotas) >= e.cfg.MaxQuotas {
			return nil
		}
		q = &quota{key: k.clone(), marks: map[uuid.UUID]mark{}, timer: timer{index: -1}}
		q.timer.quota = q
		q.spot.shard = shardOf(k.subject)
		e.quotas[q.key] = q
	}
	w := tx.openQuota(q)
	s := &w.state
	if !s.removed && s.rule != rule {
		if rule.measure() != s.measure {
			tx.endQuota(w, s.last, RuleChanged)
		} else {
			s.rule = rule
		}
	}
	if s.removed {
		*s = quotaState{rule: rule, measure: rule.measure(), judged: rule, values: rule.values(), series: q.key.series, subject: owner.clone()}
	} else if !s.subject.same(owner) {
		s.subject = owner.clone()
	}
	if s.judged != rule {
		s.judged = rule
		if values := rule.values(); values != s.values {
			s.values = values
			tx.judgeAnew(w, &s.cur, s.last)
		}
	}
	return w
}

// openQuota returns the transaction's own state of a quota.
func (tx *Tx) openQuota(q *quota) *quotaWork {
	if q.users > 0 {
		if w := tx.work.byQuota[q]; w != nil {
			return w
		}
	}
	var w *quotaWork
	if last := len(tx.work.spare) - 1; last >= 0 {
		w, tx.work.spare = tx.work.spare[last], tx.work.spare[:last]
	} else {
		w = &quotaWork{marks: map[uuid.UUID]mark{}}
	}
	w.quota, w.writes, w.state = q, q.writes, q.state
	w.state.removed = !q.exists
	q.users++
	tx.work.quotas = append(tx.work.quotas, w)
	tx.work.byQuota[q] = w
	return w
}

// take remembers that a period is added, if it was not before.
func (tx *Tx) take(w *quotaWork, u *Usage) verdict {
	m, ok := w.marks[u.Stream]
	if !ok {
		m, ok = w.quota.marks[u.Stream]
	}
	if !ok {
		if tx.engine.streams+tx.work.streams >= tx.engine.cfg.MaxStreams {
			tx.work.stats.Refused++
			return isAmbiguous
		}
		tx.work.streams++
	}
	verdict := m.take(u.First, u.Sequence, u.End)
	switch verdict {
	case isRepeated:
		tx.work.stats.Repeated++
	case isAmbiguous:
		tx.work.stats.Overlapping++
	default:
		w.marks[u.Stream] = m
	}
	return verdict
}

// enter makes another window the current one.
func (tx *Tx) enter(w *quotaWork, start, end int64) {
	if w.state.cur.end != 0 {
		tx.endWindow(w, &w.state.cur, w.state.cur.end, WindowEnded)
	}
	w.state.reach(start, end)
}

// judge says of a window what there is to say.
func (tx *Tx) judge(w *quotaWork, win *window, at int64) {
	value, _, ok := w.state.value(win)
	if !ok {
		return
	}
	win.level = max(win.level, w.state.rule.LevelOf(value))
	if win.level <= win.said {
		return
	}
	before := win.said
	tx.sayQuota(w, win, Firing, win.level, at, Measured)
	if win.ended && win.said != before { // what came late is said, and that it is over
		tx.sayQuota(w, win, Resolved, win.said, at, WindowEnded)
	}
}

// judgeAnew judges a window by a rule whose values changed, which may take back what was said.
func (tx *Tx) judgeAnew(w *quotaWork, win *window, at int64) {
	win.level = OK
	if value, _, ok := w.state.value(win); ok {
		win.level = w.state.rule.LevelOf(value)
	}
	switch {
	case win.level == win.said || win.ended:
	case win.level == OK:
		tx.sayQuota(w, win, Resolved, win.said, at, RuleChanged)
		win.said = OK
	default:
		tx.sayQuota(w, win, Firing, win.level, at, Measured)
	}
}

// endWindow says that a window is over, if it ever said that there was something.
func (tx *Tx) endWindow(w *quotaWork, win *window, at int64, why Reason) {
	if win.ended || win.end == 0 {
		return
	}
	win.ended = true
	if win.said != OK {
		tx.sayQuota(w, win, Resolved, win.said, at, why)
	}
}

// endQuota ends all of a quota.
func (tx *Tx) endQuota(w *quotaWork, at int64, why Reason) {
	tx.endWindow(w, &w.state.cur, at, why)
	w.state.removed = true
}

func (tx *Tx) sayQuota(w *quotaWork, win *window, state State, level Level, at int64, why Reason) {
	s := &w.state
	kind := kindOf(state, false)
	mark := &win.kept
	if kind == KindResolved {
		mark = nil
	} else if mark.level != level {
		*mark = kept{}
	}
	suppressed, ok := tx.allow(s.rule, &s.subject, at, kind == KindResolved, mark)
	if !ok {
		if mark.level == OK {
			tx.work.stats.Suppressed[kind]++
		}
		mark.level = level
		return
	}
	win.kept = kept{}
	counter := &win.counts[OK]
	if state == Firing {
		win.said = level
		counter = &win.counts[level]
	}
	value, limit, _ := s.value(win)
	tx.announce(Announcement{
		Episode: episodeID(w.quota.key, win.start),
		Rule:    s.rule, Subject: s.subject.clone(), Series: s.series,
		State: state, Reason: why, Level: level, Value: value, Limit: limit,
		At: at, Since: win.start, Count: *counter,
		Window: s.rule.Window, WindowStart: win.start, WindowEnd: win.end, Suppressed: suppressed,
	}, kind)
	*counter++
}

// tickQuota ends a window whose time is over, and forgets a quota to which nothing is added any more.
func (tx *Tx) tickQuota(q *quota, at int64) {
	e := tx.engine
	w := tx.openQuota(q)
	s := &w.state
	switch {
	case q.gone != Measured:
		if _, why := e.inForce(q.key.rule, &s.subject, s.rule, s.measure); why != Measured {
			tx.endQuota(w, max(at, s.last), why)
		}
	default:
		if s.cur.end <= at {
			tx.endWindow(w, &s.cur, s.cur.end, WindowEnded)
		}
		if s.cur.ended && e.expiry(s) <= at {
			s.removed = true
		}
	}
}

// dueQuota returns when something happens to a quota by time alone.
func (e *Engine) dueQuota(q *quota, s *quotaState) int64 {
	switch {
	case q.gone != Measured:
		return 0
	case !s.cur.ended:
		return s.cur.end
	default:
		return e.expiry(s)
	}
}

// expiry returns when a quota is forgotten: when its window would be too old to
// be added to, but not before what waits somewhere for a while could come.
func (e *Engine) expiry(s *quotaState) int64 {
	length := s.cur.end - s.cur.start
	return max(later(s.cur.end, e.cfg.QuotaRetention), min(s.cur.end+length, maxTime))
}

// settleQuota ends the work on a quota.
func (e *Engine) settleQuota(w *quotaWork, commit, reloaded bool) {
	q := w.quota
	q.users--
	if commit {
		if q.writes == w.writes {
			e.commitQuota(q, w)
		} else {
			e.mergeQuota(q, w)
		}
		q.writes++
		if reloaded || q.gone != Measured {
			e.reviewQuota(q)
		}
	}
	if !q.exists {
		if q.users == 0 {
			delete(e.quotas, q.key)
			e.timers.remove(&q.timer)
		}
		return
	}
	e.timers.set(&q.timer, e.dueQuota(q, &q.state))
}

func (e *Engine) commitQuota(q *quota, w *quotaWork) {
	if w.state.removed {
		e.dropQuota(q)
		return
	}
	if w.state.measure != q.state.measure || w.state.cur.start > q.state.cur.start {
		e.forgetStreams(q, w.state.earliest())
	}
	if w.state.measure != q.state.measure {
		e.streams -= len(q.marks)
		clear(q.marks)
	}
	q.state = w.state
	before := len(q.marks)
	maps.Copy(q.marks, w.marks)
	e.streams += len(q.marks) - before
	e.keepQuota(q)
}

// mergeQuota adds to a quota that another transaction changed in between. What both
// announced they announced under the same ids.
func (e *Engine) mergeQuota(q *quota, w *quotaWork) {
	if w.state.removed || q.exists && q.state.measure != w.state.measure {
		return // the other one knew better; the next tick or measurement sees to it
	}
	if !q.exists {
		q.state = quotaState{rule: w.state.rule, measure: w.state.measure, subject: w.state.subject, series: w.state.series}
	}
	for i := range w.added {
		u := &w.added[i]
		m, known := q.marks[u.Stream]
		if m.take(u.First, u.Sequence, u.End) != isNew {
			continue
		}
		if !known {
			e.streams++
		}
		q.marks[u.Stream] = m
		q.state.spread(u, func(start, end int64) { q.state.reach(start, end) }, func(*window) {})
	}
	for _, theirs := range [...]*window{&w.state.cur, &w.state.prev} {
		for _, ours := range [...]*window{&q.state.cur, &q.state.prev} {
			if ours.end != 0 && ours.start == theirs.start {
				ours.said, ours.level = max(ours.said, theirs.said), max(ours.level, theirs.level)
				ours.ended = ours.ended || theirs.ended
				for l := range ours.counts {
					ours.counts[l] = max(ours.counts[l], theirs.counts[l])
				}
			}
		}
	}
	e.keepQuota(q)
}

func (e *Engine) keepQuota(q *quota) {
	if !q.exists {
		q.exists = true
		e.shards[q.spot.shard].addQuota(q)
	}
	e.dirty[q.spot.shard] = struct{}{}
}

// dropQuota forgets all of a quota, which stays as long as transactions work on it.
func (e *Engine) dropQuota(q *quota) {
	e.streams -= len(q.marks)
	clear(q.marks)
	q.state, q.gone = quotaState{}, Measured
	if q.exists {
		q.exists = false
		e.shards[q.spot.shard].removeQuota(q)
		e.dirty[q.spot.shard] = struct{}{}
	}
}

// forgetStreams forgets what was added to windows that nothing is added to any more:
// what comes again is too late.
func (e *Engine) forgetStreams(q *quota, before int64) {
	for s, m := range q.marks {
		if m.end <= before {
			delete(q.marks, s)
			e.streams--
		}
	}
}

// reviewQuota judges a quota by the rules in force.
func (e *Engine) reviewQuota(q *quota) {
	if !q.exists {
		return
	}
	rule, why := e.inForce(q.key.rule, &q.state.subject, q.state.rule, q.state.measure)
	if rule != nil && rule != q.state.rule {
		q.state.rule = rule
		e.dirty[q.spot.shard] = struct{}{}
	}
	q.gone = why
	if why != Measured {
		e.timers.set(&q.timer, 0)
	}
}
