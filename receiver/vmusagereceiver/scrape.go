package vmusagereceiver

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/window"
)

// NewScrape returns what the receiver does at each tick, without the ticks: it
// reads the counters, accounts for them and returns the levels. It is there to
// be measured; the function is not safe for concurrent use.
func NewScrape(set receiver.Settings, cfg component.Config) (func(context.Context) pmetric.Metrics, error) {
	scrape, _, err := newScrape(set, cfg, systemClock)
	return scrape, err
}

// newScrape is NewScrape by another clock, with what closes the sources.
func newScrape(set receiver.Settings, cfg component.Config, now func() reading.Instant) (scrape func(context.Context) pmetric.Metrics, closing func() error, err error) {
	conf := cfg.(*Config)
	sources, err := openSources(set, conf, now, now())
	if err != nil {
		return nil, nil, err
	}
	t, err := newTelemetry(set)
	if err != nil {
		return nil, nil, err
	}
	win := window.New(window.Settings{
		Interval: conf.CollectionInterval, Period: conf.Period, Periods: conf.Window.Periods, MaxBytes: conf.Window.MaxBytes,
	})
	s := &sampler{
		cfg: conf, clock: now, sources: sources, window: win,
		ledger: ledger.New(ledger.Settings{Interval: conf.CollectionInterval, NewID: uuid.New, Sampled: win.Add}),
		outbox: outbox.New(outbox.Settings{MaxBytes: conf.Outbox.MaxBytes}), levels: make(chan levelBatch, 1),
		telemetry: t, health: health.New(set.Logger, nil),
	}
	return func(ctx context.Context) pmetric.Metrics {
		s.sample(ctx)
		return (<-s.levels).metrics
	}, func() error { return closeAll(sources) }, nil
}
