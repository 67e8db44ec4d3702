package usageapiextension

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/openapi"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/vitals"
	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
)

// usageAPI is the extension.
type usageAPI struct {
	set       extension.Settings
	cfg       *Config
	telemetry *telemetry
	store     *store.Store
	signals   *signals.Set
	vitals    *vitals.Vitals
	api       *api.API
	rules     *rulestore.Store
	keys      *access.Keyring
	changes   atomic.Uint64            // audited
	webhooks  atomic.Pointer[webhooks] // nil before Start

	// Set by Start.
	health  *health.Reporter
	storage storage.Client // nil in memory
	guard   *access.Guard
	server  *server

	stop     context.CancelFunc // set by Start
	running  sync.WaitGroup
	shutdown sync.Once
	err      error // of Shutdown
}

var (
	_ extension.Extension                          = (*usageAPI)(nil)
	_ extensioncapabilities.Dependent              = (*usageAPI)(nil)
	_ extensioncapabilities.ComponentStatusWatcher = (*usageAPI)(nil)
)

func newExtension(set extension.Settings, cfg *Config) (*usageAPI, error) {
	document, err := openapi.New()
	if err != nil {
		return nil, err
	}
	e := &usageAPI{
		set: set, cfg: cfg, stop: func() {},
		store: store.New(store.Settings{
			MaxInstances: cfg.Store.MaxInstances, MaxBytes: cfg.Store.MaxBytes, Retain: cfg.Store.Retain, Now: time.Now,
		}),
	}
	e.signals = signals.New(time.Now)
	e.vitals = vitals.New(vitals.Settings{
		Data: e.store, Signals: e.signals.Current, StalledAfter: cfg.Health.StalledAfter, Version: set.BuildInfo.Version, Self: set.ID, Now: time.Now,
	})
	e.api = api.New(api.Settings{
		Store: e.store, Vitals: e.vitals, Document: document, Viewer: e.mayRead, Allowed: e.mayFollow,
		Stream:    api.Stream(cfg.Stream),
		Principal: func(ctx context.Context) string { return access.From(ctx).Known() },
		Ended:     func(ctx context.Context, end api.End) { e.telemetry.ended(ctx, end) },
	})
	e.keys = access.NewKeyring()
	e.rules = rulestore.New(rulestore.Options{Limit: cfg.Thresholds.MaxRules, PerAuthor: cfg.Thresholds.MaxPerOwner, Keep: e.keep})
	e.telemetry, err = newTelemetry(set.TelemetrySettings, e)
	return e, err
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

// Start reads what was kept, and listens. What comes in before is taken in all the same.
func (e *usageAPI) Start(ctx context.Context, host component.Host) error {
	e.health = health.New(e.set.Logger, host)
	if e.cfg.Storage == nil {
		e.set.Logger.Warn("no storage is configured: threshold rules and webhooks that are written over the API, and deliveries that wait, are lost when the collector ends; set storage to a storage extension such as file_storage")
	}
	err := e.restore(ctx, host)
	if err != nil {
		return err
	}
	if err := e.startWebhooks(ctx, host); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.guard, err = e.admission(ctx, running, host)
	if err != nil {
		return err
	}
	cfg := *e.cfg
	cfg.ServerConfig.Auth = configoptional.None[confighttp.AuthConfig]() // which the guard asks
	e.server, err = startServer(ctx, host, e.set.TelemetrySettings, &cfg, e.handler(e.guard.Guard), e.telemetry.closed)
	if err != nil {
		return err
	}
	e.running.Go(func() { e.prune(running) })
	e.running.Go(func() { e.keepLooking(running) })
	return nil
}

// prune forgets instances of which nothing comes any more.
func (e *usageAPI) prune(ctx context.Context) {
	ticker := time.NewTicker(max(min(e.cfg.Store.Retain/4, time.Minute), time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.store.Prune()
		}
	}
}

// Shutdown ends what is under way, as far as ctx allows. It may be called before
// Start and more than once.
func (e *usageAPI) Shutdown(ctx context.Context) error {
	e.shutdown.Do(func() {
		e.stop()
		if e.server != nil {
			e.err = errors.Join(e.err, e.server.shutdown(ctx))
		}
		e.running.Wait()
		if w := e.webhooks.Load(); w != nil {
			e.err = errors.Join(e.err, w.shutdown(ctx))
		}
		if e.storage != nil {
			e.err = errors.Join(e.err, e.storage.Close(ctx))
		}
		e.telemetry.shutdown()
	})
	return e.err
}

// ConsumeMetrics takes in what the usage_api exporter is given: levels, usage and the
// states of thresholds. What webhooks are to be told of is written before it returns. It refuses
// nothing; what it cannot use is counted. It may be called at any time, from several goroutines, and keeps nothing of md.
func (e *usageAPI) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) {
	e.telemetry.consumed(ctx, e.store.Consume(md))
	if w := e.webhooks.Load(); w != nil {
		e.telemetry.fed(ctx, w.feed.Consume(ctx, md))
	}
}

// Changed notes what a component says of itself. It may be called at any time.
func (e *usageAPI) Changed(source *componentstatus.InstanceID, event *componentstatus.Event) {
	e.vitals.Changed(source, event)
}

// Published notes that an exporter had events acknowledged. It may be called at any
// time.
func (e *usageAPI) Published(_ component.ID, at time.Time) { e.vitals.Published(at) }
