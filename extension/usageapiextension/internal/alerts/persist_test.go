package alerts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// TestCrashes ends the process before each thing that it writes. The next one is told that it is
// still wrong, or that it is not, or nothing: there is one beginning and one end all the same, of
// the same episode.
func TestCrashes(t *testing.T) {
	const all = 6 // writes: kept, told, kept that it is told; at the beginning and at the end
	for crash := range all {
		for _, then := range []string{"active", "inactive", "nothing"} {
			t.Run(fmt.Sprintf("before write %d, then %s", crash, then), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.crash = crash
					a, stop := w.start()
					a.Set(condition(true))
					time.Sleep(time.Second)
					if crash >= all/2 {
						a.Set(condition(false))
						time.Sleep(time.Minute)
					}
					synctest.Wait()
					assert.Greater(t, w.ops, crash)
					stop()

					w.crash = -1
					a, stop = w.start()
					switch then {
					case "active":
						a.Set(condition(true))
						time.Sleep(time.Hour)
						a.Set(condition(false))
					case "inactive":
						a.Set(condition(false))
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					stop()

					states := map[uuid.UUID][]event.AlertState{}
					for _, o := range w.told {
						states[o.Episode] = append(states[o.Episode], o.State)
					}
					episodes := 1
					switch {
					case crash == 0 && then != "active":
						episodes = 0 // nobody ever knew of it
					case crash > all/2 && then == "active":
						episodes = 2 // the first one is over
					}
					assert.Len(t, states, episodes)
					for _, of := range states {
						assert.Equal(t, []event.AlertState{event.AlertFiring, event.AlertResolved}, of)
					}
					assert.Empty(t, a.Open())
					assert.Empty(t, a.ended)
				})
			})
		}
	}
}

func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		a, stop := w.start()
		a.Set(condition(true))
		a.Set(Condition{Name: StaleMetering, Source: "x", Active: true})
		synctest.Wait()
		stop()
		w.told = nil
		a, stop = w.start()
		defer stop()
		a.Set(Condition{Name: StaleMetering, Source: "x", Active: true})
		time.Sleep(5*time.Minute - 1)
		synctest.Wait()
		assert.Empty(t, w.said(began))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"breaker_open usage_event/2 resolved 300 forgotten"}, w.said(began))
		require.Len(t, a.Open(), 1, "of the other one somebody has said that it is still wrong")
	})
}

// What cannot be kept is told all the same, and kept later.
func TestKeepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		w.fails = errors.New("no space left")
		a, stop := w.start()
		a.Set(condition(true))
		synctest.Wait()
		assert.Equal(t, []string{"breaker_open usage_event/2 firing 0"}, w.said(began))
		tried := w.keeps
		time.Sleep(keepAgain - 1)
		synctest.Wait()
		assert.Equal(t, tried, w.keeps)
		w.mu.Lock()
		w.fails = nil
		w.mu.Unlock()
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, tried+1, w.keeps)
		stop()
		a, stop = w.start()
		a.Set(condition(false))
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		assert.Equal(t, []string{"breaker_open usage_event/2 resolved 10 cleared"}, w.said(began))
		tried = w.keeps
		_, stop = w.start(func(s *Settings) { s.Keep = nil })
		time.Sleep(time.Hour)
		stop()
		assert.Equal(t, tried, w.keeps)
	})
}

// is taken again.
func FuzzRestore(f *testing.F) {
	a := New(Settings{Max: 5})
	a.Set(Condition{Name: BreakerOpen, Source: "x", Active: true, Owner: webhook.Owner{UserID: "u", Admin: true}, Details: []event.Detail{{Key: "a", Number: -1, Numeric: true}}})
	a.Set(Condition{Name: DeadLetters, Source: "y", Active: true})
	a.Set(Condition{Name: DeadLetters, Source: "y"})
	a.dueLocked(time.Now())
	f.Add(a.encodeLocked())
	f.Add(wire.Seal(wire.Begin(nil, wire.KindAlerts)))
	f.Add(wire.Seal(append(wire.Begin(nil, wire.KindAlerts), 0)))
	f.Add([]byte{})
	compiled := schema(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		if payload, err := wire.Open(value, wire.KindAlerts); err != nil && len(value) > 10 {
			value = wire.Seal(append(wire.Begin(nil, wire.KindAlerts), value[6:len(value)-4]...)) // past the checksum
		} else {
			_ = payload
		}
		a := New(Settings{Max: 5, Settle: -1, Clear: time.Hour})
		if err := a.Restore(value); err != nil {
			assert.Empty(t, a.open)
			assert.Empty(t, a.ended)
			return
		}
		require.LessOrEqual(t, len(a.open)+len(a.ended), 5)
		again := New(Settings{Max: 5, Settle: -1})
		require.NoError(t, again.Restore(a.encodeLocked()))
		require.Equal(t, a.encodeLocked(), again.encodeLocked())
		for _, s := range a.dueLocked(time.Now()) {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(event.AppendAlert(nil, &s.alert))))
			require.NoError(t, err)
			require.NoError(t, compiled.Validate(doc))
		}
	})
}

func TestRestoreRefuses(t *testing.T) {
	a := New(Settings{Max: 5})
	require.ErrorIs(t, a.Restore([]byte("x")), wire.ErrForeign)
	require.ErrorIs(t, a.Restore(wire.Seal(wire.Begin(nil, wire.KindMarker))), wire.ErrForeign)
	require.ErrorIs(t, a.Restore(wire.Seal(append(wire.Begin(nil, wire.KindAlerts), 0, 0))), wire.ErrCorrupt)
	newer := wire.Begin(nil, wire.KindAlerts)
	wire.Need(newer, 99)
	require.ErrorIs(t, a.Restore(wire.Seal(append(newer, 0))), wire.ErrNewer)
}
