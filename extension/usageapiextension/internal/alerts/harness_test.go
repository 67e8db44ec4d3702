package alerts

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
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
