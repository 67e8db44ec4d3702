package usageapiexporter

import "go.opentelemetry.io/collector/component"

// Config of the usage_api exporter.
type Config struct {
	// Extension names the usage_api extension; it may be left out where there is one.
	Extension *component.ID `mapstructure:"extension"`
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config { return &Config{} }
