package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

var update = flag.Bool("update", false, "write the golden files of this package")

const second = int64(time.Second)

// open returns a feed of an engine, and its store.
func open(t testing.TB, e *engine) (*Feed, *store.Store) {
	t.Helper()
	s := store.New(store.Settings{MaxInstances: 1000, MaxBytes: 1 << 24, Retain: time.Hour, Now: time.Now})
	return New(Settings{Wants: e.Wants, Begin: e.Begin, Store: s, MetricsInterval: 10 * time.Second, MaxInstances: 1000}), s
}

func metricsOf(periods ...*usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range periods {
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

func violationsOf(violations ...*usage.Violation) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, v := range violations {
		usage.AppendViolation(md.ResourceMetrics(), v)
	}
	return md
}

// checkBody holds a body against its golden file, and the data in it against the schema.
func checkBody(t *testing.T, name string, schema []byte, a accepted) {
	t.Helper()
	assert.NotContains(t, a.body, "\n")
	var body struct {
		Type      string          `json:"event_type"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&body))
	assert.Equal(t, string(a.Type), body.Type)
	assert.Equal(t, time.Unix(0, a.At).UTC().Format(time.RFC3339Nano), body.Timestamp)
	if schema != nil {
		checkSchema(t, schema, body.Data)
	}
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, []byte(a.body), "", "  "))
	got.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func checkSchema(t *testing.T, schema, data []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema", doc))
	compiled, err := c.Compile("schema")
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, compiled.Validate(instance))
}

func TestPeriods(t *testing.T) {
	e := newEngine(t, webhook.ResourceUsage)
	f, _ := open(t, e)
	p := usagetest.Host(1)
	q := usagetest.Host(2)
	q.Sequence++
	f.Consume(t.Context(), metricsOf(p, q))
	got := e.take()
	require.Len(t, got, 2)
	a := got[0]
	assert.Equal(t, webhook.Event{
		ID: event.ID(p), Type: webhook.ResourceUsage, At: p.End, InstanceID: p.Instance.ID, UserID: "user-42", OrgID: "org-7", Labels: p.Instance.Labels,
	}, a.Event)
	checkBody(t, "resource_usage", event.Schema(event.V1_1), a)
	assert.Contains(t, a.body, string(event.AppendUsage(nil, event.V1_1, p)))

	f.Consume(t.Context(), metricsOf(p, q))
	assert.Empty(t, e.take(), "a period that is offered again is known")
	p.Sequence, p.Joined = 13, 2
	f.Consume(t.Context(), metricsOf(p))
	assert.Len(t, e.take(), 1, "joined periods are newer")
	assert.Equal(t, 3, e.begun)
}

func TestViolations(t *testing.T) {
	e := newEngine(t, webhook.ThresholdViolation)
	f, _ := open(t, e)
	of, org := usagetest.Violation(1), usagetest.Quota(1)
	org.Instance.UserID = "user-of-whoever-came-first"
	user := usagetest.Quota(2)
	user.Rule.Per, user.Instance.UserID = usage.PerUser, "user-9"
	f.Consume(t.Context(), violationsOf(of, org, user))
	got := e.take()
	require.Len(t, got, 3)
	labels := of.Instance.Labels
	assert.Equal(t, webhook.Event{
		ID: of.ID, Type: webhook.ThresholdViolation, At: of.At, InstanceID: of.Instance.ID, UserID: "user-42", OrgID: "org-7", Labels: labels, Level: usage.LevelWarning,
	}, got[0].Event)
	assert.Equal(t, webhook.Event{
		ID: org.ID, Type: webhook.ThresholdViolation, At: org.At, OrgID: "org-7", Labels: labels, Level: usage.LevelCritical,
	}, got[1].Event, "of an organization")
	assert.Equal(t, webhook.Event{
		ID: user.ID, Type: webhook.ThresholdViolation, At: user.At, UserID: "user-9", Labels: labels, Level: usage.LevelCritical,
	}, got[2].Event, "of a user")
	checkBody(t, "threshold_violation", event.ViolationSchema(event.V1_1), got[0])
	checkBody(t, "threshold_violation-org", event.ViolationSchema(event.V1_1), got[1])

	md := violationsOf(of, usagetest.Violation(2))
	md.ResourceMetrics().At(1).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes().Remove("threshold.level")
	counts := f.Consume(t.Context(), md)
	assert.Empty(t, e.take(), "one is known, and one cannot be read")
	assert.Equal(t, map[usage.Reason]int{usage.ReasonViolationTorn: 1}, counts.Unusable)
}

func TestLevels(t *testing.T) {
	e := newEngine(t, webhook.Metrics)
	f, s := open(t, e)
	m := storetest.Machine(1)
	consume := func(md pmetric.Metrics) []accepted {
		s.Consume(md)
		f.Consume(t.Context(), md)
		return e.take()
	}
	got := consume(m.Levels(30 * second))
	require.Len(t, got, 1)
	assert.Equal(t, webhook.Event{
		ID:   uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:vmusage:event:metrics")), []byte("vm-00001/30000000000")),
		Type: webhook.Metrics, At: 30 * second, InstanceID: "vm-00001", UserID: "user-1", OrgID: "org-0",
		Labels: []usage.Label{{Key: "env", Value: "prod"}}, Volatile: true,
	}, got[0].Event)
	checkBody(t, "metrics", nil, got[0])

	assert.Empty(t, consume(m.Levels(30*second)), "the same again")
	assert.Empty(t, consume(m.Levels(39*second)), "in the same interval")
	assert.Len(t, consume(m.Levels(40*second)), 1)
	assert.Len(t, consume(m.Levels(50*second+1)), 1, "a tick that is late does not shift the next one")
	assert.Len(t, consume(m.Levels(60*second)), 1)

	p := m.Period(1, 30*second, 60*second)
	assert.Empty(t, consume(metricsOf(p)), "usage alone is no levels")
	got = consume(m.Levels(70 * second))
	require.Len(t, got, 1)
	shown := func() string {
		var b []byte
		s.Get("vm-00001").Read(func(d *store.Data) { b = view.AppendInstance(nil, "vm-00001", d, view.AllFields, true) })
		return string(b)
	}
	assert.Contains(t, got[0].body, `"data":`+shown()+`}`, "what the API shows")
	assert.Contains(t, got[0].body, `"sequence":1`)

	m.Instance.UserID = "user-2"
	got = consume(m.Levels(80 * second))
	require.Len(t, got, 1)
	assert.Equal(t, "user-2", got[0].UserID)
	assert.Contains(t, got[0].body, `"closed":null`, "the closed period was somebody else's")

	e.takes = func(*webhook.Event) bool { return false }
	assert.Empty(t, consume(m.Levels(90*second)))
	e.takes = func(*webhook.Event) bool { return true }
	assert.Len(t, consume(m.Levels(91*second)), 1, "what nobody took was not told")

	p.Sequence, p.Final, p.Start, p.End = 2, true, 60*second, 100*second
	assert.Empty(t, consume(metricsOf(p)), "it is gone")
	assert.Empty(t, consume(m.Levels(95*second)))
}

// What is remembered of levels is bounded by instances that are told of.
func TestLevelsAreBounded(t *testing.T) {
	e := newEngine(t, webhook.Metrics)
	f, s := open(t, e)
	f.settings.MaxInstances = 2
	for i := range 10 {
		md := storetest.Machine(i).Levels(int64(10+i) * 10 * second)
		s.Consume(md)
		f.Consume(t.Context(), md)
		assert.LessOrEqual(t, len(f.told), 2)
	}
	assert.Len(t, e.take(), 10)
	assert.Contains(t, f.told, "vm-00009")
}

func TestNobodyListens(t *testing.T) {
	e := newEngine(t)
	f, s := open(t, e)
	md := metricsOf(usagetest.Host(1))
	s.Consume(md)
	f.Consume(t.Context(), md)
	assert.Zero(t, e.begun)
	assert.Zero(t, testing.AllocsPerRun(10, func() { f.Consume(t.Context(), md) }))

	e.types[webhook.ThresholdViolation] = true
	f.Consume(t.Context(), md)
	assert.Zero(t, e.begun, "there is nothing of what is wanted")
}

// locked is an engine whose batches wait for each other.
type locked struct {
	*engine
	lock chan struct{}
}

func (l locked) Commit(ctx context.Context) {
	l.engine.Commit(ctx)
	<-l.lock
}

func TestConcurrently(t *testing.T) {
	e := newEngine(t, webhook.Types()...)
	f, s := open(t, e)
	lock := make(chan struct{}, 1)
	f.settings.Begin = func() Batch { lock <- struct{}{}; e.Begin(); return locked{e, lock} }
	done := make(chan struct{})
	for w := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range int64(50) {
				m := storetest.Machine(w % 2)
				md := m.Levels(i * 10 * second)
				usage.AppendPeriod(md.ResourceMetrics(), m.Period(uint64(i)+1, i*10*second, (i+1)*10*second)) //nolint:gosec // small
				s.Consume(md)
				f.Consume(t.Context(), md)
			}
		}()
	}
	for range 4 {
		<-done
	}
	seen := map[string]int{}
	for _, a := range e.take() {
		if a.Type != webhook.Metrics {
			seen[a.ID.String()]++
		}
	}
	assert.Len(t, seen, 2*50+2)
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
	}
}
