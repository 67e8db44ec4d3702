package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// atRest checks that nothing is left of what was counted.
func (e *engine) atRest() {
	e.t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	assert.Zero(e.t, e.pending, "pending")
	assert.Zero(e.t, e.inFlight, "in flight")
	assert.Zero(e.t, e.suspects, "suspects")
	assert.Zero(e.t, e.unwrittenBytes, "bytes to be written")
	count, size := 0, int64(0)
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
		size += m.size
	}
	assert.Equal(e.t, size, e.finishedBytes, "bytes of what is finished")
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
