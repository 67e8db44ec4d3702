package webhook

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// sums returns when attempts are made.
func sums(waits []time.Duration) []time.Duration {
	all := make([]time.Duration, len(waits))
	var at time.Duration
	for i, w := range waits {
		at += w
		all[i] = at
	}
	return all
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", status(500, outbound.Failed))
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("a", root)
		start := time.Now()
		e.offerUsage(1, 1)
		time.Sleep(100 * time.Hour)
		assert.Equal(t, sums(standard()), w.times("a", start))
		log, err := e.Deliveries(v.ID, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 1)
		assert.Equal(t, Failed, log[0].State)
		assert.Equal(t, 10, log[0].Attempts)
		assert.Len(t, log[0].Log, 10)
		assert.Equal(t, Attempt{At: start, Status: 500, Error: "it answered 500"}, log[0].Log[0])
	})
}

// The schedule goes on where it was after a restart, and after a crash.
func TestScheduleOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", status(500, outbound.Failed))
		d := newDisk()
		e := open(t, settings(w, d))
		e.hook("a", root)
		start := time.Now()
		e.offerUsage(1, 1)
		for i, at := range sums(standard())[:9] {
			time.Sleep(time.Until(start.Add(at + 2*flushEvery)))
			if i%2 == 0 {
				e.close()
			} else {
				e.kill(d)
				d = d.copied()
			}
			e = open(t, settings(w, d))
		}
		time.Sleep(100 * time.Hour)
		e.close()
		assert.Equal(t, sums(standard()), w.times("a", start))
	})
}

func TestJitter(t *testing.T) {
	for _, jitter := range []float64{-1, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.answer("a", status(500, outbound.Failed))
			s := settings(w, nil)
			s.Schedule = Schedule{Waits: []time.Duration{0, 100 * time.Second, 200 * time.Second}, Jitter: 0.1, DisableAfter: time.Hour}
			s.Jitter = func() float64 { return jitter }
			e := open(t, s)
			defer e.close()
			e.hook("a", root)
			start := time.Now()
			e.offerUsage(1, 1)
			time.Sleep(time.Hour)
			off := time.Duration(jitter * 10 * float64(time.Second))
			assert.Equal(t, []time.Duration{0, 100*time.Second + off, 300*time.Second + 3*off}, w.times("a", start))
		})
	}
}

// Who says when to come again is left alone until then, with everything.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(n int) outbound.Outcome {
			if n == 0 {
				return outbound.Outcome{Status: 429, Class: outbound.Throttled, RetryAfter: 40 * time.Second}
			}
			return ok()
		})
		e := open(t, settings(w, nil))
		defer e.close()
		v := e.hook("a", root)
		start := time.Now()
		e.offerUsage(1, 1)
		synctest.Wait()
		e.offerUsage(2, 1)
		got, err := e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, start.Add(40*time.Second), got.BlockedUntil)
		time.Sleep(time.Minute)
		assert.Equal(t, []time.Duration{0, 40 * time.Second, 40 * time.Second}, w.times("a", start))
	})
}

// An endpoint that fails again and again is asked now and then, whatever waits for it, and
// gets all of it when it is back.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		back := time.Now().Add(time.Hour)
		w.answer("a", func(int) outbound.Outcome {
			if time.Now().Before(back) {
				return outbound.Outcome{Class: outbound.Unreachable}
			}
			return ok()
		})
		e := open(t, settings(w, newDisk()))
		defer e.close()
		e.hook("a", root)
		start := time.Now()
		for n := range byte(200) {
			e.offerUsage(n, 1)
		}
		time.Sleep(time.Hour - time.Second)
		attempts := len(w.got("a"))
		// 5 at once, then after 5, 10, 20 ... 160 s, then each 5 minutes.
		assert.LessOrEqual(t, attempts, 25)
		assert.GreaterOrEqual(t, attempts, 15)
		time.Sleep(5*time.Minute + time.Second)
		distinct := map[string]bool{}
		for _, id := range w.got("a")[attempts:] {
			distinct[id] = true
		}
		assert.Len(t, distinct, 200, "nothing waits for its own schedule")
		times := w.times("a", start)
		assert.Equal(t, times[attempts], times[len(times)-1], "nor one for the other")
	})
}

func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(n int) outbound.Outcome {
			if n == 0 {
				return status(410, outbound.Gone)(n)
			}
			return ok()
		})
		d := newDisk()
		e := open(t, settings(w, d))
		v := e.hook("a", root)
		e.offerUsage(1, 1)
		synctest.Wait()
		got, err := e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, Disabled, got.Status)
		assert.Equal(t, ReasonGone, got.Reason)
		assert.Equal(t, Unwanted, e.offerUsage(1, 2))
		time.Sleep(time.Minute)
		e.close()
		e = open(t, settings(w, d))
		defer e.close()
		got, err = e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, Disabled, got.Status, "it stays so")
		assert.Len(t, w.got("a"), 1)
		resume(e, v.ID)
		assert.Equal(t, Accepted, e.offerUsage(1, 3))
		synctest.Wait()
		assert.Len(t, w.got("a"), 3, "what waited, and what is new")
		assert.Equal(t, []string{"a false"}, e.w.disabled)
	})
}

func TestDisabledAfterNothingButFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", status(500, outbound.Failed))
		w.answer("b", func(n int) outbound.Outcome {
			if n%8 == 7 {
				return ok()
			}
			return status(500, outbound.Failed)(n)
		})
		e := open(t, settings(w, newDisk()))
		defer e.close()
		a, b := e.hook("a", root), e.hook("b", root)
		start := time.Now()
		for n := range byte(121) {
			e.offerUsage(n, 1)
			time.Sleep(time.Hour)
		}
		time.Sleep(10 * time.Minute)
		got, err := e.Get(a.ID)
		require.NoError(t, err)
		assert.Equal(t, Disabled, got.Status)
		assert.Equal(t, ReasonFailing, got.Reason)
		assert.GreaterOrEqual(t, got.Since.Sub(start), 120*time.Hour)
		assert.Less(t, got.Since.Sub(start), 121*time.Hour)
		got, err = e.Get(b.ID)
		require.NoError(t, err)
		assert.Equal(t, Registered, got.Status, "sometimes it works")
		assert.Equal(t, []string{"a true"}, e.w.disabled)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, nil)
		s.Limits.Burst, s.Limits.Every = 3, time.Second
		e := open(t, s)
		defer e.close()
		e.hook("a", root)
		start := time.Now()
		for n := range byte(6) {
			e.offerUsage(1, n+1)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, []time.Duration{0, 0, 0, 1 * time.Second, 2 * time.Second, 3 * time.Second}, w.times("a", start))
		start = time.Now()
		for n := range byte(4) {
			e.offerUsage(2, n+1)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, []time.Duration{0, 0, 0, 1 * time.Second}, w.times("a", start)[6:])
	})
}

// However many endpoints never answer, and whatever else, the others have workers.
func TestNoOneWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, nil)
		s.Limits.Workers = 8
		e := open(t, s)
		defer e.close()
		dead := func(int) outbound.Outcome {
			return outbound.Outcome{Class: outbound.Unreachable, Latency: 15 * time.Second}
		}
		for _, url := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"} {
			w.answer(url, dead)
			e.hook(url, root)
		}
		e.hook("alive", root)
		// At first nobody knows who is dead: all workers may wait for them, once.
		e.offerUsage(1, 1)
		time.Sleep(time.Hour)
		for n := range byte(100) {
			start := time.Now()
			e.offerUsage(2, n+1)
			synctest.Wait()
			times := w.times("alive", start)
			assert.Zero(t, times[len(times)-1])
			time.Sleep(7 * time.Second)
		}
	})
}
