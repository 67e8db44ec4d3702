package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// addsUp checks that all that is counted is what it counts.
func (e *engine) addsUp() {
	e.t.Helper()
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	pending := 0
	for _, ep := range e.endpoints {
		pending += len(ep.queue) + ep.inFlight
		levels := 0
		for _, d := range ep.queue {
			m := d.message
			assert.Equal(e.t, Pending, d.state)
			assert.Positive(e.t, m.open)
			assert.Nil(e.t, m.closed, "what waits is not finished")
			assert.Contains(e.t, ep.order, d, "its owner sees it")
			assert.True(e.t, m.body != nil || m.written && !m.evicted && e.pages.has(m.number), "its payload is somewhere")
			if m.number == 0 {
				levels++
				assert.Same(e.t, d, ep.volatile[m.instance])
			}
		}
		assert.Len(e.t, ep.volatile, levels)
		at, ready := ep.next(&e.settings.Limits)
		assert.Equal(e.t, ready, ep.line != nil, "in a line where something can be sent")
		assert.True(e.t, !ready || at.Equal(ep.ready))
		for _, d := range ep.finished {
			assert.NotEqual(e.t, Pending, d.state)
			assert.Same(e.t, ep, d.endpoint)
		}
	}
	assert.Equal(e.t, pending, e.pending, "pending")
	size := int64(0)
	for m := range e.unwritten {
		assert.True(e.t, m.body != nil && !m.written && !m.evicted)
		size += m.size
	}
	assert.Equal(e.t, size, e.unwrittenBytes, "bytes to be written")
	count := 0
	size = 0
	for _, m := range e.bodies {
		if m != nil && m.body != nil {
			count++
			size += m.size
		}
	}
	assert.Equal(e.t, count, e.bodyCount, "bodies")
	assert.Equal(e.t, size, e.bodyBytes, "bytes of bodies")
	size = 0
	for at := e.finished.Front(); at != nil; at = at.Next() {
		m := at.Value.(*message)
		assert.Zero(e.t, m.open, "what is finished does not wait")
		assert.Positive(e.t, m.refs, "and somebody remembers it")
		size += m.size
	}
	assert.Equal(e.t, size, e.finishedBytes, "bytes of what is finished")
}

// atRest checks that nothing waits, and that all adds up.
func (e *engine) atRest() {
	e.t.Helper()
	synctest.Wait()
	e.addsUp()
	e.mu.Lock()
	defer e.mu.Unlock()
	assert.Zero(e.t, e.pending, "pending")
	assert.Zero(e.t, e.inFlight, "in flight")
	assert.Zero(e.t, e.suspects, "suspects")
	assert.Zero(e.t, e.unwrittenBytes, "bytes to be written")
}

// Whatever is done within limits that are all reached, the counts add up.
func TestCountsAddUp(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { randomCounts(t, &dice{r: rand.New(rand.NewPCG(seed, 2))}) }) //nolint:gosec // reproducible
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomCounts(t *testing.T, r *dice) {
	w, d := newWorld(), newDisk()
	s := settings(w, d)
	if r.IntN(4) == 0 {
		s.Storage = nil
	}
	s.Limits.History, s.Limits.HistoryBytes, s.Limits.Memory = r.IntN(4), int64(r.IntN(500)), int64(r.IntN(500))
	s.Limits.PerHook, s.Limits.Pending, s.Limits.Concurrency, s.Limits.Workers = 1+r.IntN(4), 1+r.IntN(8), 1+r.IntN(3), 1+r.IntN(4)
	s.Limits.Age, s.Schedule.DisableAfter = time.Minute, time.Hour
	s.Schedule.Waits = []time.Duration{0, time.Second, 5 * time.Second}
	e := open(t, s)
	outcomes := []outbound.Class{outbound.Delivered, outbound.Delivered, outbound.Delivered, outbound.Unreachable, outbound.Throttled, outbound.Failed, outbound.Gone}
	var ids []string
	var asides sync.WaitGroup
	sequence := byte(0)
	for range 120 {
		id := "none"
		if len(ids) > 0 {
			id = ids[r.IntN(len(ids))]
		}
		switch r.IntN(14) {
		case 0:
			url := fmt.Sprint(len(ids))
			w.answer(url, func(int) outbound.Outcome {
				return outbound.Outcome{Class: outcomes[r.IntN(len(outcomes))], Latency: time.Duration(r.IntN(2500)) * time.Millisecond}
			})
			if v, err := e.Create(t.Context(), Hook{URL: url, Owner: root, Types: []Type{ResourceUsage, Metrics}, Secrets: []Secret{{Key: fixedSecret()}}}); err == nil {
				ids = append(ids, v.ID)
			}
		case 1:
			if r.IntN(3) == 0 {
				asides.Go(func() { _ = e.Delete(t.Context(), id, 0) })
			}
		case 2, 3:
			status := []Status{Registered, Registered, Paused}[r.IntN(3)]
			_, _ = e.Update(t.Context(), id, 0, func(h *Hook) error { h.Status = status; return nil })
		case 4:
			asides.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = e.Test(ctx, id)
			})
		case 5, 6:
			if log, err := e.Deliveries(id, 0, 10); err == nil && len(log) > 0 {
				_, _ = e.Resend(t.Context(), id, log[r.IntN(len(log))].Number)
			}
		case 7:
			d.setFail([]error{nil, errors.New("full")}[r.IntN(2)])
		case 8:
			e.sweep()
		case 9, 10:
			e.offer(levels(byte(r.IntN(3))), Mark{}) //nolint:gosec // below 3
		default:
			sequence++
			e.offerUsage(1, sequence)
		}
		if r.IntN(3) == 0 {
			synctest.Wait()
		}
		e.addsUp()
		if r.IntN(2) == 0 {
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
			synctest.Wait()
			e.addsUp()
		}
	}
	d.setFail(nil)
	asides.Wait()
	assert.Empty(t, e.w.damaged)
	for _, v := range e.List() {
		resume(e, v.ID)
		require.NoError(t, e.Delete(t.Context(), v.ID, 0))
	}
	time.Sleep(time.Minute)
	e.atRest()
	e.close()
	assert.Zero(t, e.bodyCount)
	assert.Zero(t, e.finished.Len())
	for _, key := range d.keys() {
		assert.NotRegexp(t, `^(to|body|page)\.`, key, "nothing is left")
	}
}

func levels(n byte) Event {
	return Event{ID: uuid.UUID{n}, Type: Metrics, At: time.Now().UnixNano(), InstanceID: fmt.Sprintf("vm-%d", n), Volatile: true}
}

// Levels are in memory alone, so that they stay there however many other payloads are.
func TestLevelsStayInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("a", root, Metrics)
		pause(e, v.ID)
		for n := range byte(5) {
			ev := levels(n)
			b := e.Begin()
			require.Equal(t, Accepted, b.Offer(&ev, Mark{}, func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte("x"), bodyMemory/4)...) }))
			b.Commit(t.Context())
		}
		resume(e, v.ID)
		synctest.Wait()
		assert.Len(t, w.got("a"), 5)
		assert.Zero(t, e.w.of("dropped damaged"))
		e.atRest()
	})
}

// Levels that wait for longer are sent when their owner wants it.
func TestResendOfLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(n int) outbound.Outcome {
			if n == 0 {
				return status(500, outbound.Failed)(n)
			}
			return ok()
		})
		s := settings(w, newDisk())
		s.Schedule.Waits = []time.Duration{0, time.Hour}
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root, Metrics)
		require.Equal(t, Accepted, e.offer(levels(1), Mark{}))
		synctest.Wait()
		d, err := e.Resend(t.Context(), v.ID, 1)
		require.NoError(t, err)
		assert.Equal(t, Pending, d.State)
		synctest.Wait()
		assert.Len(t, w.got("a"), 2)
		e.atRest()
	})
}

func TestTestsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("a", root)
		for range 10 {
			_, err := e.Test(t.Context(), v.ID)
			require.NoError(t, err)
		}
		e.atRest()
	})
}

// One hook has no room for an event at once, and the other gets it all the same.
func TestNoRoomForOneOfTwo(t *testing.T) {
	for _, history := range []int{0, 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			slow := func(int) outbound.Outcome {
				o := ok()
				o.Latency = time.Minute
				return o
			}
			w.answer("a", slow)
			w.answer("b", slow)
			s := settings(w, newDisk())
			s.Limits.PerHook, s.Limits.Concurrency, s.Limits.History = 1, 1, history
			e := open(t, s)
			defer e.close()
			e.hook("a", root)
			b := e.hook("b", root)
			pause(e, b.ID)
			e.offerUsage(1, 1)
			synctest.Wait()
			for n := range byte(5) {
				e.offerUsage(1, n+2)
				time.Sleep(2 * flushEvery)
			}
			resume(e, b.ID)
			time.Sleep(10 * time.Minute)
			assert.Len(t, w.got("a"), 1)
			assert.Len(t, w.got("b"), 1, "the newest one")
			assert.Zero(t, e.w.of("dropped damaged"))
			e.atRest()
		})
	}
}

// What is finished and cannot be written makes room for what waits.
func TestMemoryIsForWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		s := settings(w, d)
		s.Limits.Memory = 450
		e := open(t, s)
		e.hook("a", root)
		d.setFail(errors.New("full"))
		for n := range byte(30) {
			e.offerUsage(1, n+1)
			synctest.Wait()
		}
		assert.Len(t, w.got("a"), 30)
		assert.Zero(t, e.w.of("dropped memory"))
		d.setFail(nil)
		e.close()
		e.atRest()
	})
}
