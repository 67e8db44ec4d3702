package vmusagereceiver

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/tick"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/window"
)

// A sampler reads the counters at wall-clock-aligned ticks, closes periods, and
// leaves both levels and periods for others to hand over.
type sampler struct {
	cfg       *Config
	clock     func() reading.Instant
	sources   []source
	ledger    *ledger.Ledger
	window    *window.Window
	outbox    *outbox.Outbox
	durable   bool // the outbox writes the ledger's checkpoints
	snapshot  ledger.Snapshot
	levels    chan levelBatch
	telemetry *telemetry
	health    *health.Reporter
	signals   *signals
	backlog   backlog

	period int64  // number of the period that the last tick lay in
	last   int64  // CLOCK_BOOTTIME ns of the last tick
	bootID string // of the machine, as the source says
}

// A levelBatch is the levels of one sample.
type levelBatch struct {
	metrics pmetric.Metrics
	points  int
}

// run samples until ctx ends, and then once more, so that the time up to the
// very end is metered.
func (s *sampler) run(ctx context.Context) {
	defer close(s.levels)
	defer func() {
		for _, src := range s.sources {
			if err := src.Close(); err != nil {
				s.telemetry.logger.Warn("closing the source failed", zap.String("source", src.Name()), zap.Error(err))
			}
		}
	}()

	first := s.clock()
	s.period, s.last = tick.Index(wall(first), s.cfg.Period), first.Boot
	s.sample(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Armed anew from the wall clock each time: a step moves at most one tick.
		now := wall(s.clock())
		timer.Reset(tick.Next(now, s.cfg.CollectionInterval).Sub(now))
		select {
		case <-timer.C:
			s.tick(ctx)
		case <-ctx.Done():
			s.ledger.Due()
			s.sample(context.WithoutCancel(ctx))
			return
		}
	}
}

func wall(at reading.Instant) time.Time { return time.Unix(0, at.Wall) }

// tick samples, and closes the periods when the tick begins a new one.
func (s *sampler) tick(ctx context.Context) {
	now := s.clock()
	every := s.cfg.CollectionInterval.Nanoseconds()
	if missed := (now.Boot-s.last+every/2)/every - 1; missed > 0 {
		for _, src := range s.sources {
			s.telemetry.samples(ctx, src, "missed", missed)
		}
	}
	s.last = now.Boot
	if p := tick.Index(wall(now), s.cfg.Period); p != s.period {
		s.period = p
		// Once a period: what waited when the collector started had time to be taken.
		s.signals.report(signalOutbox, "outbox", s.backlog.look(s.outbox.State(), now.Wall))
		s.ledger.Due()
		s.window.Prune(now.Wall)
	}
	s.sample(ctx)
}

// sample reads every instance once. A failure costs only what failed: the
// counters catch up at the next good sample.
func (s *sampler) sample(ctx context.Context) {
	at := s.clock()
	md := pmetric.NewMetrics()
	for _, src := range s.sources {
		s.sampleOne(ctx, src, at, md)
	}
	s.keep()
	s.telemetry.ledger(ctx, s.ledger)
	s.telemetry.window(ctx, s.window)
	s.telemetry.outbox(ctx, s.outbox.State(), at.Wall)
	s.offerLevels(ctx, md)
}

func (s *sampler) sampleOne(ctx context.Context, src source, at reading.Instant, md pmetric.Metrics) {
	visited := 0
	err := src.Sample(ctx, at, func(i sampled) {
		visited++
		s.bootID = i.Reading().At.BootID
		s.ledger.Observe(i.Reading())
		s.appendLevels(md, i)
	})
	outcome := "ok"
	switch {
	case visited == 0:
		outcome = "failed"
		if err == nil {
			outcome = "ok"
		}
	case err != nil:
		outcome = "partial"
	}
	s.telemetry.samples(ctx, src, outcome, 1)
	told := news{s.health, s.signals}
	told.Report("source "+src.Name(), err)
	if t, ok := src.(teller); ok {
		t.Tell(ctx, s.telemetry, told)
	}
	at.BootID = s.bootID
	s.ledger.EndScan(src.Name(), at, err == nil)
}

// keep leaves what was closed, and what the ledger then knows, to the keeper.
func (s *sampler) keep() {
	closed, changed := s.ledger.Take()
	if !changed {
		return
	}
	if s.durable {
		s.ledger.Snapshot(&s.snapshot)
	}
	s.snapshot.Shards = s.outbox.Put(closed, s.snapshot.Shards)
}

// appendLevels writes the levels of one instance and its running totals.
func (s *sampler) appendLevels(md pmetric.Metrics, i sampled) {
	r := i.Reading()
	rm := md.ResourceMetrics().AppendEmpty()
	usage.PutResource(rm.Resource(), r.Instance)
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(usage.Scope)
	sm.Metrics().EnsureCapacity(48)
	i.AppendLevels(sm.Metrics())
	s.appendWindow(sm.Metrics(), r)
	if metered, totals, start, ok := s.ledger.Metered(r.Instance.ID); ok {
		usage.AppendMetered(sm.Metrics(), metered, totals, start, r.At.Wall)
	}
}

// appendWindow writes what was used over the sliding window, where that is wanted.
func (s *sampler) appendWindow(ms pmetric.MetricSlice, r *reading.Reading) {
	if !s.cfg.MetricsBuilderConfig.Metrics.VMWindowUtilization.Enabled {
		return
	}
	dps := pmetric.NewNumberDataPointSlice()
	for u, stat := range s.window.Statistics(r.Instance.ID) {
		if !stat.Valid {
			continue
		}
		resource, _, _ := strings.Cut(usage.Utilization(u).String(), ".") //nolint:gosec // an index
		for _, v := range [...]struct {
			name string
			ppm  int64
		}{{"avg", stat.Avg}, {"max", stat.Max}} {
			dp := dps.AppendEmpty()
			dp.SetTimestamp(pcommon.Timestamp(r.At.Wall)) //nolint:gosec // after 1970
			dp.SetDoubleValue(float64(v.ppm) / usage.FullCoverage)
			dp.Attributes().PutStr("vm.window.resource", resource)
			dp.Attributes().PutStr("vm.window.statistic", v.name)
		}
	}
	if dps.Len() > 0 {
		m := ms.AppendEmpty()
		m.SetName("vm.window.utilization")
		m.SetDescription("Time-weighted average and maximum of a utilization over the sliding window.")
		m.SetUnit("1")
		dps.MoveAndAppendTo(m.SetEmptyGauge().DataPoints())
	}
}

// offerLevels leaves the levels for their own goroutine. While that is still
// busy with the last ones, these are skipped: the next are newer anyway.
func (s *sampler) offerLevels(ctx context.Context, md pmetric.Metrics) {
	points := md.DataPointCount()
	if points == 0 {
		return
	}
	select {
	case s.levels <- levelBatch{md, points}:
	default:
		s.telemetry.levels(ctx, "skipped")
	}
}
