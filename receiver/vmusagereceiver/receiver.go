package vmusagereceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/window"
)

// transport is what the collector's own receiver metrics call the way in.
const transport = "local"

// vmUsage runs four goroutines that never wait for each other:
//
//	sampler --(latest levels, or skipped)--------------------> levels --> next
//	   |
//	   +----(outbox)--> keeper --(storage, then outbox)------> usage  --> next
//
// Only the sampler touches the source, the ledger and the window; the outbox is
// the one thing that it shares with the keeper and the hand-over of usage.
type vmUsage struct {
	set   receiver.Settings
	cfg   *Config
	next  consumer.Metrics
	clock func() reading.Instant
	open  func(at reading.Instant) ([]source, error)
	newID func() uuid.UUID // mints streams

	telemetry *telemetry
	state     *state
	keeper    *keeper

	stop     context.CancelFunc // ends the sampler
	sampling sync.WaitGroup
	handing  sync.WaitGroup
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Metrics) (*vmUsage, error) {
	t, err := newTelemetry(set)
	if err != nil {
		return nil, err
	}
	v := &vmUsage{
		set: set, cfg: cfg, next: next,
		clock: systemClock, newID: uuid.New,
		telemetry: t,
	}
	v.open = func(at reading.Instant) ([]source, error) { return openSources(set, cfg, v.clock, at) }
	return v, nil
}

// Start opens the storage and the source, and goes on where the last run ended.
// The first reading closes what the counters bridged since, or is where the
// first period begins.
func (v *vmUsage) Start(ctx context.Context, host component.Host) error {
	sources, err := v.open(v.clock())
	if err != nil {
		return fmt.Errorf("vm_usage cannot meter this machine: %w", err)
	}
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: v.set.ID, Transport: transport, ReceiverCreateSettings: v.set,
	})
	if err != nil {
		return errors.Join(err, closeAll(sources))
	}
	win := window.New(window.Settings{
		Interval: v.cfg.CollectionInterval, Period: v.cfg.Period,
		Periods: v.cfg.Window.Periods, MaxBytes: v.cfg.Window.MaxBytes,
	})
	v.state, err = v.openState(ctx, host, ledger.Settings{Interval: v.cfg.CollectionInterval, NewID: v.newID, Sampled: win.Add})
	if err != nil {
		return errors.Join(err, closeAll(sources))
	}
	v.telemetry.logger.Info("metering", zap.Strings("sources", names(sources)),
		zap.Duration("period", v.cfg.Period), zap.Duration("collection_interval", v.cfg.CollectionInterval))

	reporter := health.New(v.set.Logger, host)
	watched := signalsOf(v.set.ID, host)
	out := &handover{next: v.next, report: report, telemetry: v.telemetry}
	s := &sampler{
		cfg: v.cfg, clock: v.clock, sources: sources,
		ledger: v.state.ledger, window: win, outbox: v.state.outbox, durable: v.state.marker != nil,
		levels: make(chan levelBatch, 1), telemetry: v.telemetry, health: reporter,
		signals: watched, backlog: newBacklog(v.cfg),
	}
	v.keeper = &keeper{outbox: v.state.outbox, marker: v.state.marker, telemetry: v.telemetry, health: reporter, signals: watched}
	samplerCtx, stop := context.WithCancel(context.Background())
	v.stop = stop
	sampling, done := context.WithCancel(context.Background())
	v.sampling.Go(func() {
		defer done()
		s.run(samplerCtx)
	})
	kept, keeping := context.WithCancel(context.Background())
	v.handing.Go(func() {
		defer keeping()
		v.keeper.run(sampling)
	})
	name, _ := os.Hostname() // without a name all share one delay
	d := &delivery{
		handover: out, outbox: v.state.outbox, durable: v.state.marker != nil,
		health: reporter, signals: watched, clock: v.clock, jitter: jitterOf(name, v.cfg.Jitter),
	}
	v.handing.Go(func() { out.levels(s.levels) })
	v.handing.Go(func() { d.run(sampling, kept) })
	return nil
}

// Shutdown takes a last reading, closes the open period, offers what waits for
// a few seconds, and returns when all has ended. What is not confirmed then
// stays in the storage. It may be called before Start and more than once.
func (v *vmUsage) Shutdown(ctx context.Context) error {
	if v.stop == nil {
		return nil
	}
	v.stop()
	v.sampling.Wait()
	v.handing.Wait()
	if v.state == nil {
		return nil
	}
	_ = v.keeper.flush() // forgets what was confirmed last; otherwise it is offered again
	err := v.state.close(ctx)
	v.state = nil
	v.telemetry.shutdown()
	return err
}
