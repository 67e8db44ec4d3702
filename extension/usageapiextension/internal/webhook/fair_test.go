package webhook

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// Endpoints that answer well, but slowly, and have much that waits do not keep others waiting.
func TestSlowOnesKeepNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, nil))
		defer e.close()
		for n := range 9 {
			url := fmt.Sprint(n)
			w.answer(url, func(int) outbound.Outcome {
				o := ok()
				o.Latency = 14 * time.Second
				return o
			})
			e.hook(url, root)
		}
		for n := range byte(200) {
			e.offerUsage(1, n+1)
		}
		time.Sleep(time.Minute)
		e.hook("alive", root)
		for n := range byte(20) {
			start := time.Now()
			e.offerUsage(2, n+1)
			synctest.Wait()
			times := w.times("alive", start)
			if assert.NotEmpty(t, times) {
				assert.Zero(t, times[len(times)-1])
			}
			time.Sleep(3 * time.Second)
		}
	})
}

// Tests take no workers from deliveries.
func TestTestsTakeNoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, nil))
		defer e.close()
		for n := range 8 {
			url := fmt.Sprint(n)
			w.answer(url, func(int) outbound.Outcome {
				o := ok()
				o.Latency = 14 * time.Second
				return o
			})
			v := e.hook(url, root, Metrics)
			go func() { _, _ = e.Test(t.Context(), v.ID) }()
		}
		synctest.Wait()
		e.hook("alive", root)
		e.offerUsage(1, 1)
		synctest.Wait()
		assert.Len(t, w.got("alive"), 1)
		time.Sleep(time.Minute)
		e.atRest()
	})
}

// An answer of the URL that a hook had before says nothing of the one it has.
func TestAnswerOfAnotherURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("old", func(int) outbound.Outcome {
			return outbound.Outcome{Status: 410, Class: outbound.Gone, Latency: 10 * time.Second}
		})
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("old", root)
		e.offerUsage(1, 1)
		time.Sleep(time.Second)
		_, err := e.Update(t.Context(), v.ID, 0, func(h *Hook) error { h.URL = "new"; return nil })
		require.NoError(t, err)
		time.Sleep(time.Minute)
		v, err = e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, Registered, v.Status)
		assert.Zero(t, v.FailingSince)
		assert.Len(t, w.got("new"), 1)
		e.atRest()
	})
}

// An endpoint that answers now and then does not use up the attempts of what waits: they are for
// days.
func TestFlappingUsesUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		start := time.Now()
		w.answer("a", func(n int) outbound.Outcome {
			if time.Since(start) > 2*time.Hour || n%7 == 6 {
				return ok()
			}
			return status(500, outbound.Failed)(n)
		})
		e := open(t, settings(w, newDisk()))
		defer e.close()
		e.hook("a", root)
		for n := range byte(40) {
			e.offerUsage(n+1, 1)
		}
		time.Sleep(100 * time.Hour)
		assert.Zero(t, e.w.of("failed "))
		assert.Equal(t, 40, e.w.of("delivered "))
		e.atRest()
	})
}

// Who registers a hook again that was disabled says that it works, and a crash takes nothing of that back.
func TestRegisteredAgainOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", status(500, outbound.Failed))
		d := newDisk()
		s := settings(w, d)
		s.Schedule.DisableAfter, s.Schedule.Waits = time.Hour, []time.Duration{0, 2 * time.Hour, time.Hour, time.Hour}
		e := open(t, s)
		v := e.hook("a", root)
		e.offerUsage(1, 1)
		time.Sleep(3 * time.Hour)
		v, err := e.Get(v.ID)
		require.NoError(t, err)
		require.Equal(t, Disabled, v.Status)
		w.answer("a", func(int) outbound.Outcome {
			return outbound.Outcome{Class: outbound.Unreachable, Latency: 15 * time.Second}
		})
		setStatus(e, v.ID, Registered)
		time.Sleep(2 * flushEvery)
		s.Storage = d.copied()
		e.close()
		w.answer("a", status(500, outbound.Failed))
		e = open(t, s)
		defer e.close()
		time.Sleep(time.Minute)
		v, err = e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, Registered, v.Status)
	})
}

// Who resumes a hook says that it works: that it failed long ago does not count.
func TestResumedDoesNotFailSinceLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", status(500, outbound.Failed))
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("a", root)
		e.offerUsage(1, 1)
		time.Sleep(time.Minute)
		pause(e, v.ID)
		time.Sleep(121 * time.Hour)
		resume(e, v.ID)
		synctest.Wait()
		v, err := e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, Registered, v.Status)
	})
}
