package thresholdprocessor

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/metadata"
)

// telemetry is what the processor tells about itself.
type telemetry struct {
	core    *core
	builder *metadata.TelemetryBuilder
}

func newTelemetry(set processor.Settings, c *core) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{core: c, builder: b}
	return t, errors.Join(
		b.RegisterProcessorThresholdRulesAgeCallback(t.observeAges),
		b.RegisterProcessorThresholdAnnouncementsCallback(t.observeAnnounced),
		b.RegisterProcessorThresholdAnnouncementsSuppressedCallback(t.observeSuppressed),
		b.RegisterProcessorThresholdIgnoredCallback(t.observeIgnored),
		b.RegisterProcessorThresholdEpisodesCallback(t.observeEpisodes),
		b.RegisterProcessorThresholdQuotasCallback(t.observeQuotas),
	)
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}

func (t *telemetry) checked(ctx context.Context, n checker.Counts) {
	t.builder.ProcessorThresholdEvaluations.Add(ctx, n.Evaluations)
	for level := threshold.Warning; level < threshold.NumLevels; level++ {
		if v := n.Violations[level]; v > 0 {
			t.builder.ProcessorThresholdViolations.Add(ctx, v, with("level", level.String()))
		}
	}
}

// batch tells of a batch that the next consumer took or refused.
func (t *telemetry) batch(ctx context.Context, committed bool) {
	outcome := "rolled_back"
	if committed {
		outcome = "committed"
	}
	t.builder.ProcessorThresholdBatches.Add(ctx, 1, with("outcome", outcome))
}

func (t *telemetry) rules(ctx context.Context, set *threshold.Set) {
	counts := set.Sources()
	for _, s := range [...]threshold.Source{threshold.Inline, threshold.File, threshold.HTTP, threshold.API} {
		t.builder.ProcessorThresholdRules.Record(ctx, int64(counts[s]), with("source", string(s)))
	}
}

func (t *telemetry) loadError(ctx context.Context, from threshold.Source) {
	t.builder.ProcessorThresholdLoadErrors.Add(ctx, 1, with("source", string(from)))
}

// expect has what an alert looks at there before it counts: an increase from
// nothing is none.
func (t *telemetry) expect(ctx context.Context, from threshold.Source) {
	t.builder.ProcessorThresholdLoadErrors.Add(ctx, 0, with("source", string(from)))
}

func (t *telemetry) storageFailure(ctx context.Context) {
	t.builder.ProcessorThresholdStorageFailures.Add(ctx, 1)
}
