package vmusagereceiver

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

var errRefused = errors.New("refused")

// bubble runs f on a fake clock that stands at seven seconds past the minute.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second)
		f(t)
	})
}

func start(t *testing.T, v *vmUsage) {
	t.Helper()
	require.NoError(t, v.Start(t.Context(), componenttest.NewNopHost()))
}

func TestTicksAreAlignedAndPeriodsAddUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src, p := newFakeSource(), &pipeline{}
		v := newFake(t, src, p)
		start(t, v)
		time.Sleep(55 * time.Second) // it is :02 of the next minute
		synctest.Wait()
		require.Len(t, p.periods(), 2)
		require.NoError(t, v.Shutdown(t.Context()))
		require.NoError(t, v.Shutdown(t.Context()), "twice is fine")
		assert.True(t, src.closed)

		var seconds []int
		for _, at := range src.taken() {
			seconds = append(seconds, at.Second())
		}
		assert.Equal(t, []int{7, 10, 20, 30, 40, 50, 0, 2}, seconds)
		ps := p.periods()
		require.Len(t, ps, 3, "the last one is closed by the end")
		var sum int64
		for i := range ps {
			sum += ps[i].Usage[usage.CPUTime]
			assert.Equal(t, sum, ps[i].Totals[usage.CPUTime])
			assert.EqualValues(t, i+1, ps[i].Sequence)
			if i > 0 {
				assert.Equal(t, ps[i-1].End, ps[i].Start)
			}
		}
		assert.Equal(t, int64(55_000_000), sum)
		assert.Equal(t, []int64{23e6, 30e6, 2e6}, []int64{ps[0].Usage[usage.Running], ps[1].Usage[usage.Running], ps[2].Usage[usage.Running]})
	})
}

func TestWhatIsRefusedIsOfferedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		var offers atomic.Int32
		down.Store(true)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if offers.Add(1); down.Load() {
				return errRefused
			}
			return nil
		}}
		v := newFake(t, newFakeSource(), p)
		start(t, v)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Empty(t, p.periods())
		assert.Less(t, offers.Load(), int32(60), "offers back off")
		assert.Equal(t, 10, v.state.outbox.State().Periods)
		down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		ps := p.periods()
		require.Len(t, ps, 12)
		slices.SortFunc(ps, func(a, b usage.Period) int { return int(a.Sequence) - int(b.Sequence) })
		for i := range ps {
			assert.EqualValues(t, i+1, ps[i].Sequence)
		}
		assert.Zero(t, v.state.outbox.State().Periods)
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

func TestNothingWaitsForAnotherPart(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	t.Run("usage that hangs stops neither sampling nor levels", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			src, p := newFakeSource(), &pipeline{usage: func(ctx context.Context, _ *usage.Period) error { return hang(ctx) }}
			v := newFake(t, src, p)
			start(t, v)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			assert.Len(t, src.taken(), 13)
			assert.Equal(t, 13, p.levelBatches())
			assert.Equal(t, 4, v.state.outbox.State().Periods)
			began := time.Now()
			require.NoError(t, v.Shutdown(t.Context()))
			assert.LessOrEqual(t, time.Since(began), 2*flushTimeout)
		})
	})
	t.Run("levels that hang stop neither sampling nor usage", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			src := newFakeSource()
			release := make(chan struct{})
			p := &pipeline{levels: func(pmetric.Metrics) error { <-release; return nil }}
			v := newFake(t, src, p)
			start(t, v)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			assert.Len(t, src.taken(), 13)
			assert.Equal(t, 1, p.levelBatches(), "those that come while it hangs are skipped")
			assert.Len(t, p.periods(), 4)
			close(release)
			require.NoError(t, v.Shutdown(t.Context()))
		})
	})
	t.Run("a slow sample is taken at the next tick and costs no usage", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			src, p := newFakeSource(), &pipeline{}
			src.delay = 12 * time.Second
			v := newFake(t, src, p)
			start(t, v)
			time.Sleep(2 * time.Minute)
			require.NoError(t, v.Shutdown(t.Context()))
			ps := p.periods()
			first, last := ps[0], ps[len(ps)-1]
			assert.Equal(t, last.End-first.Start, last.Totals[usage.CPUTime]*1000)
		})
	})
}

func TestFailedSamplesAreBridgedByTheCounters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src, p := newFakeSource(), &pipeline{}
		v := newFake(t, src, p)
		start(t, v)
		time.Sleep(10 * time.Second)
		src.fail(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, p.periods(), "no period ends where nothing was measured")
		src.fail(false)
		time.Sleep(20 * time.Second)
		require.NoError(t, v.Shutdown(t.Context()))
		ps := p.periods()
		require.NotEmpty(t, ps)
		last := ps[len(ps)-1]
		assert.Equal(t, int64(90_000_000), last.Totals[usage.CPUTime])
		assert.Equal(t, usage.Recovered, ps[0].Quality[usage.CPUTime])
		assert.Equal(t, usage.Gap, ps[0].Quality[usage.Memory])
		assert.Less(t, ps[0].Coverage[usage.CPUTime], int32(usage.FullCoverage))
	})
}

func TestStartFails(t *testing.T) {
	v := newFake(t, nil, &pipeline{})
	v.open = func(reading.Instant) ([]source, error) { return nil, errRefused }
	require.ErrorIs(t, v.Start(t.Context(), componenttest.NewNopHost()), errRefused)
	require.NoError(t, v.Shutdown(t.Context()))
}
