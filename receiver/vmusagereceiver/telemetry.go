package vmusagereceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/window"
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

// checkpoint tells of one batch of the storage, or of the memory that stands for it.
func (t *telemetry) checkpoint(ctx context.Context, took time.Duration, err error) {
	t.builder.ReceiverVMUsageCheckpointDuration.Record(ctx, took.Seconds())
	failures := int64(0) // so that there is a number before the first
	if err != nil {
		failures = 1
	}
	t.builder.ReceiverVMUsageCheckpointFailures.Add(ctx, failures)
}

// outboxCounts adds what the outbox did since before.
func (t *telemetry) outboxCounts(ctx context.Context, now, before outbox.Counts) {
	t.builder.ReceiverVMUsageOutboxDropped.Add(ctx, now.Dropped-before.Dropped)
	t.builder.ReceiverVMUsageOutboxJoined.Add(ctx, now.Joined-before.Joined)
	t.builder.ReceiverVMUsageOutboxDamaged.Add(ctx, now.Damaged-before.Damaged)
}

func (t *telemetry) window(ctx context.Context, w *window.Window) {
	samples, bytes := w.Size()
	t.builder.ReceiverVMUsageWindowSamples.Record(ctx, int64(samples))
	t.builder.ReceiverVMUsageWindowSize.Record(ctx, bytes)
}

// ledger adds what the ledger did since the last call; only the sampler calls it.
func (t *telemetry) ledger(ctx context.Context, l *ledger.Ledger) {
	c := l.Counts()
	t.builder.ReceiverVMUsageInstances.Record(ctx, int64(l.Instances()))
	t.builder.ReceiverVMUsageClockSteps.Add(ctx, c.ClockSteps-t.counted.ClockSteps)
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

// gpus tells of the GPUs of a sample, and adds what went wrong since before.
func (t *telemetry) gpus(ctx context.Context, s *gpu.Snapshot, now, before *gpu.Counts) {
	var states [gpu.Absent]int64
	for i := range s.GPUs {
		states[s.GPUs[i].State]++
	}
	for _, state := range [...]gpu.State{gpu.Ready, gpu.Hung, gpu.Lost} {
		t.builder.ReceiverVMUsageGpuDevices.Record(ctx, states[state], with("state", state.String()))
	}
	for f, n := range now.Failures {
		if d := n - before.Failures[f]; d > 0 {
			t.builder.ReceiverVMUsageGpuCallFailures.Add(ctx, d, metric.WithAttributeSet(attribute.NewSet(
				attribute.String("function", f.Func), attribute.String("code", f.Code.String()))))
		}
	}
	for _, g := range [...]struct {
		reason      string
		now, before int64
	}{
		{"value", now.Garbage.Value, before.Garbage.Value},
		{"zero", now.Garbage.Zero, before.Garbage.Zero},
		{"stale", now.Garbage.Stale, before.Garbage.Stale},
		{"future", now.Garbage.Future, before.Garbage.Future},
	} {
		if d := g.now - g.before; d > 0 {
			t.builder.ReceiverVMUsageGpuSamplesIgnored.Add(ctx, d, with("reason", g.reason))
		}
	}
	t.builder.ReceiverVMUsageGpuTimeouts.Add(ctx, now.Timeouts-before.Timeouts)
	t.builder.ReceiverVMUsageGpuCallsGivenUp.Add(ctx, now.Abandons-before.Abandons)
	t.builder.ReceiverVMUsageGpuInitializations.Add(ctx, now.Reopens-before.Reopens)
}
