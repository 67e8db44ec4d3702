package thresholdprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"

	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/metadata"
)

// NewFactory returns the factory of the threshold processor.
func NewFactory() processor.Factory {
	shared := cores{}
	create := func(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
		c, err := shared.acquire(set, cfg.(*Config))
		if err != nil {
			return nil, err
		}
		return newProcessor(c, next), nil
	}
	return processor.NewFactory(metadata.Type, createDefaultConfig,
		processor.WithMetrics(create, metadata.MetricsStability))
}
