package feed

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// disk is a storage in memory.
type disk map[string][]byte

func (d disk) Read(_ context.Context, keys []string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = d[key]
	}
	return values, nil
}

func (d disk) Write(_ context.Context, ops []webhook.Op) error {
	for _, op := range ops {
		if op.Value == nil {
			delete(d, op.Key)
		} else {
			d[op.Key] = slices.Clone(op.Value)
		}
	}
	return nil
}

// silent is an observer that nobody asks.
type silent struct{}

func (silent) Accepted(webhook.Type, int)                            {}
func (silent) Repeated(webhook.Type)                                 {}
func (silent) Attempted(webhook.Type, outbound.Class, time.Duration) {}
func (silent) Finished(webhook.Type, webhook.State, webhook.Drop)    {}
func (silent) Written(error)                                         {}
func (silent) Damaged(string, error)                                 {}
func (silent) StatusChanged(*webhook.Hook, bool)                     {}

// realEngine is one that delivers nothing, since nobody starts it.
func realEngine(t testing.TB, d webhook.Storage) *webhook.Engine {
	t.Helper()
	e, err := webhook.Open(t.Context(), webhook.Settings{
		Limits: webhook.Limits{
			Hooks: 2000, PerOwner: 2000, Workers: 1, Concurrency: 1, Burst: -1, PerHook: 1000, Pending: 1000, Age: time.Hour,
			History: 1000, HistoryBytes: 1 << 20, Memory: 1 << 26,
		},
		Schedule: webhook.Schedule{Waits: []time.Duration{0}},
		Owns: func(o webhook.Owner, user, org string) bool {
			return o.UserID != "" && o.UserID == user || o.OrgID != "" && o.OrgID == org
		},
		Storage: d, Observe: silent{}, Jitter: func() float64 { return 0 },
	})
	require.NoError(t, err)
	return e
}

func register(t testing.TB, e *webhook.Engine, o webhook.Owner, types ...webhook.Type) string {
	t.Helper()
	key, err := signing.NewSecret()
	require.NoError(t, err)
	v, err := e.Create(t.Context(), webhook.Hook{URL: "https://example.com/", Owner: o, Types: types, Secrets: []webhook.Secret{{Key: key}}})
	require.NoError(t, err)
	return v.ID
}

// TestWithTheEngine: each hook gets what its owner may see, of what happened since it is there, once;
// after a crash, too.
func TestWithTheEngine(t *testing.T) {
	kept := disk{}
	e := realEngine(t, kept)
	types := webhook.Types()
	of := map[string]string{}
	of["admin"] = register(t, e, webhook.Owner{Admin: true}, types...)
	of["user"] = register(t, e, webhook.Owner{UserID: "user-42"}, types...)
	of["new user"] = register(t, e, webhook.Owner{UserID: "new-user"}, types...)
	of["org"] = register(t, e, webhook.Owner{OrgID: "org-7"}, types...)
	feeding := func(e *webhook.Engine) *Feed {
		s := store.New(store.Settings{MaxInstances: 10, MaxBytes: 1 << 24, Retain: time.Hour, Now: time.Now})
		return New(Settings{Wants: e.Wants, Begin: func() Batch { return e.Begin() }, Store: s, MaxInstances: 10})
	}
	m := newMachine()
	m.p.End = time.Now().UnixNano()
	m.stream(1)
	periods := []*usage.Period{m.next(nil), m.next(nil), m.next(func(p *usage.Period) { p.Instance.UserID, p.Instance.OrgID = "new-user", "new-org" })}
	quota := usagetest.Quota(1)
	quota.At = time.Now().UnixNano()
	md := metricsOf(periods...)
	usage.AppendViolation(md.ResourceMetrics(), quota)

	feeding(e).Consume(t.Context(), md)
	got := func(e *webhook.Engine) map[string]map[webhook.Type]int {
		all := map[string]map[webhook.Type]int{}
		for name, id := range of {
			deliveries, err := e.Deliveries(id, 0, 100)
			require.NoError(t, err)
			all[name] = map[webhook.Type]int{}
			for _, d := range deliveries {
				all[name][d.Type]++
			}
		}
		return all
	}
	const (
		periodsOf = webhook.ResourceUsage
		livesOf   = webhook.InstanceLifecycle
		quotasOf  = webhook.ThresholdViolation
	)
	want := map[string]map[webhook.Type]int{
		"admin":    {periodsOf: 3, livesOf: 3, quotasOf: 1},
		"user":     {periodsOf: 2, livesOf: 2},
		"new user": {periodsOf: 1, livesOf: 1},
		"org":      {periodsOf: 2, livesOf: 2, quotasOf: 1},
	}
	assert.Equal(t, want, got(e))

	e = realEngine(t, maps.Clone(kept)) // as after a crash
	f := feeding(e)
	f.Consume(t.Context(), md)
	assert.Equal(t, want, got(e), "all is known")
	f.Consume(t.Context(), metricsOf(m.next(nil)))
	want["admin"][periodsOf]++
	want["new user"][periodsOf]++
	assert.Equal(t, want, got(e), "and only what is new is told")
}

// BenchmarkHooks is of the periods of 400 instances, and hooks of others.
func BenchmarkHooks(b *testing.B) {
	md := pmetric.NewMetrics()
	for i := range 400 {
		usage.AppendPeriod(md.ResourceMetrics(), storetest.Machine(i).Period(2, 0, 30*second))
	}
	for _, hooks := range []int{1, 1000} {
		b.Run(map[int]string{1: "1", 1000: "1000"}[hooks], func(b *testing.B) {
			e := realEngine(b, disk{})
			for range hooks {
				register(b, e, webhook.Owner{UserID: "somebody"}, webhook.ResourceUsage)
			}
			f := New(Settings{Wants: e.Wants, Begin: func() Batch { return e.Begin() }, MaxInstances: 1000})
			b.ReportAllocs()
			for b.Loop() {
				f.Consume(b.Context(), md)
			}
		})
	}
}
