package thresholdprocessor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
)

// thresholds is the processor of one pipeline. All that is remembered is in the
// core, which the processors of all pipelines share.
type thresholds struct {
	core     *core
	next     consumer.Metrics
	checkers sync.Pool // of *checker.Checker
	release  func(context.Context) error
	ended    atomic.Bool
}

// errEnded is the answer to metrics that come when nothing is checked any more.
// They are not taken: usage that waits comes again after the next start.
var errEnded = errors.New("the threshold processor was shut down")

var _ processor.Metrics = (*thresholds)(nil)

func newProcessor(c *core, next consumer.Metrics) *thresholds {
	options := checker.Options{Tag: checker.Tag(c.cfg.Tag), State: c.cfg.StateMetric}
	p := &thresholds{
		core: c, next: next,
		checkers: sync.Pool{New: func() any { return checker.New(options) }},
	}
	var once sync.Once
	p.release = func(ctx context.Context) (err error) {
		once.Do(func() {
			p.ended.Store(true)
			err = c.release(ctx, p)
		})
		return err
	}
	return p
}

// Start starts what is shared when the first of the processors starts.
func (p *thresholds) Start(ctx context.Context, host component.Host) error {
	return p.core.start(ctx, host, p)
}

// Shutdown ends what is shared with the last of the processors.
func (p *thresholds) Shutdown(ctx context.Context) error { return p.release(ctx) }

// Capabilities says that metrics are changed.
func (*thresholds) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// ConsumeMetrics checks md and hands it on, with what there is to say. Only if the
// next consumer takes it does that hold; otherwise it is as if md had not come.
func (p *thresholds) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if p.ended.Load() {
		return errEnded
	}
	c := p.checkers.Get().(*checker.Checker)
	defer p.checkers.Put(c)
	tx := p.core.engine.Begin()
	defer tx.Rollback()
	p.core.telemetry.checked(ctx, c.Check(p.core.rules.set(), tx, md))
	if newest := c.Newest(); newest > 0 {
		// A clock that is ahead somewhere ends nothing early elsewhere.
		tx.Tick(min(newest, time.Now().UnixNano()))
	}
	return p.hand(ctx, tx, md)
}

// tick announces what happened because time passed.
func (p *thresholds) tick(ctx context.Context, now time.Time) error {
	tx := p.core.engine.Begin()
	defer tx.Rollback()
	tx.Tick(now.UnixNano())
	return p.hand(ctx, tx, pmetric.NewMetrics())
}

// hand hands md on, with the announcements of tx, and commits tx if it is taken.
// What is empty, because there is nothing to say but to the log, goes nowhere.
func (p *thresholds) hand(ctx context.Context, tx *threshold.Tx, md pmetric.Metrics) error {
	said := tx.Announcements()
	checker.Announce(md, said)
	if md.ResourceMetrics().Len() > 0 {
		if tx.Prepare() {
			p.core.flush(ctx)
		}
		if err := p.next.ConsumeMetrics(ctx, md); err != nil {
			p.core.telemetry.batch(ctx, false)
			return err
		}
		p.core.telemetry.batch(ctx, true)
	}
	tx.Commit()
	p.core.log(said)
	p.core.flush(ctx)
	return nil
}
