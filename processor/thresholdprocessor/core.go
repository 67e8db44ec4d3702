package thresholdprocessor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
)

// tickInterval is how often what ends by time alone is looked for, where no
// metrics come that say what time it is.
const tickInterval = 10 * time.Second

// startPatience is how long a start waits for rules that should be at hand.
const startPatience = 5 * time.Second

// cores are what the processors of one configuration share: one stands in several
// pipelines, and is another processor in each.
type cores struct {
	mu   sync.Mutex
	used map[*Config]*core
}

// acquire returns the core of a configuration. Each call is to be followed by one
// of its release.
func (s *cores) acquire(set processor.Settings, cfg *Config) (*core, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.used[cfg]; ok {
		c.users++
		return c, nil
	}
	c, err := newCore(set, cfg)
	if err != nil {
		return nil, err
	}
	c.users, c.forget = 1, func() (last bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.users--
		if c.users == 0 {
			delete(s.used, cfg)
		}
		return c.users == 0
	}
	if s.used == nil {
		s.used = map[*Config]*core{}
	}
	s.used[cfg] = c
	return c, nil
}

// A core is the rules and what is remembered.
type core struct {
	set       processor.Settings
	cfg       *Config
	engine    *threshold.Engine
	rules     *rulebook
	telemetry *telemetry

	users  int // guarded by cores.mu
	forget func() (last bool)

	// Those are set when the first processor starts, before anything goes through it.
	store   store
	health  *health.Reporter
	cancel  context.CancelFunc // of what runs in the background; nil before
	running sync.WaitGroup

	mu         sync.Mutex // guards all below
	started    bool
	failed     error         // why it did not start
	processors []*thresholds // those that run
	turn       *turn         // the tick under way; nil between two
}

// A turn is one tick, which goes the way of one processor.
type turn struct {
	of     *thresholds
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
}

func newCore(set processor.Settings, cfg *Config) (*core, error) {
	c := &core{set: set, cfg: cfg, engine: threshold.New(cfg.engine()), health: health.New(set.Logger, nil)}
	inline, err := cfg.inline()
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if c.rules, err = newRulebook(c, inline); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	c.telemetry, err = newTelemetry(set, c)
	return c, err
}

// start starts everything when the first processor starts.
func (c *core) start(ctx context.Context, host component.Host, p *thresholds) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		c.started = true
		c.failed = c.launch(ctx, host)
	}
	if c.failed == nil {
		c.processors = append(c.processors, p)
	}
	return c.failed
}

// launch opens what is configured. What it opened before it fails release closes.
func (c *core) launch(ctx context.Context, host component.Host) error {
	c.health = health.New(c.set.Logger, host)
	if err := c.open(ctx, host); err != nil {
		return err
	}
	c.telemetry.builder.ProcessorThresholdStorageFailures.Add(ctx, 0)
	sources, err := c.sources(ctx, host)
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.rules.follow(background, &c.running, sources, startPatience)
	c.running.Go(func() { c.ticks(background) })
	return nil
}

// ticks lets time pass.
func (c *core) ticks(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			c.tick(ctx, now)
		}
	}
}

// tick lets time pass once. What there is to say then goes the way of one of the
// processors: one configuration says one thing once, so all pipelines that it
// stands in must lead to whom it is said to.
func (c *core) tick(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	if len(c.processors) == 0 {
		c.mu.Unlock()
		return
	}
	t := &turn{of: c.processors[0], cancel: cancel, done: make(chan struct{})}
	c.turn = t
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.turn = nil
		c.mu.Unlock()
		close(t.done)
	}()
	if err := t.of.tick(ctx, now); err != nil && ctx.Err() == nil {
		c.set.Logger.Debug("announcements wait: the next consumer does not take them", zap.Error(err))
	}
}

// release ends everything with the last processor. p hands nothing on after it:
// what stands behind it may end now.
func (c *core) release(ctx context.Context, p *thresholds) error {
	c.mu.Lock()
	c.processors = slices.DeleteFunc(c.processors, func(o *thresholds) bool { return o == p })
	t := c.turn
	c.mu.Unlock()
	if t != nil && t.of == p {
		t.cancel()
		<-t.done
	}
	if !c.forget() {
		return nil
	}
	if c.cancel != nil {
		c.cancel()
		c.running.Wait()
	}
	c.flush(ctx)
	c.telemetry.shutdown()
	return c.store.close(ctx)
}

// log writes what is to be logged of what was announced.
func (c *core) log(said []threshold.Announcement) {
	for i := range said {
		a := &said[i]
		if a.Rule.Action != checker.ActionLog {
			continue
		}
		write := c.set.Logger.Warn
		if a.State == threshold.Resolved {
			write = c.set.Logger.Info
		}
		write("threshold "+string(a.State), zap.String("reason", string(a.Reason)),
			zap.String("rule", a.Rule.ID), zap.Stringer("level", a.Level), zap.String("instance", a.Subject.InstanceID),
			zap.String("user", a.Subject.UserID), zap.String("org", a.Subject.OrgID), zap.String("series", a.Series),
			zap.Float64("value", a.Value), zap.Float64("threshold", a.Threshold), zap.String("unit", a.Rule.Unit),
			zap.Stringer("episode", a.Episode), zap.Uint32("suppressed", a.Suppressed))
	}
}
