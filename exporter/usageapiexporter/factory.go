package usageapiexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/vmusage/otelcol-vmusage/exporter/usageapiexporter/internal/metadata"
)

// NewFactory returns the factory of the usage_api exporter.
func NewFactory() exporter.Factory {
	create := func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
		e := &usageAPI{cfg: cfg.(*Config)}
		return exporterhelper.NewMetrics(ctx, set, cfg, e.consume,
			exporterhelper.WithStart(e.start),
			exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}), // it waits for nothing
			exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}))
	}
	return exporter.NewFactory(metadata.Type, createDefaultConfig,
		exporter.WithMetrics(create, metadata.MetricsStability))
}
