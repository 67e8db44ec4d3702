package webhook

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestRegistry(t *testing.T) {
	d := newDisk()
	s := settings(newWorld(), d)
	s.Limits.Hooks, s.Limits.PerOwner = 4, 2
	e := open(t, s)
	first := e.hook("a", alex)
	assert.Equal(t, first.RegisteredAt.Round(0), first.RegisteredAt, "the order of webhooks is that of the wall clock, before and after a restart")
	e.hook("b", alex)
	_, err := e.Create(t.Context(), Hook{URL: "c", Owner: alex, Types: Types()})
	require.ErrorIs(t, err, ErrFull)
	e.hook("c", root)
	e.hook("d", root)
	_, err = e.Create(t.Context(), Hook{URL: "e", Owner: root, Types: Types()})
	require.ErrorIs(t, err, ErrFull)

	_, err = e.Get("x")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = e.Update(t.Context(), "x", 0, nil)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, e.Delete(t.Context(), "x", 0), ErrNotFound)
	_, err = e.Update(t.Context(), first.ID, first.Version-1, nil)
	require.ErrorIs(t, err, ErrConflict)
	require.ErrorIs(t, e.Delete(t.Context(), first.ID, first.Version-1), ErrConflict)
	mine := errors.New("mine")
	_, err = e.Update(t.Context(), first.ID, first.Version, func(h *Hook) error {
		h.Types[0] = PipelineAlert
		return mine
	})
	require.ErrorIs(t, err, mine)
	got, err := e.Get(first.ID)
	require.NoError(t, err)
	assert.Equal(t, first, got, "nothing was changed")

	key, err := signing.NewSecret()
	require.NoError(t, err)
	changed, err := e.Update(t.Context(), first.ID, first.Version, func(h *Hook) error {
		h.URL, h.Description, h.Types, h.Status = "z", "mine", []Type{Metrics, ResourceUsage}, Paused
		h.Filter = Filter{
			InstanceIDs: []string{"i"}, UserIDs: []string{"u", "v"}, OrgIDs: []string{"o"},
			Levels: []usage.ThresholdLevel{usage.LevelCritical}, Labels: []usage.Label{{Key: "k", Value: "v"}},
		}
		h.Rotate(key, time.Now().Add(time.Hour))
		h.Owner, h.ID = root, "other"
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, changed.Version, first.Version)
	assert.Equal(t, alex, changed.Owner)
	assert.Equal(t, first.ID, changed.ID)

	d.setFail(errors.New("full"))
	_, err = e.Update(t.Context(), first.ID, 0, func(h *Hook) error { h.URL = "y"; return nil })
	require.ErrorIs(t, err, ErrNotKept)
	require.ErrorIs(t, e.Delete(t.Context(), first.ID, 0), ErrNotKept)
	d.setFail(nil)
	list := e.List()
	assert.Len(t, list, 4)
	e.close()

	e = open(t, s)
	defer e.close()
	again := e.List()
	for i := range list {
		same(t, &list[i], &again[i])
	}
	require.NoError(t, e.Delete(t.Context(), first.ID, changed.Version))
	_, err = e.Get(first.ID)
	require.ErrorIs(t, err, ErrNotFound)
}

// same compares hooks, of which times lose what is not written of them.
func same(t *testing.T, want, got *View) {
	t.Helper()
	a, b := *want, *got
	assert.True(t, a.RegisteredAt.Equal(b.RegisteredAt))
	assert.True(t, a.Since.Equal(b.Since))
	a.RegisteredAt, a.Since, b.RegisteredAt, b.Since = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	for i := range a.Secrets {
		assert.True(t, a.Secrets[i].Until.Equal(b.Secrets[i].Until))
		assert.Equal(t, a.Secrets[i].Key.Reveal(), b.Secrets[i].Key.Reveal())
	}
	a.Secrets, b.Secrets = nil, nil
	assert.Equal(t, a, b)
}

func TestManages(t *testing.T) {
	user, org, both := Owner{UserID: "u"}, Owner{OrgID: "o"}, Owner{UserID: "u", OrgID: "o"}
	for _, tt := range []struct {
		p, o Owner
		want bool
	}{
		{root, root, true},
		{root, user, true},
		{user, root, false},
		{user, user, true},
		{user, org, false},
		{both, user, true},
		{both, org, true},
		{both, both, true},
		{user, both, false},
		{org, both, false}, // it hears of what they do not see
		{Owner{}, Owner{}, false},
		{user, Owner{}, false},
		{user, Owner{UserID: "v"}, false},
	} {
		assert.Equal(t, tt.want, tt.p.Manages(tt.o), "%+v of %+v", tt.p, tt.o)
	}
}

func TestRotateKeepsThree(t *testing.T) {
	keys := make([]signing.Secret, 5)
	for i := range keys {
		var err error
		keys[i], err = signing.NewSecret()
		require.NoError(t, err)
	}
	now := time.Now()
	h := Hook{Secrets: []Secret{{Key: keys[0]}}}
	for i, key := range keys[1:] {
		h.Rotate(key, now.Add(time.Duration(i+1)*time.Hour))
	}
	assert.Equal(t, []Secret{{Key: keys[4]}, {keys[3], now.Add(4 * time.Hour)}, {keys[2], now.Add(3 * time.Hour)}}, h.Secrets)
	h.Rotate(keys[0], now)
	assert.Equal(t, []Secret{{Key: keys[0]}, {keys[4], now}, {keys[3], now}}, h.Secrets, "a shorter overlap is for all of them")
	assert.Len(t, h.signers(now), 1)
}

// A hook that was deleted gets nothing more, what is being sent included.
func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(int) outbound.Outcome {
			return outbound.Outcome{Class: outbound.Delivered, Latency: time.Hour}
		})
		d := newDisk()
		e := open(t, settings(w, d))
		v, other := e.hook("a", root), e.hook("b", root)
		for n := range byte(10) {
			e.offerUsage(1, n+1)
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, e.Delete(t.Context(), v.ID, 0))
		assert.Zero(t, time.Since(start), "requests are cut off")
		assert.Len(t, w.got("a"), 2)
		assert.Equal(t, Accepted, e.offerUsage(1, 11))
		time.Sleep(time.Hour)
		assert.Len(t, w.got("a"), 2)
		assert.Len(t, w.got("b"), 11)
		assert.Zero(t, e.Stats().Pending)
		require.NoError(t, e.Delete(t.Context(), other.ID, 0))
		time.Sleep(2 * flushEvery)
		e.close()
		for _, key := range d.keys() {
			assert.NotContains(t, key, "body", "what nobody may ask for is gone")
			assert.NotContains(t, key, "to.")
		}
	})
}

// Whoever deletes a hook just before a crash has deleted it: its deliveries go with it, in one step.
func TestDeleteInOneStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		e := open(t, settings(w, d))
		v := e.hook("a", root)
		pause(e, v.ID)
		for n := range byte(10) {
			e.offerUsage(1, n+1)
		}
		require.NoError(t, e.Delete(t.Context(), v.ID, 0))
		after := d.copied()
		e.kill(d)
		e = open(t, settings(w, after))
		time.Sleep(time.Hour)
		assert.Empty(t, w.got("a"))
		assert.Zero(t, e.Stats().Pending)
		e.close()
	})
}

func TestPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		s.Limits.PerHook = 5
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root)
		pause(e, v.ID)
		for n := range byte(8) {
			e.offerUsage(1, n+1)
		}
		time.Sleep(time.Hour)
		assert.Empty(t, w.got("a"))
		got, err := e.Get(v.ID)
		require.NoError(t, err)
		assert.Equal(t, 5, got.Pending)
		assert.EqualValues(t, 3, got.Dropped)
		resume(e, v.ID)
		synctest.Wait()
		var want []string
		for n := byte(4); n <= 8; n++ {
			want = append(want, uuid.UUID{1, n, 15: 1}.String())
		}
		assert.ElementsMatch(t, want, w.got("a"), "the newest are those that stay")
	})
}

func TestTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(n int) outbound.Outcome {
			if n == 0 {
				return outbound.Outcome{Status: 200, Class: outbound.Delivered, Latency: time.Second, Excerpt: "hello"}
			}
			return outbound.Outcome{Status: 500, Class: outbound.Failed, Latency: time.Hour, Err: errors.New("broken")}
		})
		e := open(t, settings(w, newDisk()))
		defer e.close()
		v := e.hook("a", root)
		setStatus(e, v.ID, Disabled)
		busy := make(chan error, 1)
		go func() {
			time.Sleep(time.Millisecond)
			_, err := e.Test(t.Context(), v.ID)
			busy <- err
		}()
		got, err := e.Test(t.Context(), v.ID)
		require.NoError(t, err)
		require.ErrorIs(t, <-busy, ErrBusy)
		assert.Equal(t, Delivered, got.State)
		assert.Equal(t, "hello", got.Log[0].Excerpt)
		assert.Equal(t, Test, got.Type)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = e.Test(ctx, v.ID)
		require.Error(t, err)
		log, err := e.Deliveries(v.ID, 0, 10)
		require.NoError(t, err)
		assert.Len(t, log, 2)
		_, err = e.Test(t.Context(), "x")
		require.ErrorIs(t, err, ErrNotFound)
		assert.Zero(t, e.Stats().InFlight)
	})
}

func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		s.Limits.History = 3
		e := open(t, s)
		v := e.hook("a", root)
		for n := range byte(5) {
			e.offerUsage(1, n+1)
			synctest.Wait()
		}
		log, err := e.Deliveries(v.ID, 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 3, "so many are remembered")
		assert.EqualValues(t, 5, log[0].Number)
		log, err = e.Deliveries(v.ID, 5, 1)
		require.NoError(t, err)
		assert.EqualValues(t, 4, log[0].Number)

		e.close()
		e = open(t, s)
		defer e.close()
		_, err = e.Resend(t.Context(), v.ID, 4)
		require.NoError(t, err, "also after a restart")
		synctest.Wait()
		got := w.got("a")
		assert.Len(t, got, 6)
		assert.Equal(t, got[3], got[5], "under the same id")
		_, err = e.Resend(t.Context(), v.ID, 1)
		require.ErrorIs(t, err, ErrDelivery)
		_, err = e.Resend(t.Context(), "x", 1)
		require.ErrorIs(t, err, ErrNotFound)
		setStatus(e, v.ID, Disabled)
		_, err = e.Resend(t.Context(), v.ID, 4)
		require.ErrorIs(t, err, ErrDisabled)
	})
}

// What fails need not wait for its next attempt.
func TestResendOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.answer("a", func(n int) outbound.Outcome {
			if n < 4 {
				return status(500, outbound.Failed)(n)
			}
			return ok()
		})
		e := open(t, settings(w, nil))
		defer e.close()
		v := e.hook("a", root)
		start := time.Now()
		e.offerUsage(1, 1)
		time.Sleep(time.Hour)
		_, err := e.Resend(t.Context(), v.ID, 1)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, time.Hour, w.times("a", start)[4])
		assert.Zero(t, e.Stats().Pending)
	})
}

// What is wanted again waits from then on, however old it is.
func TestResendOfWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		s.Limits.Age = time.Hour
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root)
		e.offerUsage(1, 1)
		time.Sleep(2 * time.Hour)
		_, err := e.Resend(t.Context(), v.ID, 1)
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, w.got("a"), 2)

		pause(e, v.ID)
		_, err = e.Resend(t.Context(), v.ID, 1)
		require.NoError(t, err)
		e.offerUsage(1, 2)
		time.Sleep(2 * sweepEvery)
		assert.Equal(t, 2, e.Stats().Pending)
		time.Sleep(time.Hour)
		assert.Equal(t, 2, e.w.of("dropped age"))
		e.atRest()
	})
}

func TestPayloadsAreKeptWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		s := settings(w, d)
		s.Limits.History, s.Limits.HistoryBytes, s.Limits.Concurrency = 100, 300, 1
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root)
		for n := range byte(50) {
			e.offerUsage(1, n+1)
		}
		time.Sleep(time.Minute)
		assert.LessOrEqual(t, e.Stats().History, int64(300))
		bodies := 0
		for _, key := range d.keys() {
			if len(key) > 4 && key[:4] == "body" {
				bodies++
			}
		}
		assert.Less(t, bodies, 10)
		_, err := e.Resend(t.Context(), v.ID, 1)
		require.ErrorIs(t, err, ErrGone)
		_, err = e.Resend(t.Context(), v.ID, 50)
		require.NoError(t, err)
	})
}
