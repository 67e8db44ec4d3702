package vmusagereceiver

import (
	"context"
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
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// transport is what the collector's own receiver metrics call the way in.
const transport = "local"

// vmUsage runs three goroutines that never wait for each other:
//
//	sampler --(latest levels, or skipped)--> levels  --> next
//	   |
//	   +----(outbox)-----------------------> usage   --> next
//
// Only the sampler touches the source and the ledger; the outbox is the one
// thing that it shares with the hand-over of usage.
type vmUsage struct {
	set   receiver.Settings
	cfg   *Config
	next  consumer.Metrics
	clock func() reading.Instant
	open  func(at reading.Instant) (source, error)
	newID func() uuid.UUID // mints streams

	telemetry *telemetry
	outbox    *outbox.Outbox

	stop     context.CancelFunc // ends the sampler
	sampling sync.WaitGroup
	handing  sync.WaitGroup
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Metrics) (*vmUsage, error) {
	t, err := newTelemetry(set)
	if err != nil {
		return nil, err
	}
	return &vmUsage{
		set: set, cfg: cfg, next: next,
		clock: systemClock, newID: uuid.New,
		open: func(at reading.Instant) (source, error) {
			return newHostSource(set, cfg, at)
		},
		telemetry: t,
		outbox:    outbox.New(cfg.Outbox.MaxBytes),
	}, nil
}

// Start opens the source and takes the first reading, which is where the first
// period begins.
func (v *vmUsage) Start(_ context.Context, host component.Host) error {
	src, err := v.open(v.clock())
	if err != nil {
		return fmt.Errorf("vm_usage cannot meter this machine: %w", err)
	}
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: v.set.ID, Transport: transport, ReceiverCreateSettings: v.set,
	})
	if err != nil {
		return err
	}
	v.telemetry.logger.Info("metering in memory: usage that is not confirmed when the collector ends is lost",
		zap.String("source", src.Name()), zap.Duration("period", v.cfg.Period), zap.Duration("collection_interval", v.cfg.CollectionInterval))

	news := health.New(v.set.Logger, host)
	out := &handover{next: v.next, report: report, telemetry: v.telemetry}
	s := &sampler{
		cfg: v.cfg, clock: v.clock, source: src,
		ledger: ledger.New(ledger.Settings{Interval: v.cfg.CollectionInterval, NewID: v.newID}),
		outbox: v.outbox, levels: make(chan levelBatch, 1),
		telemetry: v.telemetry, health: news,
	}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	sampling, done := context.WithCancel(context.Background())
	v.sampling.Go(func() {
		defer done()
		s.run(ctx)
	})
	name, _ := os.Hostname() // without a name all share one delay
	d := &delivery{handover: out, outbox: v.outbox, health: news, clock: v.clock, jitter: jitterOf(name, v.cfg.Jitter)}
	v.handing.Go(func() { out.levels(s.levels) })
	v.handing.Go(func() { d.run(sampling) })
	return nil
}

// Shutdown takes a last reading, closes the open period, offers what waits for
// as long as ctx and a few seconds allow, and returns when all has ended. It
// may be called before Start and more than once.
func (v *vmUsage) Shutdown(context.Context) error {
	if v.stop == nil {
		return nil
	}
	v.stop()
	v.sampling.Wait()
	v.handing.Wait()
	v.telemetry.shutdown()
	return nil
}
