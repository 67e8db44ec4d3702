package webhook

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever has most waiting loses the oldest of it.
func TestBoundOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		s.Limits.Pending = 10
		e := open(t, s)
		defer e.close()
		a, b := e.hook("a", root), e.hook("b", alex, ThresholdViolation)
		pause(e, a.ID)
		pause(e, b.ID)
		ev, m := usageOf(100, 1)
		ev.Type = ThresholdViolation
		e.offer(ev, m)
		for n := range byte(20) {
			e.offerUsage(1, n+1)
		}
		assert.Equal(t, 10, e.Stats().Pending)
		got, err := e.Get(b.ID)
		require.NoError(t, err)
		assert.Equal(t, 1, got.Pending)
		assert.Equal(t, 11, e.w.of("dropped pending"))
		resume(e, a.ID)
		resume(e, b.ID)
		synctest.Wait()
		assert.Len(t, w.got("a"), 9)
		assert.Len(t, w.got("b"), 1)
	})
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		s.Limits.Age = time.Hour
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root)
		pause(e, v.ID)
		start := time.Now()
		e.offerUsage(1, 1)
		time.Sleep(30 * time.Minute)
		e.offerUsage(1, 2)
		assert.Equal(t, start, e.Stats().Oldest.Round(0))
		time.Sleep(31 * time.Minute)
		assert.Equal(t, 1, e.Stats().Pending, "also where nothing is delivered")
		assert.Equal(t, 1, e.w.of("dropped age"))
		resume(e, v.ID)
		synctest.Wait()
		assert.Len(t, w.got("a"), 1)
	})
}

// A full disk keeps nothing from being delivered, and what waits is written when there is room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		s := settings(w, d)
		e := open(t, s)
		v, other := e.hook("a", root), e.hook("b", root)
		e.offerUsage(9, 1)
		time.Sleep(time.Minute)
		pause(e, other.ID)
		d.setFail(errors.New("full"))
		e.offerUsage(1, 1)
		e.offerUsage(1, 2)
		synctest.Wait()
		assert.Len(t, w.got("a"), 3)
		assert.Positive(t, e.Stats().Unwritten)
		assert.Positive(t, e.w.of("unwritten"))
		time.Sleep(time.Minute)
		d.setFail(nil)
		time.Sleep(2 * flushEvery)
		assert.Zero(t, e.Stats().Unwritten)
		e.kill(d)
		s.Storage = d.copied()
		e = open(t, s)
		defer e.close()
		resume(e, other.ID)
		synctest.Wait()
		assert.Len(t, w.got("b"), 3)
		assert.Len(t, w.got("a"), 3, "and what was delivered is known")
		assert.Equal(t, Repeated, e.offerUsage(1, 2))
		require.NoError(t, e.Delete(t.Context(), v.ID, 0))
	})
}

// What is to be removed while the disk fails is removed later.
func TestFullDiskRemovesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		s := settings(w, d)
		s.Limits.History = 1
		e := open(t, s)
		e.hook("a", root)
		for n := range byte(5) {
			e.offerUsage(1, n+1)
		}
		d.setFail(errors.New("full"))
		time.Sleep(time.Minute)
		d.setFail(nil)
		time.Sleep(2 * flushEvery)
		e.close()
		bodies := 0
		for _, key := range d.keys() {
			if key[:4] == "body" {
				bodies++
			}
		}
		assert.Equal(t, 1, bodies)
	})
}

func TestMemory(t *testing.T) {
	for _, kept := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			s := settings(w, nil)
			d := newDisk()
			if kept {
				s.Storage = d
			}
			s.Limits.Memory = 450 // ten bodies of 45 bytes
			e := open(t, s)
			v := e.hook("a", root)
			pause(e, v.ID)
			d.setFail(errors.New("full"))
			for n := range byte(30) {
				e.offerUsage(1, n+1)
			}
			assert.Equal(t, 10, e.Stats().Pending)
			assert.Equal(t, 20, e.w.of("dropped memory"))
			d.setFail(nil)
			resume(e, v.ID)
			time.Sleep(time.Minute)
			assert.Len(t, w.got("a"), 10)
			e.close()
			assert.LessOrEqual(t, e.bodyBytes, int64(450), "for those that want it again")
		})
	}
}

// Payloads that are in the storage need not be in memory.
func TestBodiesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		e := open(t, settings(w, d))
		defer e.close()
		v := e.hook("a", root)
		pause(e, v.ID)
		large := make([]byte, 1<<20)
		for i := range large {
			large[i] = 'x'
		}
		for n := range byte(40) {
			ev, m := usageOf(1, n+1)
			b := e.Begin()
			b.Offer(&ev, m, func(dst []byte) []byte { return append(append(dst, ev.ID.String()...), large...) })
			b.Commit(t.Context())
		}
		assert.LessOrEqual(t, e.bodyBytes, int64(bodyMemory+1<<21))
		resume(e, v.ID)
		synctest.Wait()
		require.Len(t, w.sent, 40)
		for _, s := range w.sent {
			assert.Equal(t, s.id, s.body[:36])
			assert.Len(t, s.body, 1<<20+36)
		}
	})
}
