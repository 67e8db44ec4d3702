package usageapiextension

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
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
	return &telemetry{b}, errors.Join(
		b.RegisterExtensionUsageAPIInstancesCallback(gauge(func() int64 { return int64(e.store.Len()) })),
		b.RegisterExtensionUsageAPIKeysCallback(gauge(func() int64 { return int64(e.keys.Len()) })),
		b.RegisterExtensionUsageAPIRulesCallback(gauge(func() int64 { return int64(len(e.rules.All())) })),
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

func (t *telemetry) ended(ctx context.Context, end api.End) {
	t.builder.ExtensionUsageAPIStreamsEnded.Add(ctx, 1, with("reason", string(end)))
}
