package usageapiextension

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/alerts"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/feed"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/hooks"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

const (
	// webhooksStorage is the name of the storage client, so that webhooks lie apart.
	webhooksStorage = "webhooks"
	// alertsKey is the value with the alerts that are not over.
	alertsKey = "alerts"

	excerptBytes = 512

	alertClear  = 30 * time.Second
	alertSettle = 2 * time.Minute
	maxAlerts   = 1024
	// droppedLasts is for how long after a delivery was dropped that is an alert.
	droppedLasts = 5 * time.Minute
)

// webhooks is who is told of what, as far as it is running.
type webhooks struct {
	engine *webhook.Engine
	sender *outbound.Client
	alerts *alerts.Alerts
	feed   *feed.Feed
	client storage.Client // nil in memory

	stop func() // ends and waits for the alerts
}

// startWebhooks opens what was kept, and begins to deliver.
func (e *usageAPI) startWebhooks(ctx context.Context, host component.Host) (err error) {
	cfg := &e.cfg.Webhooks
	tlsConfig, err := cfg.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return fmt.Errorf("webhooks::tls: %w", err)
	}
	networks, err := cfg.networks()
	if err != nil {
		return err
	}
	w := &webhooks{}
	w.sender = outbound.New(outbound.Settings{
		AllowHTTP: cfg.AllowHTTP, AllowPrivate: networks, Timeout: cfg.Timeout, TLS: tlsConfig,
		PerHost: cfg.PerEndpoint.Concurrency, Excerpt: excerptBytes,
	})
	if w.client, err = e.client(ctx, host, webhooksStorage); err != nil {
		return err
	}
	defer func() {
		if err != nil && w.client != nil {
			err = errors.Join(err, w.client.Close(ctx))
		}
	}()
	var kept webhook.Storage
	if w.client != nil {
		kept = keptWebhooks{w.client}
	}
	w.engine, err = webhook.Open(ctx, webhook.Settings{
		Limits:   cfg.limits(),
		Schedule: webhook.Schedule{Waits: cfg.Schedule, Jitter: cfg.Jitter, DisableAfter: cfg.DisableAfter},
		Send:     w.sender.Send,
		Owns: func(o webhook.Owner, user, org string) bool {
			return access.ByMetrics{}.Owns(&access.Principal{UserID: o.UserID, OrgID: o.OrgID}, access.Owner{UserID: user, OrgID: org})
		},
		Storage: kept, Observe: &hookObserver{e, w}, Jitter: func() float64 { return 2*rand.Float64() - 1 }, //nolint:gosec // not a secret
		UserAgent: e.set.BuildInfo.Command + "/" + e.set.BuildInfo.Version,
	})
	if errors.Is(err, wire.ErrNewer) {
		return fmt.Errorf("storage %q: %w: start that version again, or give the extension another storage", e.cfg.Storage, err)
	}
	if err != nil {
		return fmt.Errorf("storage %q: webhooks: %w", e.cfg.Storage, err)
	}
	if err := w.openAlerts(ctx, e); err != nil {
		return err
	}
	w.feed = feed.New(feed.Settings{
		Wants: w.engine.Wants, Begin: func() feed.Batch { return w.engine.Begin() },
		Store: e.store, MetricsInterval: cfg.MetricsInterval, MaxInstances: e.cfg.Store.MaxInstances,
	})
	w.engine.Start()
	w.runAlerts()
	e.signals.OnChange(func(s signals.Signal) { w.alerts.Set(signalAlert(s)) })
	e.webhooks.Store(w)
	return nil
}

// openAlerts takes up the alerts that were not over.
func (w *webhooks) openAlerts(ctx context.Context, e *usageAPI) error {
	hostname, _ := os.Hostname() // "" is allowed
	s := alerts.Settings{
		Begin: func() alerts.Batch { return w.engine.Begin() }, HostName: hostname,
		Clear: alertClear, Settle: alertSettle, Max: maxAlerts,
	}
	if w.client != nil {
		s.Keep = func(ctx context.Context, value []byte) error {
			err := w.client.Set(ctx, alertsKey, value)
			e.health.Report("writing alerts", err)
			return err
		}
	}
	w.alerts = alerts.New(s)
	if w.client == nil {
		return nil
	}
	value, err := w.client.Get(ctx, alertsKey)
	if err != nil || value == nil {
		return err
	}
	err = w.alerts.Restore(value)
	if errors.Is(err, wire.ErrNewer) {
		return fmt.Errorf("storage %q: %w: start that version again, or give the extension another storage", e.cfg.Storage, err)
	}
	if err != nil {
		(&hookObserver{e, w}).Damaged(alertsKey, err)
		return w.client.Batch(ctx, storage.SetOperation(corruptPrefix+alertsKey, value), storage.DeleteOperation(alertsKey))
	}
	return nil
}

// runAlerts begins to tell of what is wrong.
func (w *webhooks) runAlerts() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.alerts.Run(ctx)
	}()
	w.stop = func() { cancel(); <-ended }
	for _, v := range w.engine.List() { // those of which it was told before the start
		if v.Status == webhook.Disabled {
			w.alerts.Set(disabledAlert(&v.Hook, true))
		}
	}
}

// shutdown lets requests end that are under way.
func (w *webhooks) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	w.stop()
	err := w.engine.Shutdown(ctx)
	w.sender.Close()
	if w.client != nil {
		err = errors.Join(err, w.client.Close(context.WithoutCancel(ctx)))
	}
	return err
}

// hooks is the endpoints of webhooks, which are served from Start on.
func (e *usageAPI) hooks() *hooks.API {
	a := &hooks.API{SecretOverlap: e.cfg.Webhooks.SecretOverlap, Timeout: e.cfg.Webhooks.Timeout, Respond: e.api.Respond}
	if w := e.webhooks.Load(); w != nil {
		a.Engine, a.CheckURL = w.engine, w.sender.CheckURL
	}
	return a
}

// keptWebhooks is a storage client as the engine wants one.
type keptWebhooks struct{ storage.Client }

// Read returns the values of keys.
func (k keptWebhooks) Read(ctx context.Context, keys []string) ([][]byte, error) {
	ops := make([]*storage.Operation, len(keys))
	for i, key := range keys {
		ops[i] = storage.GetOperation(key)
	}
	if err := k.Batch(ctx, ops...); err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i, op := range ops {
		values[i] = op.Value
	}
	return values, nil
}

// Write writes all or nothing.
func (k keptWebhooks) Write(ctx context.Context, ops []webhook.Op) error {
	all := make([]*storage.Operation, len(ops))
	for i, op := range ops {
		if op.Value == nil {
			all[i] = storage.DeleteOperation(op.Key)
		} else {
			all[i] = storage.SetOperation(op.Key, op.Value)
		}
	}
	return k.Batch(ctx, all...)
}
