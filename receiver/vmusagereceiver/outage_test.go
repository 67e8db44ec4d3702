package vmusagereceiver

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// growing is a machine whose file systems change their size, as those of ZFS do.
type growing struct{ *fakeSource }

func (g growing) Sample(ctx context.Context, at reading.Instant, visit func(sampled)) error {
	g.reading.Flavor.StorageBytes++
	return g.fakeSource.Sample(ctx, at, visit)
}

// A full outbox in a long outage; then the pipeline works again.
func TestAnOutageOfHoursEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if down.Load() {
				return errRefused
			}
			return nil
		}}
		v := newFake(t, growing{newFakeSource()}, p, func(c *Config) { c.Outbox.MaxBytes = minOutbox })
		start(t, v)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.NotEmpty(t, p.periods())
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

// The clock is stepped back by 8 h (RTC in local time, first NTP sync) while one chunk waits in its backoff.
func TestAClockSetBackDelaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		var step atomic.Int64
		down.Store(true)
		refused := make(chan struct{}, 100)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if down.Load() {
				refused <- struct{}{}
				return errRefused
			}
			return nil
		}}
		v := newFake(t, newFakeSource(), p)
		v.clock = func() reading.Instant {
			at := fakeClock()
			at.Wall += step.Load()
			return at
		}
		start(t, v)
		<-refused
		synctest.Wait()
		step.Store(-8 * int64(time.Hour))
		down.Store(false)
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		assert.NotEmpty(t, p.periods())
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

// In memory: the pipeline works again just before the shutdown.
func TestShutdownDeliversWhatWasParked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if down.Load() {
				return errRefused
			}
			return nil
		}}
		v := newFake(t, newFakeSource(), p)
		start(t, v)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		box := v.state.outbox
		down.Store(false)
		require.NoError(t, v.Shutdown(t.Context()))
		assert.Zero(t, box.State().Periods)
	})
}

// One instance-change chunk is stuck; others must go on.
func TestWhatIsStuckWaitsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		late := time.Duration(0)
		p := &pipeline{usage: func(_ context.Context, p *usage.Period) error {
			if p.Sequence == 1 {
				return errRefused
			}
			late = max(late, time.Since(time.Unix(0, p.End)))
			return nil
		}}
		v := newFake(t, newFakeSource(), p)
		start(t, v)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Less(t, late, 2*time.Second)
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

func manyPeriods(tick, n int) (ps []usage.Period) {
	for i := range n {
		p := usage.Period{Instance: usage.Instance{ID: fmt.Sprint("vm", i)}, Stream: usage.Stream{ID: uuid.UUID{1: byte(tick), 2: byte(i >> 8), 3: byte(i), 6: 0x40, 8: 0x80}}, Sequence: 1}
		p.Start = time.Now().UnixNano() - 30e9
		p.End, p.Duration = p.Start+30e9, 30e9
		p.Metered.Add(usage.CPUTime)
		ps = append(ps, p)
	}
	return ps
}

// A hypervisor: each tick closes several chunks.
func TestAnOutageWithManyInstancesEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if down.Load() {
				return errRefused
			}
			return nil
		}}
		src := newFakeSource()
		src.fail(true)
		const perTick = 1000 // 3 chunks
		v := newFake(t, src, p, func(c *Config) { c.Outbox.MaxBytes = 4 * perTick * 2600 })
		start(t, v)
		for tick := range 20 {
			v.state.outbox.Put(manyPeriods(tick, perTick), nil)
			time.Sleep(30 * time.Second)
		}
		synctest.Wait()
		down.Store(false)
		for tick := range 20 {
			v.state.outbox.Put(manyPeriods(100+tick, perTick), nil)
			time.Sleep(30 * time.Second)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.NotEmpty(t, p.periods())
		require.NoError(t, v.Shutdown(t.Context()))
	})
}
