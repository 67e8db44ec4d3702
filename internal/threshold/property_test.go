package threshold_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// drawRule draws a rule of the id cpu-high; all measure the same.
func drawRule(t *rapid.T) *threshold.Rule {
	d := func(name string) time.Duration {
		return time.Duration(rapid.SampledFrom([]int64{0, 1, 3, 7, 20}).Draw(t, name)) * time.Second
	}
	return levels(func(r *threshold.Rule) {
		r.HasCritical = rapid.Bool().Draw(t, "critical")
		if rapid.Bool().Draw(t, "clear") {
			r.HasClear, r.Clear = true, 60
		}
		r.Warning = rapid.SampledFrom([]float64{70, 80}).Draw(t, "warning")
		r.For, r.KeepFiringFor = d("for"), d("keep")
		r.RepeatInterval, r.NoDataAfter = d("repeat"), d("silence")
		r.NoData = rapid.SampledFrom([]threshold.NoData{threshold.NoDataKeep, threshold.NoDataResolve, threshold.NoDataNotify}).Draw(t, "no data")
	})
}

// A world is an engine, its storage, and what was committed to it.
type world struct {
	t      *rapid.T
	cfg    threshold.Config
	engine *threshold.Engine
	store  store
	rule   *threshold.Rule
	now    int64
	began  int64 // of the engine: what is measured before is no news to it
	inputs map[string][]input
	got    map[string][]threshold.Announcement
}

var vms = []string{"a", "b"}

func newWorld(t *rapid.T, cfg threshold.Config) *world {
	cfg.Remember = 24 * time.Hour
	return &world{
		t: t, cfg: cfg, engine: threshold.New(cfg), store: store{}, rule: drawRule(t), now: t0,
		inputs: map[string][]input{}, got: map[string][]threshold.Announcement{},
	}
}

func (w *world) all(in input) {
	for _, id := range vms {
		w.inputs[id] = append(w.inputs[id], in)
	}
}

type point struct {
	id    string
	at    int64
	value float64
}

func (w *world) batch() []point {
	var points []point
	for range rapid.IntRange(0, 6).Draw(w.t, "points") {
		step := rapid.SampledFrom([]int64{0, 1, second - 1, second, second + 1, 3 * second, 7 * second, 25 * second}).Draw(w.t, "step")
		back := rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 5 * second}).Draw(w.t, "back")
		w.now += step
		points = append(points, point{
			id: rapid.SampledFrom(vms).Draw(w.t, "vm"), at: max(w.began, w.now-back),
			value: rapid.SampledFrom([]float64{10, 60, 61, 75, 80, 94, 95, 99}).Draw(w.t, "value"),
		})
	}
	// Of what is good nothing is remembered: in a batch out of order, a good value
	// that came before an older bad one would end it when the batch comes again.
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	return points
}

// offer does what a processor does with a batch.
func (w *world) offer(points []point, tick int64, commit bool) []threshold.Announcement {
	tx := w.engine.Begin()
	for _, p := range points {
		tx.Observe(w.rule, vm(p.id), "", p.value, 0, p.at)
	}
	tx.Tick(tick)
	if commit {
		tx.Commit()
	} else {
		tx.Rollback()
	}
	return tx.Announcements()
}

func (w *world) flush() {
	if err := w.engine.Flush(w.store.write); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) step() {
	switch rapid.SampledFrom([]string{"batch", "batch", "batch", "batch", "restart", "reload", "remove"}).Draw(w.t, "do") {
	case "restart":
		w.engine = threshold.New(w.cfg)
		if err := w.engine.Restore(w.store); err != nil {
			w.t.Fatal(err)
		}
		w.all(input{kind: restarted})
		w.now++
		w.began = w.now
	case "reload":
		w.rule = drawRule(w.t)
		w.engine.Replace(func(string, *threshold.Subject) *threshold.Rule { return w.rule })
		w.flush()
		w.all(input{kind: reloaded, rule: w.rule})
	case "remove":
		w.engine.Replace(func(string, *threshold.Subject) *threshold.Rule { return nil })
		w.all(input{kind: reloaded})
		w.commit(nil)
		w.engine.Replace(func(string, *threshold.Subject) *threshold.Rule { return w.rule })
		w.flush()
		w.all(input{kind: reloaded, rule: w.rule})
	default:
		w.commit(w.batch())
	}
}

func (w *world) commit(points []point) {
	tick := w.now
	refusals := rapid.IntRange(0, 2).Draw(w.t, "refusals")
	var refused [][]threshold.Announcement
	for range refusals {
		refused = append(refused, w.offer(points, tick, false))
	}
	took := w.offer(points, tick, true)
	for _, r := range refused {
		if fmt.Sprint(r) != fmt.Sprint(took) {
			w.t.Fatalf("offered again: %v, at first %v", took, r)
		}
	}
	w.flush()
	for _, p := range points {
		w.inputs[p.id] = append(w.inputs[p.id], input{kind: measured, at: p.at, value: p.value, rule: w.rule})
	}
	w.all(input{kind: ticked, at: tick})
	for _, a := range took {
		w.got[a.Subject.InstanceID] = append(w.got[a.Subject.InstanceID], a)
	}
	if rapid.Bool().Draw(w.t, "lost acknowledgement") {
		if again := w.offer(points, tick, true); len(again) > 0 {
			w.t.Fatalf("taken twice, and said twice: %v", again)
		}
		w.flush()
	}
}

// What is said equals what the reference says.
func TestEpisodesEqualTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, unlimited())
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			w.step()
		}
		for _, id := range vms {
			var got []said
			for _, a := range w.got[id] {
				got = append(got, said{a.State, a.Level, a.At - t0, a.Reason})
			}
			if want := refer(w.inputs[id]); !slices.Equal(got, want) {
				t.Fatalf("%s: said %+v\nwant %+v\nof %+v", id, got, want, w.inputs[id])
			}
			alternates(t, w.got[id])
		}
	})
}

// Whatever is kept back: what is resolved was announced, nothing is said of an
// episode after that, and nothing twice.
func TestRateLimitsKeepTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := threshold.Config{Limits: threshold.Limits{
			PerRule:  threshold.Rate{Burst: rapid.IntRange(1, 3).Draw(t, "burst"), Every: 5 * time.Second},
			PerOwner: threshold.Rate{Burst: 2, Every: 8 * time.Second},
			Global:   threshold.Rate{Burst: 2, Every: time.Second},
		}}
		w := newWorld(t, cfg)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			w.step()
		}
		for _, id := range vms {
			alternates(t, w.got[id])
		}
	})
}

// alternates checks the announcements of one subject.
func alternates(t *rapid.T, all []threshold.Announcement) {
	ids := map[uuid.UUID]bool{}
	var open *threshold.Announcement
	for i := range all {
		a := &all[i]
		if ids[a.ID] {
			t.Fatalf("said twice: %+v", a)
		}
		ids[a.ID] = true
		switch {
		case open == nil && a.State != threshold.Firing:
			t.Fatalf("%s of what never fired: %+v", a.State, a)
		case open != nil && open.Episode != a.Episode:
			t.Fatalf("%+v is not resolved and %+v fires", open, a)
		case open != nil && a.State == threshold.Firing && a.Level == open.Level:
			if a.Rule.RepeatInterval == 0 || a.At-open.At < int64(a.Rule.RepeatInterval) {
				t.Fatalf("repeated too early: %+v, then %+v", open, a)
			}
		}
		switch a.State {
		case threshold.Resolved:
			open = nil
		case threshold.Firing:
			open = a
		}
	}
}
