package usageapiextension

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// hookEvent is what an endpoint was sent.
type hookEvent struct {
	EventType string          `json:"event_type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
	id        string
}

// event returns the next event that came, which has to be signed with a secret.
func (s *sink) event(t *testing.T, key signing.Secret) hookEvent {
	t.Helper()
	got := s.next(t)
	require.NoError(t, signing.Verify([]signing.Secret{key}, got.Header, got.body, time.Now()))
	e := hookEvent{id: got.Header.Get(signing.HeaderID)}
	require.NoError(t, json.Unmarshal(got.body, &e), "%s", got.body)
	assert.Equal(t, e.EventType, got.Header.Get(signing.HeaderLegacyEvent))
	return e
}

// local allows receivers on this machine.
func local(c *Config) {
	c.Webhooks.AllowHTTP, c.Webhooks.AllowPrivateNetworks = true, []string{"127.0.0.0/8"}
	c.Webhooks.MetricsInterval = 0
}

func (s *served) register(t *testing.T, url string, o webhook.Owner, key signing.Secret, types ...webhook.Type) webhook.View {
	t.Helper()
	v, err := s.webhooks.Load().engine.Create(t.Context(), webhook.Hook{URL: url, Owner: o, Types: types, Secrets: []webhook.Secret{{Key: key}}})
	require.NoError(t, err)
	return v
}

// What comes in goes out: each type, signed, once, also over a restart.
func TestWebhooks(t *testing.T) {
	key, err := signing.NewSecret()
	require.NoError(t, err)
	r := newSink(t)
	host, set := disk(t, t.TempDir()), extensiontest.NewNopSettings(metadata.Type)
	m := storetest.Machine(1)
	start := time.Now().Add(time.Minute).Truncate(time.Second).UnixNano() // after the registration
	period := func(n uint64) int64 { return start + int64(n)*30e9 }       //nolint:gosec // few
	t.Run("first", func(t *testing.T) {
		s := serveOn(t, host, set, kept, local)
		s.register(t, r.URL, webhook.Owner{Admin: true}, key, webhook.ResourceUsage)
		s.consume(m.Levels(period(0)), periods(m.Period(1, period(0), period(1))))
		first := r.event(t, key)
		assert.Equal(t, "resource_usage", first.EventType)
		e, err := event.Decode(first.Data)
		require.NoError(t, err)
		assert.Equal(t, e.ID.String(), first.id, "Kafka has it under the same id")
		assert.Equal(t, period(1), first.Timestamp.UnixNano())
	})
	t.Run("second", func(t *testing.T) {
		s := serveOn(t, host, set, kept, local)
		s.register(t, r.URL, webhook.Owner{Admin: true}, key, webhook.Metrics)
		s.consume(periods(m.Period(1, period(0), period(1))), periods(m.Period(2, period(1), period(2))))
		e, err := event.Decode(r.event(t, key).Data)
		require.NoError(t, err)
		assert.EqualValues(t, 2, e.Period.Sequence, "the first is known")
		s.consume(m.Levels(period(3)))
		levels := r.event(t, key)
		assert.Equal(t, "metrics", levels.EventType)
		var current, sent map[string]any
		s.get(t, "/api/v1/usage/instances/"+m.Instance.ID+"/current").decode(t, &current)
		require.NoError(t, json.Unmarshal(levels.Data, &sent))
		assert.Equal(t, current["levels"], sent["levels"])
	})
}

// A webhook that is gone is an alert, which goes to its owner and to admins.
func TestDisabledWebhooksAreAnAlert(t *testing.T) {
	key, err := signing.NewSecret()
	require.NoError(t, err)
	gone := newSink(t)
	gone.status = http.StatusGone
	r := newSink(t)
	s := serve(t, local)
	m := storetest.Machine(1)
	owner := webhook.Owner{UserID: m.Instance.UserID}
	hook := s.register(t, gone.URL, owner, key, webhook.ResourceUsage)
	s.register(t, r.URL, owner, key, webhook.PipelineAlert)
	s.register(t, r.URL, webhook.Owner{UserID: "somebody else"}, key, webhook.PipelineAlert)
	at := time.Now().Add(time.Minute).UnixNano()
	s.consume(periods(m.Period(1, at, at+30e9)))
	gone.event(t, key)
	alert := r.event(t, key)
	a, err := event.DecodeAlert(alert.Data)
	require.NoError(t, err)
	assert.Equal(t, "endpoint_disabled", a.Name)
	assert.Equal(t, hook.ID, a.Source)
	assert.Equal(t, event.AlertFiring, a.State)
	require.NoError(t, s.Shutdown(t.Context()))
	assert.Empty(t, r.got, "nobody else is told")
}

// What a component says is wrong is an alert, once when it begins and once when it is over.
func TestSignalsAreAlerts(t *testing.T) {
	key, err := signing.NewSecret()
	require.NoError(t, err)
	r := newSink(t)
	s := serve(t, local)
	s.register(t, r.URL, webhook.Owner{Admin: true}, key, webhook.PipelineAlert)
	source := component.MustNewID("usage_event")
	for range 3 {
		s.PipelineSignal(source, "breaker_open", true, "no broker answers")
	}
	a, err := event.DecodeAlert(r.event(t, key).Data)
	require.NoError(t, err)
	assert.Equal(t, "breaker_open", a.Name)
	assert.Equal(t, "usage_event", a.Source)
	assert.Equal(t, []event.Detail{{Key: "detail", Text: "no broker answers"}}, a.Details)
	require.NoError(t, s.Shutdown(t.Context()))
	assert.Empty(t, r.got)
}
