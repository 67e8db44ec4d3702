package feed

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An engine takes events as the real one does, as far as marks go: one that came with an event
// is kept with it, one that was set alone only when it is flushed.
type engine struct {
	t     testing.TB
	types map[webhook.Type]bool
	takes func(*webhook.Event) bool

	kept, marks map[[16]byte]webhook.Mark
	accepted    []accepted
	begun, sets int

	open    bool
	batch   map[[16]byte]webhook.Mark // set in the batch
	with    map[[16]byte]bool         // of these, with an event
	offered []accepted
}

type accepted struct {
	webhook.Event
	body string
}

func newEngine(t testing.TB, types ...webhook.Type) *engine {
	e := &engine{
		t: t, types: map[webhook.Type]bool{}, takes: func(*webhook.Event) bool { return true },
		kept: map[[16]byte]webhook.Mark{}, marks: map[[16]byte]webhook.Mark{},
	}
	for _, typ := range types {
		e.types[typ] = true
	}
	return e
}

func (e *engine) Wants(t webhook.Type) bool { return e.types[t] }

func (e *engine) Begin() Batch {
	require.False(e.t, e.open, "a batch is open already")
	e.open, e.batch, e.with, e.offered = true, map[[16]byte]webhook.Mark{}, map[[16]byte]bool{}, nil
	e.begun++
	return e
}

func (e *engine) Known(key [16]byte) (webhook.Mark, bool) {
	require.True(e.t, e.open)
	m, ok := e.batch[key]
	if !ok {
		m, ok = e.marks[key]
	}
	return m, ok
}

func (e *engine) Offer(ev *webhook.Event, m webhook.Mark, payload func([]byte) []byte) webhook.Outcome {
	require.LessOrEqual(e.t, len(m.State), webhook.MaxState)
	if m.Key != [16]byte{} {
		if last, ok := e.Known(m.Key); ok && m.Sequence <= last.Sequence {
			return webhook.Repeated
		}
	}
	if !e.types[ev.Type] || !e.takes(ev) {
		return webhook.Unwanted
	}
	e.offered = append(e.offered, accepted{*ev, string(payload([]byte("<"))[1:])})
	if m.Key != [16]byte{} {
		m.State = slices.Clone(m.State)
		e.batch[m.Key], e.with[m.Key] = m, true
	}
	return webhook.Accepted
}

func (e *engine) Set(m webhook.Mark) {
	require.True(e.t, e.open)
	require.LessOrEqual(e.t, len(m.State), webhook.MaxState)
	m.State = slices.Clone(m.State)
	e.batch[m.Key], e.with[m.Key] = m, false
	e.sets++
}

func (e *engine) Commit(context.Context) {
	require.True(e.t, e.open)
	e.open = false
	maps.Copy(e.marks, e.batch)
	for key, m := range e.batch {
		if e.with[key] {
			e.kept[key] = m
		}
	}
	e.accepted = append(e.accepted, e.offered...)
}

func (e *engine) flush() { maps.Copy(e.kept, e.marks) }

// crash forgets what is not kept.
func (e *engine) crash() { e.marks, e.open = maps.Clone(e.kept), false }

// take returns what was accepted since the last call.
func (e *engine) take() []accepted {
	all := e.accepted
	e.accepted = nil
	return all
}

func ids(all []accepted) (list []uuid.UUID) {
	for _, a := range all {
		list = append(list, a.ID)
	}
	return list
}
