package usageeventexporter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/health"
)

const (
	// shutdownGrace is what sends that are under way at Shutdown still have.
	shutdownGrace = 2 * time.Second
	// closeGrace is what the producer then has to close its connections in
	// order, and once more what it has after they were cut.
	closeGrace = time.Second

	// publishing is what the log and the status call it.
	publishing = "publishing usage events to Kafka"
)

// usageEvent is the exporter: exporterhelper's queue and retry around a producer.
type usageEvent struct {
	exporter.Metrics // exporterhelper's

	cfg        *Config
	logger     *zap.Logger
	builder    *metadata.TelemetryBuilder
	convert    *converter
	letters    *deadLetters // nil: there are none
	violations *violations  // nil: there is no topic for them
	refusals   *refusals
	producer   *producer
	circuit    *circuit         // before the producer; nil: there is none
	security   *security        // set by Start
	health     *health.Reporter // set by Start
	id         component.ID
	observers  []publicationObserver // set by Start
	watchers   []signalObserver      // set by Start

	stopped  atomic.Bool
	shutdown sync.Once
	err      error // of Shutdown
}

func newExporter(ctx context.Context, set exporter.Settings, cfg *Config) (*usageEvent, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	e := &usageEvent{
		cfg: cfg, builder: builder, id: set.ID,
		logger: set.Logger.With(zap.Strings("brokers", cfg.Brokers), zap.String("topic", cfg.Topic)),
	}
	e.letters, e.refusals = newDeadLetters(cfg, set.ID), newRefusals(set.Logger, builder)
	if e.convert, err = newConverter(cfg, e.letters, newTopics(cfg, e.refusals.say), e.refusals.add); err != nil {
		return nil, err
	}
	if e.violations, err = newViolations(cfg, builder); err != nil {
		return nil, err
	}
	e.convert.violations = e.violations
	e.producer = newProducer(cfg.Timeout, cfg.Producer.MaxMessageBytes, e.connect)

	e.circuit = newCircuit(&cfg.CircuitBreaker, e.logger, builder, func(open bool, why string) { e.signal(signalBreaker, open, why) })

	inner := set
	inner.Logger = set.Logger.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return &quietCore{c, e.failing, e.nobodyWaits()}
	}))
	e.Metrics, err = xexporterhelper.NewMetricsRequest(ctx, inner, e.convert.convert, e.push,
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}), // the producer has its own, which sarama obeys
		exporterhelper.WithRetry(cfg.RetryOnFailure),
		xexporterhelper.WithQueueBatch(cfg.SendingQueue, xexporterhelper.QueueBatchSettings{Encoding: requestEncoding{}}),
	)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// nobodyWaits reports whether a batch is confirmed before Kafka has it.
func (e *usageEvent) nobodyWaits() bool {
	q := e.cfg.SendingQueue.Get()
	return q != nil && !q.WaitForResult
}

func (e *usageEvent) failing() bool { return e.health != nil && e.health.Failing(publishing) }

// Start connects to nothing: Kafka may be down.
func (e *usageEvent) Start(ctx context.Context, host component.Host) error {
	var err error
	if e.security, err = newSecurity(ctx, e.cfg, host, e.logger); err != nil {
		return err
	}
	e.cfg.sayCosts(e.logger)
	e.health = health.New(e.logger, host)
	e.observers, e.watchers = observersOf[publicationObserver](host), observersOf[signalObserver](host)
	return e.Metrics.Start(ctx, host)
}

// ConsumeMetrics returns nil once Kafka has acknowledged every event made of md, and an error that is worth a retry otherwise; with wait_for_result off,
// once they are in the queue. It may be called from several goroutines.
func (e *usageEvent) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	found, others := scan(md, e.violations)
	if others > 0 {
		e.builder.ExporterUsageEventPointsIgnored.Add(ctx, int64(others))
	}
	if !found {
		return nil
	}
	if e.stopped.Load() {
		return errStopped
	}
	return e.Metrics.ConsumeMetrics(ctx, md)
}

// push makes one attempt; what it leaves is tried again by exporterhelper.
func (e *usageEvent) push(ctx context.Context, r xexporterhelper.Request) error {
	req := r.(*request)
	if len(req.records) == 0 {
		return nil // nothing of what looked like usage was
	}
	start := time.Now()
	buried, err := e.send(ctx, req.records)
	e.security.noticed(err)
	e.measure(ctx, &attempted{req.records, req.again, time.Since(start), buried, err})
	if ctx.Err() == nil && !errors.Is(err, errStopped) { // else it says nothing about Kafka
		e.health.Report(publishing, err)
	}
	if err == nil {
		e.tellObservers(time.Now())
	}
	return err
}

// send makes one attempt for records and, where Kafka refuses some for good, one
// for their dead letters.
func (e *usageEvent) send(ctx context.Context, records []record) (b burial, err error) {
	err = e.attempt(ctx, records)
	p, ok := errors.AsType[*publishError](err)
	if !ok {
		return b, err
	}
	if e.letters == nil {
		p.keepPoison()
	} else {
		b = e.letters.bury(ctx, e.attempt, p)
	}
	if p.none() {
		return b, nil
	}
	return b, err
}

func (e *usageEvent) attempt(ctx context.Context, records []record) error {
	return e.circuit.send(ctx, records, e.producer.send)
}

// Shutdown lets what is under way end, for as long as ctx and shutdownGrace
// allow, cancels the rest, and returns within a few seconds whatever the brokers
// do. It may be called before Start and more than once.
func (e *usageEvent) Shutdown(ctx context.Context) error {
	e.shutdown.Do(func() {
		e.stopped.Store(true)
		ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
		defer cancel()
		keep := context.AfterFunc(ctx, e.producer.abort)
		e.err = e.Metrics.Shutdown(ctx) // waits for the queue's consumers
		keep()
		e.producer.close(closeGrace)
		e.builder.Shutdown()
	})
	return e.err
}
