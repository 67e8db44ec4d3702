package threshold

import (
	"container/list"
	"sync"
	"time"
)

// Config bounds what an [Engine] remembers. What is 0 has the default that
// [DefaultConfig] returns.
type Config struct {
	MaxEpisodes int // rule x subject x series that are, or just were, violated
	MaxQuotas   int // rule x subject x series of which amounts are added up
	MaxStreams  int // streams that contribute to all quotas together

	// Period is how long a usage period usually is. A longer one is judged by a
	// rule of [WindowPeriod] as if its amount had come evenly. 0: one that was joined
	// from several is judged by their mean, others as they are.
	Period time.Duration

	Remember       time.Duration // how long an episode that is over is known, so that older measurements do not begin it again
	ForgetAfter    time.Duration // how long nothing is measured before an episode is over whatever NoData says
	QuotaRetention time.Duration // how long a quota is kept beyond its window when nothing is added
	MaxBackwards   time.Duration // a measurement older than the last one by more is of a clock that was set
	Limits         Limits
}

// DefaultConfig returns what is used where nothing is said.
func DefaultConfig() Config {
	return Config{
		MaxEpisodes: 100_000, MaxQuotas: 200_000, MaxStreams: 500_000,
		Remember: 10 * time.Minute, ForgetAfter: 7 * 24 * time.Hour, QuotaRetention: 48 * time.Hour, MaxBackwards: time.Hour,
		Limits: Limits{
			PerRule:  Rate{Burst: 100, Every: 6 * time.Second},
			PerOwner: Rate{Burst: 50, Every: 30 * time.Second},
			Global:   Rate{Burst: 1000, Every: time.Second},
		},
	}
}

func (c *Config) setDefaults() {
	d := DefaultConfig()
	fill(&c.MaxEpisodes, d.MaxEpisodes)
	fill(&c.MaxQuotas, d.MaxQuotas)
	fill(&c.MaxStreams, d.MaxStreams)
	fill(&c.Remember, d.Remember)
	fill(&c.ForgetAfter, d.ForgetAfter)
	fill(&c.QuotaRetention, d.QuotaRetention)
	fill(&c.MaxBackwards, d.MaxBackwards)
	fill(&c.Limits.PerRule, d.Limits.PerRule)
	fill(&c.Limits.PerOwner, d.Limits.PerOwner)
	fill(&c.Limits.Global, d.Limits.Global)
}

func fill[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// An Engine is what is remembered of violations and of amounts. Several
// processors may share one, and use it at the same time.
//
// It changes only in transactions ([Engine.Begin]). They neither wait for each
// other nor hold a lock between their calls, so that a consumer that blocks stops
// nobody else. A transaction sees what was committed and what it did itself:
//
//   - The episode that a transaction looks at is its own until it ends. Another one
//     that measures the same is told the level, and that is all: it says nothing
//     about it and leaves it to the first. This is counted (Contended). The next
//     measurement finds it free.
//   - Amounts are added when they are committed, to what is there then, unless the
//     same period was committed in between. None is lost and none counts twice. Two
//     transactions that each pass a limit say so under the same id.
//   - Tokens of rate limits are taken at the commit, too; two transactions at the same
//     time may share a token.
type Engine struct {
	cfg Config

	flushing sync.Mutex // held by Flush while it writes, before mu

	mu      sync.Mutex // guards all below; never held during I/O or a callback other than applies
	entries map[key]*entry
	quotas  map[key]*quota
	closed  *list.List // of entries that are over, in the order of their ends
	begun   int        // of those, how many began again in transactions under way
	timers  timers
	shards  [numShards]shard
	dirty   map[int]struct{}
	streams int // in all quotas
	limits  limiter
	applies func(id string, subject *Subject) *Rule // of the last Replace
	reloads uint64
	resumed int64 // of the first Tick after Restore; 0 before it
	free    []*work
	stats   Counters
}

// New returns an Engine that remembers nothing.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	return &Engine{
		cfg:     cfg,
		entries: map[key]*entry{}, quotas: map[key]*quota{}, dirty: map[int]struct{}{},
		closed: list.New(),
		limits: limiter{buckets: map[bucketKey]bucket{}, sweep: minSweep},
	}
}

// A key is a rule, who it is checked for, and what of theirs.
type key struct{ rule, subject, series string }

func (k key) less(other key) bool {
	switch {
	case k.rule != other.rule:
		return k.rule < other.rule
	case k.subject != other.subject:
		return k.subject < other.subject
	default:
		return k.series < other.series
	}
}

// An entry is an episode: as it was committed, and as the transaction has it that it belongs to.
type entry struct {
	key    key
	state  episode
	exists bool // state was committed
	tx     *Tx
	work   *episode      // of tx
	begun  bool          // state is over, and work began again
	undo   *vital        // of state, where Prepare changed it and the transaction is rolled back
	gone   Reason        // set where the rule is no longer there
	saved  int64         // state.last as it was last written
	over   *list.Element // of Engine.closed, where state is over
	spot   spot
	timer  timer
}

// now returns the episode as the transaction that it belongs to sees it, or as it was committed.
func (n *entry) now() *episode {
	if n.work != nil {
		return n.work
	}
	return &n.state
}

// there reports whether now is an episode at all.
func (n *entry) there() bool {
	if n.work != nil {
		return !n.work.removed
	}
	return n.exists
}

// admit returns a new entry, or nil where there is no room. What is over makes
// room for what is not, when that is committed.
func (e *Engine) admit(k key) *entry {
	if !e.room() {
		return nil
	}
	k = k.clone()
	n := &entry{key: k, timer: timer{index: -1}}
	n.timer.entry = n
	n.spot.shard = shardOf(k.subject)
	e.entries[k] = n
	return n
}

// drop forgets an entry.
func (e *Engine) drop(n *entry) {
	delete(e.entries, n.key)
	e.timers.remove(&n.timer)
	e.unlist(n)
	if n.exists {
		n.exists = false
		e.shards[n.spot.shard].removeEntry(n)
		e.dirty[n.spot.shard] = struct{}{}
	}
}

// room reports whether one more may be violated.
func (e *Engine) room() bool { return len(e.entries)-e.closed.Len()+e.begun < e.cfg.MaxEpisodes }

// evict makes room for what was committed.
func (e *Engine) evict() {
	for next := e.closed.Front(); next != nil && len(e.entries) > e.cfg.MaxEpisodes; {
		n := next.Value.(*entry)
		next = next.Next()
		if n.tx == nil {
			e.drop(n)
		}
	}
}

// unlist takes an entry from those that may make room.
func (e *Engine) unlist(n *entry) {
	if n.over != nil {
		e.closed.Remove(n.over)
		n.over = nil
	}
}

// Replace tells the engine that other rules are in force. applies returns the
// rule of that id if it is there, enabled, and still for the subject, and nil
// otherwise; it is kept, called with the engine's lock held, and must not call it.
//
// Episodes and amounts of rules that stayed go on. So do those of rules whose
// values changed: the next measurement is judged by the new ones. A rule that is
// gone, or measures something else now, ends its episodes: the next [Tx.Tick] says
// that they are resolved, with the reason, if it ever said that they were there.
func (e *Engine) Replace(applies func(id string, subject *Subject) *Rule) {
	e.mu.Lock()
	e.applies = applies
	e.reloads++
	e.mu.Unlock()
	for i := range e.shards { // transactions go on in between
		e.mu.Lock()
		for _, n := range e.shards[i].entries {
			e.review(n)
		}
		for _, q := range e.shards[i].quotas {
			e.reviewQuota(q)
		}
		e.mu.Unlock()
	}
}

// review judges an entry by the rules in force.
func (e *Engine) review(n *entry) {
	state := &n.state
	if state.closed {
		return
	}
	rule, why := e.inForce(n.key.rule, &state.subject, state.rule, state.measure)
	if rule != nil && rule != state.rule {
		state.rule = rule
		e.dirty[n.spot.shard] = struct{}{}
		if n.work != nil {
			n.work.rule = rule
		}
	}
	n.gone = why
	e.schedule(n)
}

// inForce returns the rule of that id that holds for a subject, or why there is
// none that measures what was measured so far, by a rule that may be the same.
func (e *Engine) inForce(id string, subject *Subject, by *Rule, measured uint64) (*Rule, Reason) {
	if e.applies == nil {
		return nil, Measured
	}
	rule := e.applies(id, subject)
	switch {
	case rule == nil:
		return nil, RuleRemoved
	case rule == by:
		return rule, Measured
	case rule.measure() != measured:
		return nil, RuleChanged
	default:
		return rule, Measured
	}
}
