package webhook

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// story is a run with a crash, and what has to hold after it.
type story struct {
	t        *testing.T
	w        *world
	hooks    map[string]View     // by URL, those that are there
	accepted map[string][]string // ids by URL that have to arrive there
	dropped  map[string]bool     // URLs of hooks that were deleted
	removed  map[string]int      // of them, how many requests they had got
}

// offer offers an event. Where the disk has no power it may not survive, and is offered again
// by whoever offered it: nothing is required of it.
func (s *story) offer(e *engine, d *disk, stream, sequence byte) {
	ev, m := usageOf(stream, sequence)
	if e.offer(ev, m) == Accepted && d.powered() {
		for url := range s.hooks {
			s.accepted[url] = append(s.accepted[url], ev.ID.String())
		}
	}
}

func (d *disk) powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.dead
}

func (s *story) check() {
	s.t.Helper()
	for url, ids := range s.accepted {
		if s.dropped[url] {
			assert.Len(s.t, s.w.got(url), s.removed[url], "%s was deleted", url)
			continue
		}
		got := map[string]bool{}
		for _, id := range s.w.got(url) {
			got[id] = true
		}
		for _, id := range ids {
			assert.True(s.t, got[id], "%s never got %s", url, id)
		}
	}
}

// The power fails before each write there is in a run of everything that writes. What was
// accepted before arrives all the same; a hook that was deleted gets nothing more.
func TestCrashAtEachStep(t *testing.T) {
	for step := 0; ; step++ {
		reached := false
		synctest.Test(t, func(t *testing.T) { reached = crashAt(t, step) })
		if !reached {
			assert.Greater(t, step, 15, "there are steps")
			return
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
}

func crashAt(t *testing.T, step int) (reached bool) {
	s := &story{t: t, w: newWorld(), hooks: map[string]View{}, accepted: map[string][]string{}, dropped: map[string]bool{}, removed: map[string]int{}}
	s.w.answer("b", func(n int) outbound.Outcome {
		if n%3 != 2 {
			return status(500, outbound.Failed)(n)
		}
		return ok()
	})
	d := newDisk()
	var kept *disk
	d.before = func(write int) bool {
		if write == step {
			kept = &disk{values: maps.Clone(d.values)}
			return false
		}
		return true
	}
	set := settings(s.w, d)
	set.Limits.History, set.Limits.HistoryBytes = 2, 500
	e := open(t, set)
	create := func(url string) {
		v, err := e.Create(t.Context(), Hook{URL: url, Owner: root, Types: []Type{ResourceUsage}, Secrets: hookOf(url).Secrets})
		if err == nil {
			s.hooks[url] = v
		}
	}
	create("a")
	create("b")
	create("c")
	for n := range byte(4) {
		s.offer(e, d, 1, n+1)
		s.offer(e, d, 2+n, 1)
		time.Sleep(700 * time.Millisecond)
	}
	if v, found := s.hooks["a"]; found {
		if _, err := e.Update(t.Context(), v.ID, 0, func(h *Hook) error { h.Status = Paused; return nil }); err == nil {
			s.offer(e, d, 1, 5)
		}
	}
	if v, found := s.hooks["c"]; found {
		if e.Delete(t.Context(), v.ID, 0) == nil {
			delete(s.hooks, "c")
			s.dropped["c"], s.removed["c"] = true, len(s.w.got("c"))
		}
	}
	for n := range byte(3) {
		s.offer(e, d, 1, n+6)
		time.Sleep(time.Second)
	}
	e.kill(d)
	reached = kept != nil
	if !reached {
		kept = d.copied()
	}

	set.Storage, set.Observe = kept, newWatcher()
	e = open(t, set)
	require.Empty(t, e.w.damaged)
	for _, v := range e.List() {
		if v.Status == Paused {
			resume(e, v.ID)
		}
	}
	time.Sleep(100 * time.Hour)
	assert.Zero(t, e.Stats().Pending)
	s.check()
	// What is offered again was known, where it was written.
	if !reached {
		for n := range byte(8) {
			assert.Equal(t, Repeated, e.offerUsage(1, n+1), "%d", n+1)
		}
	}
	e.close()
	// Nothing is left behind that nobody knows of.
	known := map[string]bool{pagesKey: true}
	for at := range e.pages {
		known[pageKey(at)] = true
		for _, n := range e.pages.numbers(at) {
			known[bodyKey(n)], known[toKey(n)] = true, true
		}
	}
	for i := range 64 {
		known[hookKey(i)], known[markKey(i)] = true, true
	}
	for _, key := range kept.keys() {
		assert.True(t, known[key], key)
	}
	return reached
}

func hookOf(url string) Hook {
	return Hook{URL: url, Types: []Type{ResourceUsage}, Secrets: []Secret{{Key: fixedSecret()}}}
}

// Random histories of offers, answers, pauses, full disks and crashes: what was accepted arrives
// at least once, and always under the same id.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { randomHistory(t, &dice{r: rand.New(rand.NewPCG(seed, 1))}) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// dice may be thrown by several.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func randomHistory(t *testing.T, r *dice) {
	s := &story{t: t, w: newWorld(), hooks: map[string]View{}, accepted: map[string][]string{}, dropped: map[string]bool{}, removed: map[string]int{}}
	d := newDisk()
	set := settings(s.w, d)
	set.Limits.History = r.IntN(4)
	set.Limits.HistoryBytes = int64(r.IntN(1000))
	set.Schedule.DisableAfter = 10000 * time.Hour
	e := open(t, set)
	for _, url := range []string{"a", "b", "c"} {
		s.w.answer(url, func(int) outbound.Outcome {
			if r.IntN(3) == 0 {
				return outbound.Outcome{Class: outbound.Unreachable, Latency: time.Duration(r.IntN(3)) * time.Second}
			}
			return outbound.Outcome{Class: outbound.Delivered, Latency: time.Duration(r.IntN(1000)) * time.Millisecond}
		})
		s.hooks[url] = e.hook(url, root)
	}
	sequences := [4]byte{}
	for range 60 {
		switch r.IntN(12) {
		case 0:
			e.kill(d)
			d = d.copied()
			set.Storage, set.Observe = d, newWatcher()
			e = open(t, set)
			require.Empty(t, e.w.damaged)
		case 1:
			e.close()
			set.Observe = newWatcher()
			e = open(t, set)
		case 2:
			d.setFail(errors.New("full"))
			stream := byte(r.IntN(4))
			sequences[stream]++
			s.offer(e, d, stream, sequences[stream])
			time.Sleep(time.Duration(r.IntN(3)) * time.Second)
			d.setFail(nil)
			time.Sleep(2 * flushEvery)
		case 3:
			for _, v := range e.List() {
				setStatus(e, v.ID, []Status{Registered, Paused}[r.IntN(2)])
			}
		default:
			stream := byte(r.IntN(4))
			sequences[stream]++
			s.offer(e, d, stream, sequences[stream])
		}
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
	}
	for _, v := range e.List() {
		resume(e, v.ID)
	}
	time.Sleep(100 * time.Hour)
	assert.Zero(t, e.Stats().Pending)
	s.check()
	for stream, n := range sequences {
		if n > 0 {
			assert.Equal(t, Repeated, e.offerUsage(byte(stream), n), fmt.Sprint(stream)) //nolint:gosec // below 4
		}
	}
	e.close()
	assert.Zero(t, e.unwrittenBytes)
	assert.Zero(t, e.bodyCount)
	assert.Zero(t, e.bodyBytes)
}
