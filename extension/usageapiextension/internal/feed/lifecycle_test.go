package feed

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const (
	began  = 1_626_350_400_000_000_000
	length = 30 * second
)

// A machine makes periods, one after the other.
type machine struct{ p *usage.Period }

func newMachine() *machine {
	m := &machine{usagetest.Host(1)}
	m.p.End = began
	m.stream(1)
	return m
}

// stream begins another one, at the end of the period before.
func (m *machine) stream(n byte) {
	m.p.Stream.ID, m.p.Stream.Start, m.p.Sequence = uuid.UUID{0: n, 6: 0x40, 8: 0x80}, m.p.End, 0
}

// next returns the next period, with a change that those after it have, too.
func (m *machine) next(change func(*usage.Period)) *usage.Period {
	m.p.Sequence++
	m.p.Start, m.p.End, m.p.Duration, m.p.Final, m.p.Joined = m.p.End, m.p.End+length, length, false, 0
	if change != nil {
		change(m.p)
	}
	return copyOf(m.p)
}

func copyOf(p *usage.Period) *usage.Period {
	c := *p
	c.Instance.Labels = append([]usage.Label(nil), p.Instance.Labels...)
	return &c
}

// said is what an event says: what, to whom, after how many periods, and what was before.
func said(t *testing.T, a accepted) string {
	t.Helper()
	var body struct{ Data json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	checkSchema(t, event.LifecycleSchema(), body.Data)
	l, err := event.DecodeLifecycle(body.Data)
	require.NoError(t, err)
	assert.Equal(t, [5]any{l.ID, l.At, l.Instance.ID, l.Instance.UserID, l.Instance.OrgID}, [5]any{a.ID, a.At, a.InstanceID, a.UserID, a.OrgID})
	s := fmt.Sprintf("%s %d %s/%s", l.Change, (l.At-began)/length, a.UserID, a.OrgID)
	if l.Recipient == event.ToPreviousOwner {
		s += " left"
		for _, secret := range []string{"new-user", "new-org", "rack7", "web-1", "prod"} {
			assert.NotContains(t, a.body, secret)
		}
	}
	if b := l.Previous; b.HasFlavor {
		s += fmt.Sprintf(" from %d/%d/%d", b.Flavor.VCPUs, b.Flavor.MemoryBytes>>30, b.Flavor.GPUs)
	} else if b.HasOwner {
		s += fmt.Sprintf(" from %s/%s", b.UserID, b.OrgID)
	}
	return s
}

func TestLifecycle(t *testing.T) {
	final := func(p *usage.Period) { p.Final = true }
	resize := func(p *usage.Period) { p.Flavor = usage.Flavor{VCPUs: 8, MemoryBytes: 16 << 30, GPUs: 2} }
	lost := func(p *usage.Period) {
		p.Start, p.Duration = p.End, 0
		for m := range p.Quality {
			p.Quality[m] = usage.Gap
		}
	}
	give := func(user, org string) func(*usage.Period) {
		return func(p *usage.Period) { p.Instance.UserID, p.Instance.OrgID = user, org }
	}
	for _, tt := range []struct {
		name string
		make func(m *machine) []*usage.Period
		want []string
	}{
		{"it starts and goes on", func(m *machine) []*usage.Period {
			return []*usage.Period{m.next(nil), m.next(nil), m.next(nil)}
		}, []string{"started 0 user-42/org-7"}},
		{"it was there before anybody listened", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(nil)}
		}, nil},
		{"it goes", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(final)}
		}, []string{"stopped 3 user-42/org-7"}},
		{"it comes and goes within one period", func(m *machine) []*usage.Period {
			return []*usage.Period{m.next(final)}
		}, []string{"started 0 user-42/org-7", "stopped 1 user-42/org-7"}},
		{"another run of the same stream", func(m *machine) []*usage.Period {
			return []*usage.Period{m.next(nil), m.next(func(p *usage.Period) { p.Stream.Run = "other" }), m.next(nil)}
		}, []string{"started 0 user-42/org-7", "started 1 user-42/org-7"}},
		{"it goes and comes back", func(m *machine) []*usage.Period {
			a, b := m.next(nil), m.next(final)
			m.stream(2)
			return []*usage.Period{a, b, m.next(nil)}
		}, []string{"started 0 user-42/org-7", "stopped 2 user-42/org-7", "started 2 user-42/org-7"}},
		{"its state was lost, not its run", func(m *machine) []*usage.Period {
			a := m.next(nil)
			m.stream(2)
			return []*usage.Period{a, m.next(lost), m.next(nil)}
		}, []string{"started 0 user-42/org-7"}},
		{"its state was lost, and it was started meanwhile", func(m *machine) []*usage.Period {
			a := m.next(nil)
			m.stream(2)
			m.p.Stream.Run = "other"
			return []*usage.Period{a, m.next(lost), m.next(nil)}
		}, []string{"started 0 user-42/org-7", "started 2 user-42/org-7"}},
		{"its state was lost, and nothing is known", func(m *machine) []*usage.Period {
			return []*usage.Period{m.next(lost), m.next(nil)}
		}, nil},
		{"it is resized", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(resize), m.next(nil)}
		}, []string{"resized 2 user-42/org-7 from 4/8/0"}},
		{"more storage is no resizing", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(func(p *usage.Period) { p.Flavor.StorageBytes++ })}
		}, nil},
		{"it is given away", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(give("new-user", "new-org")), m.next(nil)}
		}, []string{"owner_changed 2 new-user/new-org from user-42/org-7", "owner_changed 2 user-42/org-7 left"}},
		{"it is found to be somebody's", func(m *machine) []*usage.Period {
			m.next(give("", ""))
			return []*usage.Period{m.next(nil), m.next(give("new-user", ""))}
		}, []string{"owner_changed 2 new-user/ from /"}},
		{"it becomes nobody's", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(give("", ""))}
		}, []string{"owner_changed 2 / from user-42/org-7", "owner_changed 2 user-42/org-7 left"}},
		{"an owner by UUIDs", func(m *machine) []*usage.Period {
			m.next(give("3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21", "9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0"))
			return []*usage.Period{m.next(nil), m.next(give("new-user", "new-org"))}
		}, []string{
			"owner_changed 2 new-user/new-org from 3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21/9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0",
			"owner_changed 2 3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21/9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0 left",
		}},
		{"an owner whose name is too long to remember", func(m *machine) []*usage.Period {
			m.next(give(strings.Repeat("x", 40), ""))
			return []*usage.Period{m.next(nil), m.next(give("new-user", "new-org"))}
		}, []string{"owner_changed 2 new-user/new-org"}},
		{"all at once", func(m *machine) []*usage.Period {
			m.next(nil)
			return []*usage.Period{m.next(nil), m.next(func(p *usage.Period) {
				resize(p)
				give("new-user", "new-org")(p)
				final(p)
				p.Stream.Run = "other"
			})}
		}, []string{
			"started 2 new-user/new-org", "resized 2 new-user/new-org from 4/8/0",
			"owner_changed 2 new-user/new-org from user-42/org-7", "owner_changed 2 user-42/org-7 left", "stopped 3 new-user/new-org",
		}},
		{"resized while it was stopped", func(m *machine) []*usage.Period {
			m.next(nil)
			a := m.next(final)
			m.stream(2)
			return []*usage.Period{a, m.next(resize)}
		}, []string{"stopped 2 user-42/org-7", "started 2 user-42/org-7", "resized 2 user-42/org-7 from 4/8/0"}},
		{"an older period is offered again", func(m *machine) []*usage.Period {
			m.next(nil)
			a, b := m.next(nil), m.next(resize)
			return []*usage.Period{a, b, a, b}
		}, []string{"resized 2 user-42/org-7 from 4/8/0"}},
		{"joined with those after it", func(m *machine) []*usage.Period {
			a := m.next(nil)
			m.next(nil)
			return []*usage.Period{a, m.next(func(p *usage.Period) { p.Joined, p.Start = 3, began })}
		}, []string{"started 0 user-42/org-7"}},
		{"it came to another host, and the first one says so late", func(m *machine) []*usage.Period {
			a := m.next(nil)
			old := copyOf(m.p)
			m.stream(2)
			m.p.Stream.Run = "other"
			b := m.next(nil)
			old.Sequence, old.Final, old.Flavor.VCPUs = old.Sequence+1, true, 1
			return []*usage.Period{a, b, old, m.next(nil)}
		}, []string{"started 0 user-42/org-7", "started 1 user-42/org-7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, webhook.InstanceLifecycle)
			f, _ := open(t, e)
			periods := tt.make(newMachine())
			var got []string
			for range 2 { // they are all offered again
				for _, p := range periods {
					f.Consume(t.Context(), metricsOf(p))
				}
			}
			for _, a := range e.take() {
				got = append(got, said(t, a))
			}
			assert.Equal(t, tt.want, got)
			sets := e.sets
			f.Consume(t.Context(), metricsOf(periods[len(periods)-1]))
			assert.Equal(t, sets, e.sets, "what changes nothing sets nothing")

			// The same in one batch.
			e = newEngine(t, webhook.InstanceLifecycle)
			f, _ = open(t, e)
			f.Consume(t.Context(), metricsOf(periods...))
			got = nil
			for _, a := range e.take() {
				got = append(got, said(t, a))
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestLifecycleBodies(t *testing.T) {
	e := newEngine(t, webhook.InstanceLifecycle)
	f, _ := open(t, e)
	m := newMachine()
	f.Consume(t.Context(), metricsOf(m.next(nil), m.next(func(p *usage.Period) { p.Instance.UserID, p.Instance.OrgID = "new-user", "" })))
	got := e.take()
	require.Len(t, got, 3)
	for i, name := range []string{"instance_lifecycle-started", "instance_lifecycle-owner_changed", "instance_lifecycle-owner_changed-previous_owner"} {
		checkBody(t, name, event.LifecycleSchema(), got[i])
	}
}

// What happened while nobody listened is told to nobody: nobody could say when.
func TestLifecycleUnwatched(t *testing.T) {
	e := newEngine(t, webhook.InstanceLifecycle)
	f, _ := open(t, e)
	m := newMachine()
	consume := func(p *usage.Period) []uuid.UUID {
		f.Consume(t.Context(), metricsOf(p))
		return ids(e.take())
	}
	assert.Len(t, consume(m.next(nil)), 1)
	delete(e.types, webhook.InstanceLifecycle)
	consume(m.next(func(p *usage.Period) { p.Flavor.VCPUs++ }))
	e.types[webhook.InstanceLifecycle] = true
	assert.Empty(t, consume(m.next(nil)))
	assert.Len(t, consume(m.next(func(p *usage.Period) { p.Flavor.VCPUs++ })), 1, "from now on it is watched")

	// The same over a restart without hooks.
	e.flush()
	f, _ = open(t, e)
	delete(e.types, webhook.InstanceLifecycle)
	consume(m.next(func(p *usage.Period) { p.Flavor.VCPUs++ }))
	e.types[webhook.InstanceLifecycle] = true
	assert.Empty(t, consume(m.next(nil)))

	// And a restart with them, which misses nothing.
	e.flush()
	e.crash()
	f, _ = open(t, e)
	assert.Len(t, consume(m.next(func(p *usage.Period) { p.Flavor.VCPUs++ })), 1)
}

// A mark is touched once a day: what is not is forgotten after a week.
func TestLifecycleMarksAreRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, webhook.InstanceLifecycle)
		f, _ := open(t, e)
		m := newMachine()
		m.p.End = time.Now().UnixNano()
		sets := 0
		for i := range 3 * 24 {
			m.p.End = time.Now().UnixNano()
			f.Consume(t.Context(), metricsOf(m.next(nil)))
			time.Sleep(time.Hour)
			if i == 0 {
				sets = e.sets
			}
		}
		assert.Len(t, e.take(), 1)
		assert.Equal(t, sets+2*2, e.sets, "state and epoch, on two more days")
	})
}

// TestLifecycleCrashes crashes after each batch of a life, with and without marks that were
// set alone being kept, and has the last periods offered again: what was accepted is what it
// is without crashes, and what is accepted twice has the same id and says the same.
func TestLifecycleCrashes(t *testing.T) {
	m := newMachine()
	resize := func(p *usage.Period) { p.Flavor.VCPUs++ }
	periods := []*usage.Period{
		m.next(nil), m.next(nil), m.next(resize), m.next(nil),
		m.next(func(p *usage.Period) { p.Instance.UserID = "new-user" }),
		m.next(func(p *usage.Period) { p.Stream.Run, p.Instance.OrgID = "other", "new-org" }),
		m.next(nil), m.next(func(p *usage.Period) { p.Final = true }),
	}
	m.stream(2)
	periods = append(periods, m.next(nil), m.next(resize), m.next(func(p *usage.Period) { p.Final = true }))

	bodies := func(all []accepted) map[string]string {
		by := map[string]string{}
		for _, a := range all {
			if had, ok := by[a.ID.String()]; ok {
				assert.Equal(t, had, a.body)
			}
			by[a.ID.String()] = a.body
		}
		return by
	}
	run := func(crashAfter, again int, flushed bool) []accepted {
		e := newEngine(t, webhook.InstanceLifecycle)
		f, _ := open(t, e)
		for i := 0; i < len(periods); i++ {
			f.Consume(t.Context(), metricsOf(periods[i]))
			if i != crashAfter {
				e.flush()
				continue
			}
			if flushed {
				e.flush()
			}
			e.crash()
			f, _ = open(t, e)
			i, crashAfter = max(i-again, -1), -1
		}
		return e.take()
	}
	want := run(-1, 0, true)
	require.Len(t, want, 11)
	require.Len(t, bodies(want), len(want))
	for after := range periods {
		for again := range 4 {
			for _, flushed := range []bool{true, false} {
				if !flushed && again == 0 {
					continue // a batch that is not offered again was committed, and is kept
				}
				got := run(after, again, flushed)
				assert.Equal(t, bodies(want), bodies(got), "crash after %d, the last %d again, flushed: %v", after, again, flushed)
				if flushed {
					assert.Len(t, got, len(want), "crash after %d, the last %d again", after, again)
				}
			}
		}
	}
}

func FuzzState(f *testing.F) {
	s := state{
		stopped: true, epoch: 1, stream: [5]byte{1, 2, 3, 4, 5}, start: 6, sequence: 1 << 31, run: 7,
		flavor: flavor{4, 1<<40 - 1, 255}, written: 9, owner: owner{"user-42", "org-7"}.keep(),
	}
	f.Add(s.append(nil))
	s.owner = owner{strings.Repeat("x", 40), ""}.keep()
	f.Add(s.append(nil))
	f.Add([]byte{stateFormat<<1 | 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseState(b)
		if !ok {
			require.Zero(t, s)
			return
		}
		require.Equal(t, b, s.append(nil))
		s.owner.owner()
	})
}

func FuzzOwner(f *testing.F) {
	const id = "3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21"
	for _, o := range []owner{{}, {"user-42", "org-7"}, {id, ""}, {id, id}, {id, "sixteen letters!"}, {id, "seventeen letters"}, {"\xff", "x"}, {strings.ToUpper(id), ""}} {
		f.Add(o.user, o.org)
	}
	f.Fuzz(func(t *testing.T, user, org string) {
		o := owner{user, org}
		k := o.keep()
		require.LessOrEqual(t, len(k.text()), ownerSize)
		require.Equal(t, k, o.keep())
		s := state{owner: k}
		again, ok := parseState(s.append(nil))
		require.True(t, ok)
		require.Equal(t, k, again.owner)
		before, ok := k.owner()
		_, userID := parseUUID(user)
		_, orgID := parseUUID(org)
		size := len(user) + len(org) + 2
		if userID {
			size -= 20
		}
		if orgID {
			size -= 20
		}
		require.Equal(t, size <= ownerSize, ok)
		if ok {
			require.Equal(t, o, before)
		}
		require.NotEqual(t, k, owner{user + "x", org}.keep())
		require.NotEqual(t, k, owner{user, org + "x"}.keep())
	})
}

func TestState(t *testing.T) {
	p := usagetest.Host(1)
	p.Flavor = usage.Flavor{VCPUs: -1, MemoryBytes: 1 << 60, GPUs: 1 << 40}
	p.Instance.UserID, p.Instance.OrgID = "3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21", "9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0"
	s := stateOf(7, p)
	b := s.append(nil)
	assert.Len(t, b, webhook.MaxState, "owners by UUIDs just fit")
	again, ok := parseState(b)
	assert.True(t, ok)
	assert.Equal(t, s, again)
	assert.Equal(t, flavor{0, 1<<40 - 1, 255}, s.flavor)
	b[0] = 0x7f
	_, ok = parseState(b)
	assert.False(t, ok, "a format of later")
	assert.Zero(t, testing.AllocsPerRun(100, func() { s = stateOf(7, p) }))
}
