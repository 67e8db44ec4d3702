package access

import (
	"sync"
	"time"
)

// A Rate is so many requests at once, and one more each Every. A Burst below 1 is no
// limit.
type Rate struct {
	Burst int
	Every time.Duration
}

// buckets are token buckets by key, of which a bounded number is remembered. They are
// safe for concurrent use.
//
// Each is one number: the time at which the bucket is full again (the generic cell rate
// algorithm). One that is full is forgotten, since it is as good as none.
type buckets[K comparable] struct {
	rate Rate
	most int // how many are remembered

	mu    sync.Mutex
	full  map[K]time.Time
	swept time.Time // when those that are full were last forgotten
}

func newBuckets[K comparable](r Rate, most int) *buckets[K] {
	return &buckets[K]{rate: r, most: most, full: map[K]time.Time{}}
}

// take takes a token of a key. Where there is none it returns after how long there will
// be one.
func (b *buckets[K]) take(key K, now time.Time) (wait time.Duration, ok bool) {
	if b.rate.Burst < 1 {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full, wait := b.waitLocked(key, now)
	if wait > 0 {
		return wait, false
	}
	if _, known := b.full[key]; !known && len(b.full) >= b.most {
		b.forgetLocked(now)
	}
	b.full[key] = full.Add(b.rate.Every)
	return 0, true
}

// peek returns what take would, and takes nothing.
func (b *buckets[K]) peek(key K, now time.Time) (wait time.Duration, ok bool) {
	if b.rate.Burst < 1 {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wait = b.waitLocked(key, now)
	return wait, wait <= 0
}

// waitLocked returns when the bucket is full, if nothing is taken, and how long there is
// no token.
func (b *buckets[K]) waitLocked(key K, now time.Time) (full time.Time, wait time.Duration) {
	full, known := b.full[key]
	if !known || full.Before(now) {
		full = now
	}
	// With Burst tokens gone it takes Burst times Every to be full.
	return full, full.Add(b.rate.Every).Sub(now.Add(time.Duration(b.rate.Burst) * b.rate.Every))
}

// forgetLocked makes room for one: it forgets those that are full, at most once each
// Every, else of a few the one that is nearest to it. That one gains the least.
func (b *buckets[K]) forgetLocked(now time.Time) {
	if now.Sub(b.swept) >= b.rate.Every {
		b.swept = now
		for k, full := range b.full {
			if !full.After(now) {
				delete(b.full, k)
			}
		}
		if len(b.full) < b.most {
			return
		}
	}
	const looked = 16
	var nearest K
	var least time.Time
	n := 0
	for k, full := range b.full { // begins anywhere
		if n == 0 || full.Before(least) {
			nearest, least = k, full
		}
		if n++; n == looked {
			break
		}
	}
	delete(b.full, nearest)
}
