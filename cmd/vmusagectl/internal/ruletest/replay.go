// Package ruletest holds recorded metrics and usage events against threshold rules,
// in the order of their times, as the threshold processor would have.
package ruletest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Options say what is replayed.
type Options struct {
	From, To int64         // unix ns; what is before From, or at To or after it, is passed over; 0: all
	Tick     time.Duration // how often time is told while no data comes; 0: never
	Levels   Levels        // for events

	Said func(*usage.Violation) error // told of what would have been announced; an error ends the replay
	Bad  func(error)                  // told of records that cannot be used, with their places
}

// A Replay is one pass over records.
type Replay struct {
	options Options
	set     *threshold.Set
	engine  *threshold.Engine
	checker *checker.Checker
	order   order
	clock   int64 // the newest time of data, or of a tick
	summary Summary
	witness witness
	said    usage.Violation
}

// New returns a replay of rules with what an engine remembers by default.
func New(set *threshold.Set, o Options) *Replay {
	config := threshold.DefaultConfig()
	config.Period = 30 * time.Second
	r := &Replay{options: o, set: set, engine: threshold.New(config), witness: newWitness()}
	r.checker = checker.New(checker.Options{Tag: checker.TagNone, Witness: &r.witness})
	r.order = order{limit: maxHeld, bad: r.bad}
	return r
}

// Add adds records to be replayed; name is that of a file.
func (r *Replay) Add(name string, from io.Reader) error {
	in, err := newInput(name, from)
	if err != nil {
		return err
	}
	r.order.inputs = append(r.order.inputs, in)
	r.summary.Files++
	return nil
}

// Run replays all that was added.
func (r *Replay) Run(ctx context.Context) (*Summary, error) {
	for {
		next, err := r.order.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if next.at < r.options.From || r.options.To != 0 && next.at >= r.options.To {
			r.summary.Outside++
			continue
		}
		if err := r.replay(next); err != nil {
			return nil, err
		}
	}
	if r.options.To > r.clock && r.clock != 0 {
		if err := r.tick(r.options.To); err != nil {
			return nil, err
		}
	}
	return r.end(), nil
}

func (r *Replay) replay(next *record) error {
	md := next.md
	if next.period == nil {
		r.summary.Batches++
	} else {
		r.summary.Events++
		md = pmetric.NewMetrics()
		usage.AppendPeriod(md.ResourceMetrics(), next.period)
		r.options.Levels.append(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics(), next.period)
	}
	if r.summary.First == 0 {
		r.summary.First = next.at
	}
	if next.at < r.clock {
		r.summary.OutOfOrder++
	}
	// A processor tells the time by itself while nothing comes. All that ends in
	// between has its own time, so that one tick is as good as many.
	if step := int64(r.options.Tick); step > 0 && r.clock != 0 && next.at-r.clock > step {
		if err := r.tick(r.clock + (next.at-r.clock-1)/step*step); err != nil {
			return err
		}
	}
	tx := r.engine.Begin()
	defer tx.Rollback()
	r.summary.Evaluations += r.checker.Check(r.set, tx, md).Evaluations
	r.clock = max(r.clock, next.at)
	if newest := r.checker.Newest(); newest > 0 {
		tx.Tick(newest)
	}
	return r.commit(tx, md)
}

func (r *Replay) tick(at int64) error {
	tx := r.engine.Begin()
	defer tx.Rollback()
	tx.Tick(at)
	r.clock = max(r.clock, at)
	return r.commit(tx, pmetric.NewMetrics())
}

// commit tells what follows from md and ends tx.
func (r *Replay) commit(tx *threshold.Tx, md pmetric.Metrics) error {
	if said := tx.Announcements(); len(said) > 0 {
		if err := r.announce(said, md); err != nil {
			return err
		}
	}
	tx.Commit()
	return nil
}

func (r *Replay) announce(said []threshold.Announcement, md pmetric.Metrics) error {
	d := checker.NewDescriber(md)
	for i := range said {
		r.witness.announced(&said[i])
		d.Describe(&r.said, &said[i])
		if err := r.options.Said(&r.said); err != nil {
			return fmt.Errorf("show an announcement: %w", err)
		}
	}
	return nil
}

func (r *Replay) bad(err error) {
	switch {
	case errors.Is(err, errOther):
		r.summary.Others++
	case errors.Is(err, errNoPoints):
		r.summary.Empty++
	default:
		r.summary.Bad++
		r.options.Bad(err)
	}
}
