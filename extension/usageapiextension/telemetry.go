package usageapiextension

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/conns"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/feed"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// telemetry is what the extension tells about itself.
type telemetry struct{ builder *metadata.TelemetryBuilder }

func newTelemetry(set component.TelemetrySettings, e *usageAPI) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	gauge := func(value func() int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value())
			return nil
		}
	}
	hooks := func(value func(webhook.Stats) int64) metric.Int64Callback {
		return gauge(func() int64 {
			if w := e.webhooks.Load(); w != nil {
				return value(w.engine.Stats())
			}
			return 0
		})
	}
	return &telemetry{b}, errors.Join(
		b.RegisterExtensionUsageAPIWebhookOldestAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := 0.0
			if w := e.webhooks.Load(); w != nil {
				if oldest := w.engine.Stats().Oldest; !oldest.IsZero() {
					age = max(0, time.Since(oldest).Seconds())
				}
			}
			o.Observe(age)
			return nil
		}),
		b.RegisterExtensionUsageAPIWebhookPendingCallback(hooks(func(s webhook.Stats) int64 { return int64(s.Pending) })),
		b.RegisterExtensionUsageAPIWebhookUnwrittenSizeCallback(hooks(func(s webhook.Stats) int64 { return s.Unwritten })),
		b.RegisterExtensionUsageAPIWebhooksCallback(hooks(func(s webhook.Stats) int64 { return int64(s.Hooks) })),
		b.RegisterExtensionUsageAPIWebhooksDisabledCallback(hooks(func(s webhook.Stats) int64 { return int64(s.Disabled) })),
		b.RegisterExtensionUsageAPIWebhooksFailingCallback(hooks(func(s webhook.Stats) int64 { return int64(s.Failing) })),
		b.RegisterExtensionUsageAPIInstancesCallback(gauge(func() int64 { return int64(e.store.Len()) })),
		b.RegisterExtensionUsageAPIKeysCallback(gauge(func() int64 { return int64(e.keys.Len()) })),
		b.RegisterExtensionUsageAPIRulesCallback(gauge(func() int64 { return int64(len(e.rules.All())) })),
		b.RegisterExtensionUsageAPISignalsCallback(func(_ context.Context, o metric.Int64Observer) error {
			for _, name := range signals.Names() {
				o.Observe(int64(e.signals.Count(name)), with("signal", string(name)))
			}
			return nil
		}),
		b.RegisterExtensionUsageAPISignalsIgnoredCallback(gauge(func() int64 { return int64(e.signals.Ignored()) })), //nolint:gosec // a count
		b.RegisterExtensionUsageAPIStoreSizeCallback(gauge(e.store.Bytes)),
		b.RegisterExtensionUsageAPIStreamClientsCallback(gauge(func() int64 { return int64(e.api.Clients()) })),
	)
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}

func (t *telemetry) consumed(ctx context.Context, n store.Counts) {
	if n.Stored > 0 {
		t.builder.ExtensionUsageAPIPeriods.Add(ctx, int64(n.Stored), with("outcome", "stored"))
	}
	if n.Repeated > 0 {
		t.builder.ExtensionUsageAPIPeriods.Add(ctx, int64(n.Repeated), with("outcome", "repeated"))
	}
	for reason, count := range n.Unusable {
		t.builder.ExtensionUsageAPIUnusable.Add(ctx, int64(count), with("reason", string(reason)))
	}
}

// fed counts violations of which webhooks cannot be told.
func (t *telemetry) fed(ctx context.Context, n feed.Counts) {
	for reason, count := range n.Unusable {
		t.builder.ExtensionUsageAPIUnusable.Add(ctx, int64(count), with("reason", string(reason)))
	}
}

func (t *telemetry) closed(why conns.Reason) {
	t.builder.ExtensionUsageAPIConnectionsClosed.Add(context.Background(), 1, with("reason", string(why)))
}

func (t *telemetry) ended(ctx context.Context, end api.End) {
	t.builder.ExtensionUsageAPIStreamsEnded.Add(ctx, 1, with("reason", string(end)))
}
