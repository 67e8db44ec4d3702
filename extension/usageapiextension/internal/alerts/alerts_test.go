package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files of this package")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is what outlives a crash: what was kept, and what the engine took.
type world struct {
	t *testing.T

	mu    sync.Mutex
	kept  []byte
	marks map[[16]byte]bool
	told  []told

	// ops are how often something was to be written. From the one with the number crash on
	// nothing is any more, until the next process.
	ops, crash int
	fails      error // of Keep
	keeps      int   // that were tried
}

type told struct {
	event.Alert
	webhook.Event
	body string
}

func newWorld(t *testing.T) *world {
	return &world{t: t, marks: map[[16]byte]bool{}, crash: -1}
}

// alive counts a write and reports whether it is one.
func (w *world) alive() bool {
	w.ops++
	return w.crash < 0 || w.ops <= w.crash
}

type batch struct {
	*world
	offered []told
}

func (b *batch) Offer(e *webhook.Event, m webhook.Mark, payload func([]byte) []byte) webhook.Outcome {
	require.Equal(b.t, webhook.Mark{Key: e.ID, Sequence: 1}, m)
	if b.marks[m.Key] {
		return webhook.Repeated
	}
	body := payload(nil)
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(b.t, json.Unmarshal(body, &envelope))
	alert, err := event.DecodeAlert(envelope.Data)
	require.NoError(b.t, err)
	b.offered = append(b.offered, told{*alert, *e, string(body)})
	return webhook.Accepted
}

func (b *batch) Commit(context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.alive() {
		return
	}
	for _, o := range b.offered {
		b.marks[o.Event.ID] = true
	}
	b.told = append(b.told, b.offered...)
}

func (w *world) keep(_ context.Context, value []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keeps++
	if w.fails != nil {
		return w.fails
	}
	if w.alive() {
		w.kept = value
	}
	return nil
}

// start starts a process, and returns it and what ends it.
func (w *world) start(change ...func(*Settings)) (*Alerts, func()) {
	s := Settings{
		Begin: func() Batch { return &batch{world: w} }, Keep: w.keep, HostID: "0c52f4b8d3a14b0e9b2f6f7a1c9d8e70", HostName: "rack4-node7",
		Clear: 30 * time.Second, Settle: 5 * time.Minute, Max: 10,
	}
	for _, c := range change {
		c(&s)
	}
	a := New(s)
	if w.kept != nil {
		require.NoError(w.t, a.Restore(w.kept))
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	return a, func() { cancel(); running.Wait() }
}

// said is what was told since the last call, with times in seconds since the start.
func (w *world) said(start time.Time) (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.told {
		s := fmt.Sprintf("%s %s %s %d", a.Name, a.Source, a.State, time.Unix(0, a.Alert.At).Sub(start)/time.Second)
		if a.Reason != "" {
			s += " " + a.Reason
		}
		assert.Equal(w.t, a.Alert.ID, a.Event.ID)
		assert.Equal(w.t, a.Alert.At, a.Event.At)
		assert.Equal(w.t, webhook.PipelineAlert, a.Type)
		list = append(list, s)
	}
	w.told = nil
	return list
}

func condition(active bool) Condition {
	return Condition{Name: BreakerOpen, Source: "usage_event/2", Active: active}
}

func TestEpisodes(t *testing.T) {
	type step struct {
		wait   time.Duration // before it
		active bool
	}
	const s = time.Second
	for _, tt := range []struct {
		name  string
		hold  time.Duration // For
		steps []step
		wait  time.Duration // after the last
		want  []string
	}{
		{"it begins at once", 0, []step{{0, true}}, 0, []string{"firing 0"}},
		{"it is said again and again", 0, []step{{0, true}, {s, true}, {60 * s, true}}, 60 * s, []string{"firing 0"}},
		{"it is right already", 0, []step{{0, false}}, 60 * s, nil},
		{"it is right for almost long enough", 0, []step{{0, true}, {s, false}}, 30*s - 1, []string{"firing 0"}},
		{"it is right for long enough", 0, []step{{0, true}, {s, false}}, 30 * s, []string{"firing 0", "resolved 1 cleared"}},
		{"it is over at once, and was there", 0, []step{{0, true}, {0, false}}, 30 * s, []string{"firing 0", "resolved 0 cleared"}},
		{"it flaps", 0, []step{{0, true}, {s, false}, {29 * s, true}, {s, false}, {29 * s, true}, {s, false}}, 30 * s, []string{"firing 0", "resolved 61 cleared"}},
		{"it is said to be right again and again", 0, []step{{0, true}, {s, false}, {20 * s, false}}, 10 * s, []string{"firing 0", "resolved 1 cleared"}},
		{"it comes back", 0, []step{{0, true}, {s, false}, {30 * s, true}, {s, false}}, 30 * s, []string{
			"firing 0", "resolved 1 cleared", "firing 31", "resolved 32 cleared",
		}},
		{"it is wrong for almost long enough", 10 * s, []step{{0, true}}, 10*s - 1, nil},
		{"it is wrong for long enough", 10 * s, []step{{0, true}}, 10 * s, []string{"firing 0"}},
		{"it was never wrong for long enough", 10 * s, []step{{0, true}, {9 * s, false}, {s, true}, {9 * s, false}}, 60 * s, nil},
		{"it is wrong for long enough, and then right", 10 * s, []step{{5 * s, true}, {10 * s, false}}, 60 * s, []string{"firing 5", "resolved 15 cleared"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, began := newWorld(t), time.Now()
				a, stop := w.start(func(s *Settings) { s.For = tt.hold })
				for _, step := range tt.steps {
					time.Sleep(step.wait)
					synctest.Wait()
					a.Set(condition(step.active))
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				var want []string
				for _, s := range tt.want {
					want = append(want, "breaker_open usage_event/2 "+s)
				}
				episodes := map[uuid.UUID]int{}
				for _, a := range w.told {
					episodes[a.Episode]++
					assert.NotEqual(t, a.Episode, a.Alert.ID)
				}
				assert.Len(t, episodes, (len(want)+1)/2)
				assert.Equal(t, want, w.said(began))
				stop()
				assert.Empty(t, w.told, "the end of the process is no end of an alert")
			})
		})
	}
}

// What happens in an instant lasts for a while after it happened last.
func TestWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		a, stop := w.start()
		defer stop()
		c := Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Lasts: time.Minute}
		a.Set(c)
		time.Sleep(59 * time.Second)
		a.Set(c)
		time.Sleep(time.Minute + 30*time.Second - time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 firing 0"}, w.said(began))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 resolved 119 cleared"}, w.said(began))

		a.Set(c)
		time.Sleep(time.Minute + time.Second)
		a.Set(c) // within Clear
		time.Sleep(time.Second)
		c.Lasts = 0
		a.Set(c)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 firing 149"}, w.said(began), "now it lasts until it is said to be over")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start(func(s *Settings) { s.For = time.Hour })
		defer stop()
		a.Set(Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Lasts: time.Minute})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Empty(t, w.told, "it did not last for long enough")
		assert.Empty(t, a.open)
	})
}

func TestSourcesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		a, stop := w.start()
		defer stop()
		owner := webhook.Owner{UserID: "user-42"}
		a.Set(Condition{Name: EndpointDisabled, Source: "hook-1", Active: true, Owner: owner, Details: []event.Detail{{Key: "url", Text: "https://example.com/"}}})
		a.Set(Condition{Name: EndpointDisabled, Source: "hook-2", Active: true})
		a.Set(Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Details: []event.Detail{{Key: "deliveries", Number: 3, Numeric: true}}})
		synctest.Wait()
		require.Len(t, w.told, 3)
		assert.Equal(t, owner, w.told[0].Owner)
		assert.Equal(t, webhook.Owner{}, w.told[1].Owner)
		assert.Equal(t, []string{"endpoint_disabled hook-1 firing 0", "endpoint_disabled hook-2 firing 0", "deliveries_dropped hook-1 firing 0"}, w.said(began))
		open := a.Open()
		require.Len(t, open, 3)
		assert.Equal(t, Open{DeliveriesDropped, "hook-1", began.Add(2).UTC(), []event.Detail{{Key: "deliveries", Number: 3, Numeric: true}}}, open[0])

		a.Set(Condition{Name: EndpointDisabled, Source: "hook-1", Owner: owner})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, w.told, 1)
		assert.Equal(t, owner, w.told[0].Owner)
		assert.Equal(t, []event.Detail{{Key: "url", Text: "https://example.com/"}}, w.told[0].Details, "what was known last")
		assert.Equal(t, []string{"endpoint_disabled hook-1 resolved 0 cleared"}, w.said(began))
		assert.Len(t, a.Open(), 2)
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start(func(s *Settings) { s.Max = 2 })
		defer stop()
		var details []event.Detail
		for i := range 100 {
			details = append(details, event.Detail{Key: strings.Repeat("k", 100) + fmt.Sprint(i), Text: strings.Repeat("é", 1000)})
		}
		long := strings.Repeat("s", 1000)
		for _, source := range []string{long, "b", "c", "d", "b"} {
			a.Set(Condition{Name: SourceFailing, Source: source, Active: true, Details: details})
		}
		a.Set(Condition{Name: "No Name", Source: "b", Active: true})
		synctest.Wait()
		assert.Equal(t, uint64(3), a.Dropped())
		require.Len(t, w.told, 2)
		assert.Equal(t, long[:maxText], w.told[0].Source)
		assert.Len(t, w.told[1].Details, maxDetails)
		assert.Less(t, len(w.told[1].body), 8<<10)

		a.Set(Condition{Name: SourceFailing, Source: "b"})
		time.Sleep(time.Minute)
		a.Set(Condition{Name: SourceFailing, Source: "c", Active: true})
		synctest.Wait()
		assert.Len(t, w.told, 4, "there is room again")
		assert.Equal(t, uint64(3), a.Dropped())
	})
}

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

func TestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start()
		c := Condition{Name: DeadLetters, Source: "usage_event/2", Active: true, Details: []event.Detail{{Key: "events", Number: 12, Numeric: true}}}
		a.Set(c)
		time.Sleep(time.Second)
		c.Active = false
		a.Set(c)
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		require.Len(t, w.told, 2)
		for i, o := range w.told {
			name := fmt.Sprintf("testdata/pipeline_alert-%s.json", []string{"firing", "resolved"}[i])
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, []byte(o.body), "", "  "))
			got.WriteByte('\n')
			if *update {
				require.NoError(t, os.WriteFile(name, got.Bytes(), 0o600))
			}
			want, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(o.body))
			require.NoError(t, err)
			assert.NoError(t, schema(t).Validate(doc.(map[string]any)["data"]))
		}
		namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:vmusage:event:pipeline_alert"))
		episode := uuid.NewSHA1(namespace, []byte("0c52f4b8d3a14b0e9b2f6f7a1c9d8e70\nrack4-node7\nusage_event/2\ndead_letters\n946684800000000000"))
		assert.Equal(t, episode, w.told[0].Episode)
		assert.Equal(t, uuid.NewSHA1(episode, []byte("firing")), w.told[0].Alert.ID)
	})
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(event.AlertSchema())))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema", doc))
	s, err := c.Compile("schema")
	require.NoError(t, err)
	return s
}

func TestConcurrently(t *testing.T) {
	w := newWorld(t)
	a, stop := w.start(func(s *Settings) { s.Clear = 0 })
	var setting sync.WaitGroup
	for i := range 4 {
		setting.Go(func() {
			for n := range 200 {
				a.Set(Condition{Name: BreakerOpen, Source: fmt.Sprint(i % 2), Active: n%2 == 0, Details: []event.Detail{{Key: "n", Text: "x"}}})
				a.Open()
				a.Dropped()
			}
			a.Set(Condition{Name: BreakerOpen, Source: fmt.Sprint(i % 2)})
		})
	}
	setting.Wait()
	stop()
	open := map[uuid.UUID]int{}
	for _, o := range w.told {
		if o.State == event.AlertFiring {
			open[o.Episode]++
		} else {
			open[o.Episode]--
		}
	}
	for id, n := range open {
		assert.Zero(t, n, id)
	}
}

// FuzzRestore: no input panics; what is taken is told as valid events, and kept as something that
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
