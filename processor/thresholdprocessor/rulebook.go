package thresholdprocessor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/source"
)

// A rulebook is the rules in force, from all sources. A source that fails keeps
// the last good rules that it had.
type rulebook struct {
	core   *core
	active atomic.Pointer[threshold.Set]

	mu      sync.Mutex // guards all below
	layers  threshold.Layers
	silent  map[threshold.Source]bool      // sources that never said what their rules are
	current map[threshold.Source]time.Time // when each that is asked last did, or when it was asked first
}

func newRulebook(c *core, inline []*threshold.Rule) (*rulebook, error) {
	b := &rulebook{
		core:    c,
		silent:  map[threshold.Source]bool{},
		current: map[threshold.Source]time.Time{},
	}
	b.layers = b.layers.With(threshold.Inline, inline)
	rules, _ := b.layers.Merge()
	set, err := threshold.Compile(rules)
	if err != nil {
		return nil, err
	}
	b.active.Store(set)
	return b, nil
}

// set returns the rules in force.
func (b *rulebook) set() *threshold.Set { return b.active.Load() }

// follow takes what sources deliver until ctx ends. It returns when each of those
// that are at hand said what there is, so that their rules are in force from the
// first metrics on, or when patience is at its end: metering does not wait for rules.
func (b *rulebook) follow(ctx context.Context, running *sync.WaitGroup, sources []source.Source, patience time.Duration) {
	b.mu.Lock()
	for _, s := range sources {
		from := threshold.Source(s.Name())
		b.silent[from] = true
		if from != threshold.API { // which tells what changes, and is not asked
			b.current[from] = time.Now()
		}
		b.core.telemetry.expect(ctx, from)
	}
	b.mu.Unlock()
	if len(sources) == 0 {
		b.core.engine.Replace(b.set().Applies)
	}
	b.core.telemetry.rules(ctx, b.set())
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for _, s := range sources {
		first := make(chan struct{})
		once := sync.OnceFunc(func() { close(first) })
		running.Go(func() {
			s.Run(ctx, func(u source.Update) {
				b.update(ctx, threshold.Source(s.Name()), u)
				once()
			})
		})
		if s.Name() != string(threshold.HTTP) { // which may take long; its copy is there at once
			select {
			case <-first:
			case <-enough.C:
				b.core.set.Logger.Warn("the collector starts before rules are known", zap.String("source", s.Name()))
				enough.Reset(0) // nor is another one waited for
			}
		}
	}
}

// update takes what a source delivered.
func (b *rulebook) update(ctx context.Context, from threshold.Source, u source.Update) {
	what := "rules from " + string(from)
	if u.Err != nil {
		b.fail(ctx, from, u.Err)
		return
	}
	if err := b.replace(ctx, from, u.Rules, !u.Stale); err != nil {
		b.fail(ctx, from, err)
		return
	}
	if !u.Stale {
		b.core.health.Report(what, nil)
	}
}

// fail tells that a source has nothing of use.
func (b *rulebook) fail(ctx context.Context, from threshold.Source, err error) {
	logger := b.core.set.Logger
	if doc, ok := errors.AsType[*threshold.DocumentError](err); ok {
		for i := range doc.Problems {
			p := &doc.Problems[i]
			logger.Error("a rule cannot be used; all rules of this source stay as they were", zap.String("source", string(from)),
				zap.Int("line", p.Line), zap.String("rule", p.Rule), zap.String("key", p.Key), zap.String("problem", p.Message()))
		}
	}
	b.core.telemetry.loadError(ctx, from)
	b.core.health.Report("rules from "+string(from), err)
}

// replace puts the rules of a source into force.
func (b *rulebook) replace(ctx context.Context, from threshold.Source, rules []*threshold.Rule, fresh bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	layers := b.layers.With(from, b.set().Keep(rules))
	merged, shadowed := layers.Merge()
	set, err := threshold.Compile(merged)
	if err != nil {
		return err
	}
	diff := set.Diff(b.set())
	set.Warm(b.set()) // or the first batches would wait until everybody is looked up
	b.layers = layers
	delete(b.silent, from)
	if fresh && from != threshold.API {
		b.current[from] = time.Now()
	}
	b.active.Store(set)
	if len(b.silent) == 0 {
		// Before all sources have spoken nobody knows which rules are gone.
		b.core.engine.Replace(set.Applies)
	}
	b.core.telemetry.rules(ctx, set)
	b.tell(from, set, diff, shadowed)
	return nil
}

func (b *rulebook) tell(from threshold.Source, set *threshold.Set, diff threshold.Diff, shadowed []threshold.Shadowed) {
	logger := b.core.set.Logger
	logger.Info("rules are in force", zap.String("source", string(from)), zap.Int("rules", set.Len()),
		zap.Int("added", len(diff.Added)), zap.Int("changed", len(diff.Changed)), zap.Int("removed", len(diff.Removed)))
	for _, s := range shadowed[:min(len(shadowed), 10)] {
		logger.Warn("a rule does not hold: another source has one with the same id",
			zap.String("rule", s.Rule.ID), zap.String("source", string(s.Rule.Source)), zap.String("by", string(s.By)))
	}
	if more := len(shadowed) - 10; more > 0 {
		logger.Warn("more rules do not hold for the same reason", zap.Int("rules", more))
	}
}

// confirmed tells that a source was asked and has nothing new.
func (b *rulebook) confirmed(from threshold.Source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current[from] = time.Now()
}

// ages returns how long ago each source said what its rules are.
func (b *rulebook) ages() map[threshold.Source]time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	ages := make(map[threshold.Source]time.Duration, len(b.current))
	for s, at := range b.current {
		ages[s] = time.Since(at)
	}
	return ages
}
