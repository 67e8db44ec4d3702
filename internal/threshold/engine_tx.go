package threshold

import (
	"math"
	"time"
)

// A Tx is a transaction: what one batch of metrics changes. It is used by one
// goroutine, and ends with [Tx.Commit] or [Tx.Rollback]; after that it does nothing.
type Tx struct {
	engine *Engine
	work   *work // nil when it is over
	said   []Announcement
	// reloads is Engine.reloads when it began.
	reloads uint64
}

// work is the memory of a transaction; engines keep it for the next one.
type work struct {
	claimed  []*entry
	episodes []*episode // as many as were ever claimed at once
	quotas   []*quotaWork
	byQuota  map[*quota]*quotaWork
	spare    []*quotaWork
	buckets  map[bucketKey]bucketWork
	stats    Counters
	streams  int // new ones
	skipped  []*timer
}

// Begin starts a transaction. It never waits.
func (e *Engine) Begin() *Tx {
	e.mu.Lock()
	defer e.mu.Unlock()
	tx := &Tx{engine: e, reloads: e.reloads}
	if last := len(e.free) - 1; last >= 0 {
		tx.work, e.free = e.free[last], e.free[:last]
	} else {
		tx.work = &work{buckets: map[bucketKey]bucketWork{}, byQuota: map[*quota]*quotaWork{}}
	}
	return tx
}

// Observe tells the engine a measurement: the value in the rule's Unit, what 100 %
// is in the metric's own (0 where it is not known), and the unix ns of the data.
// It returns the level of the point: that of the value alone, or while an
// episode fires and the value has not passed Clear, the rule's lowest.
//
// The rule is one that is enabled and for the subject, which the engine copies
// where it remembers it. A value that is no finite number, or a time before 1970
// or after 2255, is not a measurement. One that is not newer than the last one of
// the same rule, subject and series changes nothing, unless it is older by more
// than MaxBackwards: then the clock was set, and what is timed begins anew.
//
// It does not allocate, and looks up one map, where nothing is violated or was.
func (tx *Tx) Observe(rule *Rule, subject *Subject, series string, value, limit float64, at int64) Level {
	if tx.work == nil {
		return rule.LevelOf(value)
	}
	tx.engine.mu.Lock()
	defer tx.engine.mu.Unlock()
	return tx.observe(rule, subject, series, value, limit, at)
}

func (tx *Tx) observe(rule *Rule, subject *Subject, series string, value, limit float64, at int64) Level {
	e := tx.engine
	if math.IsNaN(value) || math.IsInf(value, 0) {
		tx.work.stats.Invalid++
		return OK
	}
	alone := rule.LevelOf(value)
	if !validTime(at) {
		tx.work.stats.Invalid++
		return alone
	}
	n := e.entries[key{rule.ID, subject.InstanceID, series}]
	if n == nil {
		if alone == OK {
			return OK
		}
		if n = e.admit(key{rule.ID, subject.InstanceID, series}); n == nil {
			tx.work.stats.Refused++
			return alone
		}
	}
	if n.tx != nil && n.tx != tx {
		tx.work.stats.Contended++
		if n.exists {
			return n.state.tag(rule, value)
		}
		return alone
	}
	there, now := n.there(), n.now()
	if there {
		back := now.last - at
		if back >= 0 && back <= int64(e.cfg.MaxBackwards) {
			tx.work.stats.Stale++
			return now.tag(rule, value)
		}
	}
	if alone == OK && (!there || now.closed) {
		return OK
	}

	if there && now.closed && n.over != nil && !n.begun {
		if !e.room() {
			tx.work.stats.Refused++
			return alone
		}
		n.begun = true
		e.begun++
	}
	p := tx.claim(n)
	if !p.removed && !p.closed {
		if p.rule != rule {
			if rule.measure() != p.measure {
				tx.end(n, at, RuleChanged)
			} else {
				p.rule = rule
			}
		}
		if at <= p.last {
			p.setBack(at)
		} else {
			tx.advance(n, at)
		}
	}
	if p.removed || p.closed {
		if alone == OK {
			return OK
		}
		p.begin(rule, subject, n.key.series)
	}
	if !p.subject.same(subject) {
		p.subject = subject.clone()
	}
	level := p.tag(rule, value)
	p.measured(level, at)
	p.value, p.limit = value, limit
	tx.settle(n, level, at, Measured)
	return level
}

// claim makes an entry this transaction's own and returns its episode to work on.
func (tx *Tx) claim(n *entry) *episode {
	if n.tx == tx {
		return n.work
	}
	w := tx.work
	if len(w.claimed) == len(w.episodes) {
		w.episodes = append(w.episodes, &episode{})
	}
	n.work = w.episodes[len(w.claimed)]
	w.claimed = append(w.claimed, n)
	n.tx = tx
	if n.exists {
		*n.work = n.state
	} else {
		*n.work = episode{removed: true}
	}
	return n.work
}

// Tick tells the engine the time, unix ns, so that what ends by time alone ends.
// Announcements carry the time at which it was due, whenever the tick comes.
func (tx *Tx) Tick(at int64) {
	if tx.work == nil || !validTime(at) {
		return
	}
	e := tx.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resumed == 0 {
		e.resumed = at
		for _, n := range e.entries { // the restored ones had no time at which nothing is known of them
			e.schedule(n)
		}
	}
	tx.schedule()
	for len(e.timers) > 0 && e.timers[0].due <= at {
		t := e.timers[0]
		rang := t.due
		e.timers.remove(t)
		if t.entry != nil && t.entry.tx != nil && t.entry.tx != tx {
			tx.work.skipped = append(tx.work.skipped, t) // left to a later tick
			continue
		}
		due, ok := tx.due(t)
		switch {
		case !ok:
		case due > rang: // it was put off; order is that of what is really due
			e.timers.set(t, due)
		case t.quota != nil:
			tx.tickQuota(t.quota, at)
		default:
			tx.tickEntry(t.entry, at)
		}
	}
	for i, t := range tx.work.skipped {
		e.timers.set(t, t.due)
		tx.work.skipped[i] = nil
	}
	tx.work.skipped = tx.work.skipped[:0]
}

// schedule has timers ring for what the transaction did so far. Should it be
// rolled back they ring early, which does no harm.
func (tx *Tx) schedule() {
	e := tx.engine
	for _, n := range tx.work.claimed {
		if n.work.removed {
			continue
		}
		if due, ok := e.dueEntry(n, n.work); ok {
			e.timers.set(&n.timer, due)
		}
	}
	for _, w := range tx.work.quotas {
		if !w.state.removed {
			e.timers.set(&w.quota.timer, e.dueQuota(w.quota, &w.state))
		}
	}
}

// due returns when something happens to what a timer is for, as the transaction sees it.
func (tx *Tx) due(t *timer) (int64, bool) {
	if n := t.entry; n != nil {
		if !n.there() {
			return 0, false
		}
		return tx.engine.dueEntry(n, n.now())
	}
	q := t.quota
	if w := tx.work.byQuota[q]; w != nil {
		return tx.engine.dueQuota(q, &w.state), !w.state.removed
	}
	return tx.engine.dueQuota(q, &q.state), q.exists
}

func (tx *Tx) tickEntry(n *entry, at int64) {
	e := tx.engine
	p := tx.claim(n)
	if n.gone != Measured && !p.closed {
		if _, why := e.inForce(n.key.rule, &p.subject, p.rule, p.measure); why != Measured {
			tx.end(n, max(at, p.last), why)
			return
		}
	}
	tx.advance(n, at)
}

// advance has happen what happens by time alone up to a time.
func (tx *Tx) advance(n *entry, at int64) {
	p := n.work
	for !p.removed {
		s, due := p.next(&tx.engine.cfg, tx.engine.resumed)
		if s == stepNone || due > at {
			return
		}
		switch s {
		case stepCritical:
			p.critical = signal{}
			tx.settle(n, OK, due, Measured)
		case stepWarning:
			p.warning, p.critical = signal{}, signal{}
			tx.settle(n, OK, due, Measured)
		case stepSilence:
			tx.silence(n, due)
		case stepForget:
			tx.end(n, due, Forgotten)
		case stepPrune:
			p.removed = true
		}
	}
}

// silence applies NoData.
func (tx *Tx) silence(n *entry, at int64) {
	p := n.work
	if !p.warning.on && p.offered.made {
		tx.end(n, at, NotMeasured)
		return
	}
	if !p.warning.on { // nobody knows whether it stayed so
		p.warning, p.critical, p.closed = signal{}, signal{}, true
		return
	}
	if !p.critical.on {
		p.critical = signal{}
	}
	switch p.rule.NoData {
	case NoDataResolve:
		tx.end(n, at, NotMeasured)
	case NoDataNotify:
		p.silent = true
		if p.said != OK {
			tx.say(n, NoneSeen, p.said, at, Measured)
		}
	default:
		p.silent = true
	}
}

// end ends an episode whatever its values are.
func (tx *Tx) end(n *entry, at int64, why Reason) {
	p := n.work
	p.warning, p.critical = signal{}, signal{}
	tx.settle(n, OK, at, why)
}

// settle says what is to be said now. seen is what the measurement was, OK without one.
func (tx *Tx) settle(n *entry, seen Level, at int64, why Reason) {
	p := n.work
	level := p.level()
	p.assume(level)
	switch {
	case level == OK && p.was == OK: // it never fired
		p.closed = !p.warning.turning
	case level == OK:
		p.closed = true
		p.last = max(p.last, at)
		if p.said != OK {
			tx.say(n, Resolved, p.was, at, why)
		}
	case level != p.said:
		p.was = level
		tx.say(n, Firing, level, at, Measured)
	default:
		p.was = level
		if !p.kept.repeat {
			p.kept = kept{}
		}
		repeat := p.rule.RepeatInterval
		if seen != OK && repeat > 0 && at-p.saidAt >= int64(repeat) {
			tx.say(n, Firing, level, at, Measured)
		}
	}
}

// Announcements returns what there is to say, in the order in which it happened.
// It stays as it is when the transaction ends.
func (tx *Tx) Announcements() []Announcement { return tx.said }

// Commit makes what the transaction did what is remembered. Call it when the next
// consumer has taken the batch.
func (tx *Tx) Commit() { tx.finish(true) }

// Rollback makes it as if the transaction had not been. Both may be called after
// either, to no effect.
func (tx *Tx) Rollback() { tx.finish(false) }

func (tx *Tx) finish(commit bool) {
	if tx.work == nil {
		return
	}
	e, w := tx.engine, tx.work
	e.mu.Lock()
	defer e.mu.Unlock()
	tx.work = nil
	for i, n := range w.claimed {
		e.settle(n, commit, tx.reloads != e.reloads)
		*w.episodes[i] = episode{}
		w.claimed[i] = nil
	}
	w.claimed = w.claimed[:0]
	for i, q := range w.quotas {
		e.settleQuota(q, commit, tx.reloads != e.reloads)
		q.reset()
		w.quotas[i] = nil
		w.spare = append(w.spare, q)
	}
	w.quotas = w.quotas[:0]
	if commit {
		e.evict()
		e.limits.commit(w.buckets, e.cfg.MaxEpisodes)
		e.stats.add(&w.stats)
	}
	clear(w.buckets)
	clear(w.byQuota)
	w.stats, w.streams = Counters{}, 0
	if len(e.free) < maxFree && cap(w.claimed) <= e.cfg.MaxEpisodes {
		e.free = append(e.free, w)
	}
}

// maxFree is how many transactions at a time find memory of earlier ones.
const maxFree = 8

// lag is by how much what is written may be behind the last measurement, where
// nothing else changed. After a restart it matters for ForgetAfter alone.
const lag = int64(15 * time.Minute)

// settle ends the work on an entry.
func (e *Engine) settle(n *entry, commit, reloaded bool) {
	done := n.work
	undo := n.undo
	n.tx, n.work, n.undo = nil, nil, nil
	if n.begun {
		n.begun = false
		e.begun--
	}
	switch {
	case !commit:
		if !n.exists {
			e.drop(n)
			return
		}
		if undo != nil {
			n.state.vital = *undo
			e.dirty[n.spot.shard] = struct{}{}
			if reloaded {
				e.review(n)
			}
		}
	case done.removed:
		e.drop(n)
		return
	default:
		written := n.exists && done.vital == n.state.vital && done.measure == n.state.measure && done.rule == n.state.rule &&
			done.last-n.saved < lag && done.last >= n.saved && done.subject.same(&n.state.subject)
		if !n.exists {
			n.exists = true
			e.shards[n.spot.shard].addEntry(n)
		}
		n.state = *done
		if !written {
			e.dirty[n.spot.shard] = struct{}{}
		}
		switch {
		case done.closed:
			n.gone = Measured
			if n.over == nil {
				n.over = e.closed.PushBack(n)
			}
		default:
			e.unlist(n)
			if reloaded || n.gone != Measured {
				e.review(n) // the rules that it was judged by may be gone
			}
		}
	}
	e.schedule(n)
}
