package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a storage whose power may fail: from then on nothing is written.
type disk struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	fail   error
	// before is asked before each write; false cuts the power.
	before func(write int) bool
	dead   bool
}

func newDisk() *disk { return &disk{values: map[string][]byte{}} }

var errPower = errors.New("no power")

func (d *disk) Read(_ context.Context, keys []string) ([][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, errPower
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = slices.Clone(d.values[key])
	}
	return values, nil
}

func (d *disk) Write(_ context.Context, ops []Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil && !d.before(d.writes) {
		d.dead = true
	}
	if d.dead {
		return errPower
	}
	if d.fail != nil {
		return d.fail
	}
	d.writes++
	for _, op := range ops {
		if op.Value == nil {
			delete(d.values, op.Key)
		} else {
			d.values[op.Key] = slices.Clone(op.Value)
		}
	}
	return nil
}

// copied is the disk in another machine.
func (d *disk) copied() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{values: maps.Clone(d.values)}
}

func (d *disk) setFail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func (d *disk) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.values))
}

// sent is a request that was made.
type sent struct {
	at   time.Time
	url  string
	id   string
	body string
}

// world is all endpoints that there are. An answer takes no time unless it is told to.
type world struct {
	mu      sync.Mutex
	answers map[string]func(n int) outbound.Outcome // by URL; n counts requests from 0
	sent    []sent
	counts  map[string]int
}

func newWorld() *world {
	return &world{answers: map[string]func(int) outbound.Outcome{}, counts: map[string]int{}}
}

func (w *world) answer(url string, f func(n int) outbound.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[url] = f
}

func (w *world) send(ctx context.Context, r outbound.Request) outbound.Outcome {
	w.mu.Lock()
	n := w.counts[r.URL]
	w.counts[r.URL]++
	w.sent = append(w.sent, sent{time.Now(), r.URL, r.Header[signing.HeaderID][0], string(r.Body)})
	f := w.answers[r.URL]
	w.mu.Unlock()
	if f == nil {
		return ok()
	}
	out := f(n)
	if out.Latency > 0 {
		select {
		case <-time.After(out.Latency):
		case <-ctx.Done():
			return outbound.Outcome{Class: outbound.Unreachable, Err: ctx.Err()}
		}
	}
	return out
}

// got returns the ids that a URL got, in order.
func (w *world) got(url string) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sent {
		if s.url == url {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func (w *world) times(url string, since time.Time) (all []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sent {
		if s.url == url {
			all = append(all, s.at.Sub(since))
		}
	}
	return all
}

func ok() outbound.Outcome { return outbound.Outcome{Status: 200, Class: outbound.Delivered} }

func status(code int, c outbound.Class) func(int) outbound.Outcome {
	return func(int) outbound.Outcome {
		return outbound.Outcome{Status: code, Class: c, Err: fmt.Errorf("it answered %d", code)}
	}
}

// watcher counts what an engine tells.
type watcher struct {
	mu       sync.Mutex
	counts   map[string]int
	disabled []string
	damaged  []string
}

func newWatcher() *watcher { return &watcher{counts: map[string]int{}} }

func (w *watcher) count(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[fmt.Sprintf(format, args...)]++
}

func (w *watcher) of(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[name]
}

func (w *watcher) Accepted(t Type, _ int) { w.count("accepted %s", t) }
func (w *watcher) Repeated(t Type)        { w.count("repeated %s", t) }
func (w *watcher) Attempted(t Type, c outbound.Class, _ time.Duration) {
	w.count("attempted %s %v", t, c)
}
func (w *watcher) Finished(_ Type, s State, why Drop) { w.count("%s %s", s, why) }

func (w *watcher) Written(err error) {
	if err != nil {
		w.count("unwritten")
	}
}

func (w *watcher) Damaged(key string, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damaged = append(w.damaged, key)
}

func (w *watcher) StatusChanged(h *Hook, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disabled = append(w.disabled, fmt.Sprintf("%s %v", h.URL, on))
}

// hourly is the schedule of Standard Webhooks.
func standard() []time.Duration {
	return []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

func settings(w *world, d Storage) Settings {
	return Settings{
		Limits: Limits{
			Hooks: 100, PerOwner: 10, Workers: 8, Concurrency: 2, Burst: -1,
			PerHook: 1000, Pending: 5000, Age: 168 * time.Hour, History: 20, HistoryBytes: 1 << 20, Memory: 1 << 20,
		},
		Schedule: Schedule{Waits: standard(), DisableAfter: 120 * time.Hour},
		Send:     w.send,
		Owns: func(o Owner, user, org string) bool {
			return o.UserID != "" && o.UserID == user || o.OrgID != "" && o.OrgID == org
		},
		Storage: d, Observe: newWatcher(), Jitter: func() float64 { return 0 }, UserAgent: "test",
	}
}

// engine is one that is delivering.
type engine struct {
	*Engine
	t *testing.T
	w *watcher
}

func open(t *testing.T, s Settings) *engine {
	t.Helper()
	e, err := Open(t.Context(), s)
	require.NoError(t, err)
	e.Start()
	return &engine{e, t, s.Observe.(*watcher)}
}

func (e *engine) close() {
	e.t.Helper()
	require.NoError(e.t, e.Shutdown(context.WithoutCancel(e.t.Context())))
}

// kill ends an engine as a crash does: what it had not written is lost.
func (e *engine) kill(d *disk) {
	d.mu.Lock()
	d.dead = true
	d.mu.Unlock()
	e.abort()
	_ = e.Shutdown(context.WithoutCancel(e.t.Context()))
}

var (
	root = Owner{Admin: true}
	alex = Owner{UserID: "alex"}
)

func (e *engine) hook(url string, o Owner, types ...Type) View {
	e.t.Helper()
	if len(types) == 0 {
		types = []Type{ResourceUsage}
	}
	key, err := signing.NewSecret()
	require.NoError(e.t, err)
	v, err := e.Create(e.t.Context(), Hook{URL: url, Owner: o, Types: types, Secrets: []Secret{{Key: key}}})
	require.NoError(e.t, err)
	return v
}

// usageOf is a period of an instance of alex's.
func usageOf(stream, sequence byte) (Event, Mark) {
	id := uuid.UUID{stream, sequence, 15: stream}
	return Event{ID: id, Type: ResourceUsage, At: time.Now().UnixNano(), InstanceID: fmt.Sprintf("vm-%d", stream), UserID: "alex", OrgID: "o"},
		Mark{Key: [16]byte{1: 1, 15: stream}, Sequence: uint64(sequence)}
}

func body(e *Event) func([]byte) []byte {
	return func(dst []byte) []byte { return fmt.Appendf(dst, `{"id":%q}`, e.ID) }
}

// offer offers one event by itself.
func (e *engine) offer(ev Event, m Mark) Outcome {
	b := e.Begin()
	out := b.Offer(&ev, m, body(&ev))
	b.Commit(e.t.Context())
	return out
}

func (e *engine) offerUsage(stream, sequence byte) Outcome { return e.offer(usageOf(stream, sequence)) }

// fixedSecret is a secret that is always the same.
func fixedSecret() signing.Secret {
	key, err := signing.ParseSecret("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	if err != nil {
		panic(err)
	}
	return key
}
