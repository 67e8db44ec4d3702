package vmusagereceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// telemetry is what the receiver tells about itself.
type telemetry struct {
	logger  *zap.Logger
	builder *metadata.TelemetryBuilder
	counted ledger.Counts // up to which the ledger's counts were added
}

func newTelemetry(set receiver.Settings) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &telemetry{logger: set.Logger, builder: b}, nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}

func (t *telemetry) samples(ctx context.Context, src source, outcome string, n int64) {
	t.builder.ReceiverVMUsageSamples.Add(ctx, n, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("source", src.Name()), attribute.String("outcome", outcome))))
}

func (t *telemetry) levels(ctx context.Context, outcome string) {
	t.builder.ReceiverVMUsageLevelBatches.Add(ctx, 1, with("outcome", outcome))
}

func (t *telemetry) offers(ctx context.Context, outcome string) {
	t.builder.ReceiverVMUsageOffers.Add(ctx, 1, with("outcome", outcome))
}

func (t *telemetry) dropped(ctx context.Context, periods int) {
	t.builder.ReceiverVMUsageOutboxDropped.Add(ctx, int64(periods))
}

// ledger adds what the ledger did since the last call; only the sampler calls it.
func (t *telemetry) ledger(ctx context.Context, c ledger.Counts) {
	t.builder.ReceiverVMUsageStreams.Add(ctx, c.Streams-t.counted.Streams)
	t.builder.ReceiverVMUsageAnomalies.Add(ctx, c.Anomalies-t.counted.Anomalies)
	for q := range usage.NumQualities {
		if n := c.Periods[q] - t.counted.Periods[q]; n > 0 {
			t.builder.ReceiverVMUsagePeriods.Add(ctx, n, with("quality", q.String()))
		}
	}
	t.counted = c
}

func (t *telemetry) outbox(ctx context.Context, s outbox.State, now int64) {
	t.builder.ReceiverVMUsageOutboxPeriods.Record(ctx, int64(s.Periods))
	t.builder.ReceiverVMUsageOutboxSize.Record(ctx, s.Bytes)
	age := 0.0
	if s.Oldest > 0 {
		age = max(time.Duration(now-s.Oldest).Seconds(), 0)
	}
	t.builder.ReceiverVMUsageOutboxOldestAge.Record(ctx, age)
}
