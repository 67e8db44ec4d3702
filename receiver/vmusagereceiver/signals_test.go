package vmusagereceiver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// watcher is an extension that wants to know what is wrong.
type watcher struct {
	component.Component
	mu   sync.Mutex
	told []string
}

func (w *watcher) PipelineSignal(source component.ID, signal string, active bool, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf("%s %s %t %s", source, signal, active, detail))
}

// news returns what was told since it was last asked.
func (w *watcher) news() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

// startWatched starts a receiver beside a watcher and other extensions.
func startWatched(t *testing.T, v *vmUsage, others map[component.ID]component.Component) *watcher {
	t.Helper()
	w := &watcher{}
	all := map[component.ID]component.Component{component.MustNewID("usage_api"): w}
	maps.Copy(all, others)
	require.NoError(t, v.Start(t.Context(), storageHost{componenttest.NewNopHost(), all}))
	return w
}

func TestASourceThatFailsIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src := newFakeSource()
		v := newFake(t, src, &pipeline{})
		w := startWatched(t, v, nil)
		time.Sleep(time.Minute)
		assert.Empty(t, w.news())
		src.fail(true)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"vm_usage source_failing true source fake: cannot be read"}, w.news())
		src.fail(false)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"vm_usage source_failing false "}, w.news())
		require.NoError(t, v.Shutdown(t.Context()))
		assert.Empty(t, w.news())
	})
}

// A signal is active while one of several things is wrong, and says which.
func TestSeveralThingsAreOneSignal(t *testing.T) {
	w := &watcher{}
	s := signalsOf(component.MustNewID("vm_usage"), storageHost{nil, map[component.ID]component.Component{component.MustNewID("x"): w}})
	s.report(signalSource, "host", nil)
	s.report(signalSource, "gpu", errors.New("hung"))
	s.report(signalSource, "gpu", errors.New("still"))
	s.report(signalStorage, "writing", errors.New("full"))
	s.report(signalSource, "host", errors.New("no /proc"))
	s.report(signalSource, "gpu", nil)
	s.report(signalSource, "host", nil)
	s.report(signalSource, "host", nil)
	assert.Equal(t, []string{
		"vm_usage source_failing true gpu: hung",
		"vm_usage storage_failing true writing: full",
		"vm_usage source_failing true gpu: hung; host: no /proc",
		"vm_usage source_failing true host: no /proc",
		"vm_usage source_failing false ",
	}, w.told)
	var none *signals
	none.report(signalSource, "host", errors.New("x"))
}

func TestAStorageThatFailsIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &faulty{values: map[string][]byte{}}
		v := newFake(t, newFakeSource(), &pipeline{}, stored)
		w := startWatched(t, v, map[component.ID]component.Component{storageID: f})
		time.Sleep(time.Minute)
		assert.Empty(t, w.news())
		f.set(errors.New("read-only file system"))
		time.Sleep(5 * time.Minute)
		told := w.news()
		require.Len(t, told, 1)
		assert.Contains(t, told[0], "vm_usage storage_failing true writing: ")
		assert.Contains(t, told[0], "read-only file system")
		f.set(nil)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"vm_usage storage_failing false "}, w.news())
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

// What waited when the collector started is nothing to be told while it is taken.
func TestAnOutboxThatGrowsIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		p := &pipeline{usage: func(context.Context, *usage.Period) error {
			if down.Load() {
				return errRefused
			}
			return nil
		}}
		v := newFake(t, newFakeSource(), p, func(c *Config) { c.Outbox.Growing.Periods = 6 })
		w := startWatched(t, v, nil)
		time.Sleep(3 * time.Minute)
		assert.Empty(t, w.news())
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{
			"vm_usage outbox_growing true outbox: 7 periods wait, the oldest for 3m30s; they take " +
				fmt.Sprint(int64(7)*v.state.outbox.State().Bytes/int64(v.state.outbox.State().Periods)) + " of 1073741824 bytes",
		}, w.news())
		down.Store(false)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, []string{"vm_usage outbox_growing false "}, w.news())
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

func TestFromWhenOnAnOutboxGrows(t *testing.T) {
	const minute, mb = int64(time.Minute), 1 << 20
	at := func(age int64, bytes int64) outbox.State {
		return outbox.State{Periods: 1, Oldest: 1e18 - age, Bytes: bytes}
	}
	both := GrowingConfig{Periods: 20, Percent: 50}
	for _, c := range []struct {
		name  string
		limit GrowingConfig
		looks []outbox.State
		want  []bool
	}{
		{"empty", both, []outbox.State{{}}, []bool{false}},
		{"age", both, []outbox.State{at(10*minute, 0), at(10*minute+1, 0), at(5*minute+1, 0), at(5*minute, 0), at(10*minute, 0)}, []bool{false, true, true, false, false}},
		{"size", both, []outbox.State{at(0, 50*mb), at(0, 50*mb+1), at(0, 25*mb+1), at(0, 25*mb)}, []bool{false, true, true, false}},
		{"one, then the other", both, []outbox.State{at(11*minute, 0), at(0, 40*mb), {}}, []bool{true, true, false}},
		{"never by age", GrowingConfig{Percent: 50}, []outbox.State{at(1000*minute, 0), at(0, 51*mb)}, []bool{false, true}},
		{"never by size", GrowingConfig{Periods: 20}, []outbox.State{at(0, 100*mb), at(11*minute, 0)}, []bool{false, true}},
		{"never", GrowingConfig{}, []outbox.State{at(1000*minute, 100*mb)}, []bool{false}},
		{"the clock was set back", both, []outbox.State{at(11*minute, 0), at(-minute, 0)}, []bool{true, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.Outbox.MaxBytes, cfg.Outbox.Growing = 100*mb, c.limit
			b := newBacklog(cfg)
			for i, s := range c.looks {
				assert.Equal(t, c.want[i], b.look(s, 1e18) != nil, "look %d", i)
			}
		})
	}
}

func TestLimitsOfAGrowingOutbox(t *testing.T) {
	for _, c := range []struct {
		limit GrowingConfig
		want  string // "" is valid
	}{
		{GrowingConfig{}, ""},
		{GrowingConfig{Periods: 2, Percent: 99}, ""},
		{GrowingConfig{Periods: 1}, "outbox::growing::periods is 1: it must be 2 to 10000, or 0 for never"},
		{GrowingConfig{Periods: -1}, "outbox::growing::periods is -1"},
		{GrowingConfig{Periods: 10_001}, "outbox::growing::periods is 10001"},
		{GrowingConfig{Percent: 100}, "outbox::growing::percent is 100: it must be 1 to 99, or 0 for never"},
		{GrowingConfig{Percent: -1}, "outbox::growing::percent is -1"},
	} {
		cfg := createDefaultConfig().(*Config)
		cfg.Outbox.Growing = c.limit
		if err := cfg.Validate(); c.want == "" {
			assert.NoError(t, err, "%+v", c.limit)
		} else {
			assert.ErrorContains(t, err, c.want)
		}
	}
}
