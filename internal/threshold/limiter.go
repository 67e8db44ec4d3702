package threshold

import (
	"math"
	"time"
)

// A Rate is a token bucket: Burst announcements at once, and one more each Every.
// A negative Burst or Every is no limit.
type Rate struct {
	Burst int
	Every time.Duration
}

// Limits bound how much is announced, by the time of the data. An announcement
// needs a token of its rule, of its owner (the user, or else the organization;
// without either there is none) and of all together. If one is missing it is kept
// back, and counts as suppressed:
//
//   - of what fires, or changes its level, each later measurement tries again while
//     that is so. What is over before it was announced is never announced;
//   - of what is resolved, nothing is kept back, and it takes no token: there
//     is at most one for each that was let through;
//   - of a repeat, each later measurement tries again;
//   - of no data, nothing is tried again.
//
// How many were kept back of a rule is said by the next announcement of that rule.
type Limits struct{ PerRule, PerOwner, Global Rate }

type bucketKey struct {
	kind byte // 'r'ule, 'u'ser, 'o'rg or 'g'lobal
	name string
}

// A bucket is how much of a rate is used up: debt, in ns of Every, at a time.
type bucket struct {
	debt, at int64
	held     uint32 // of a rule: kept back since one was let through
	epoch    uint32 // of a rule: how often that was said
	version  uint32
}

// bucketWork is a bucket as a transaction has it.
type bucketWork struct {
	bucket
	before bucket
	taken  int64 // ns
}

const (
	minSweep = 1024
	// farBack is by how much data must be older for the clock to have been set.
	farBack = int64(time.Hour)
)

// A limiter has the buckets of everybody who used a token and has not got it back.
type limiter struct {
	buckets map[bucketKey]bucket
	sweep   int // at so many, full ones are dropped
}

func (r Rate) limited() bool { return r.Burst > 0 && r.Every > 0 }

// room pays debts up to a time and reports whether a token is there.
func (b *bucket) room(r Rate, at int64) bool {
	switch {
	case at > b.at:
		b.debt = max(0, b.debt-(at-b.at))
		b.at = at
	case b.at-at > farBack:
		b.at = at
	}
	return b.debt/int64(r.Every) < int64(r.Burst)-min(1, b.debt%int64(r.Every))
}

func (l *limiter) open(w *work, k bucketKey) bucketWork {
	b, ok := w.buckets[k]
	if !ok {
		b.before = l.buckets[k]
		b.bucket = b.before
	}
	return b
}

func ownerOf(s *Subject) (bucketKey, bool) {
	switch {
	case s.UserID != "":
		return bucketKey{'u', s.UserID}, true
	case s.OrgID != "":
		return bucketKey{'o', s.OrgID}, true
	default:
		return bucketKey{}, false
	}
}

// allow takes a token of each, or none. Of what must be let through it takes none.
// What it keeps back counts once, for the next one that it lets through. If that
// is the same thing it does not say so of itself: mark is how it was kept back, if it was.
func (tx *Tx) allow(rule *Rule, subject *Subject, at int64, always bool, mark *kept) (suppressed uint32, ok bool) {
	l, limits := &tx.engine.limits, &tx.engine.cfg.Limits
	ofRule := bucketKey{'r', rule.ID}
	if !limits.PerRule.limited() && !limits.PerOwner.limited() && !limits.Global.limited() {
		return 0, true
	}
	counted := mark != nil && mark.level != OK
	ok = true
	owner, owned := ownerOf(subject)
	keys := [...]bucketKey{ofRule, owner, {kind: 'g'}}
	rates := [...]Rate{limits.PerRule, limits.PerOwner, limits.Global}
	var opened [3]bucketWork
	use := [...]bool{true, owned && rates[1].limited(), rates[2].limited()}
	for i, k := range keys {
		if !use[i] {
			continue
		}
		opened[i] = l.open(tx.work, k)
		if !always && rates[i].limited() && !opened[i].room(rates[i], at) {
			ok = false
		}
	}
	for i := range keys {
		if ok && !always && use[i] && rates[i].limited() {
			opened[i].debt = later(opened[i].debt, rates[i].Every)
			opened[i].taken += int64(rates[i].Every)
		}
	}
	b := &opened[0].bucket
	switch {
	case ok && b.held > 0:
		suppressed = b.held
		if counted && mark.epoch == b.epoch {
			suppressed--
		}
		b.held = 0
		b.epoch++
	case !ok && !counted && b.held < math.MaxUint32:
		b.held++
	}
	if !ok && !counted && mark != nil {
		mark.epoch = b.epoch
	}
	for i, k := range keys {
		if use[i] {
			tx.work.buckets[k] = opened[i]
		}
	}
	return suppressed, ok
}

// commit makes the buckets of a transaction those of all.
func (l *limiter) commit(buckets map[bucketKey]bucketWork, limit int) {
	latest := int64(0)
	for k, w := range buckets {
		now := l.buckets[k]
		if now.version == w.before.version {
			now = w.bucket
		} else { // another transaction took some, too
			now.debt += w.taken
			now.at = max(now.at, w.at)
			if w.epoch == w.before.epoch {
				now.held += w.held - w.before.held
			} else {
				now.held, now.epoch = w.held, now.epoch+1
			}
		}
		now.version++
		latest = max(latest, now.at)
		l.buckets[k] = now
	}
	if len(l.buckets) < l.sweep {
		return
	}
	for k, b := range l.buckets {
		if latest-b.at >= b.debt && b.held == 0 || len(l.buckets) > 2*limit {
			delete(l.buckets, k)
		}
	}
	l.sweep = max(minSweep, 2*len(l.buckets))
}
