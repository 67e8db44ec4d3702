package feed

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A Batch is events that are written together: a *[webhook.Batch].
type Batch interface {
	// Offer adds an event if it is new and some hook takes it; only then it calls payload.
	Offer(e *webhook.Event, m webhook.Mark, payload func(dst []byte) []byte) webhook.Outcome
	Known(key [16]byte) (m webhook.Mark, ok bool)
	Set(m webhook.Mark)
	Commit(ctx context.Context)
}

// Settings of a [Feed].
type Settings struct {
	// Wants reports whether some hook may take events of a type; Begin begins a batch, before
	// whose Commit nobody else begins one. Both are the engine's:
	//
	//	Wants: engine.Wants, Begin: func() feed.Batch { return engine.Begin() },
	Wants func(t webhook.Type) bool
	Begin func() Batch
	// Store has the levels of instances.
	Store *store.Store
	// MetricsInterval is how often the levels of an instance are told at most; 0 is always
	// when there are new ones. Intervals are aligned: of each the first levels are told.
	MetricsInterval time.Duration
	// MaxInstances bounds for how many instances is remembered which levels were told: that of
	// the store. At least 1.
	MaxInstances int
}

// A Feed tells hooks of what comes in. It is safe for concurrent use.
//
// Locks: the engine is locked from the beginning of a batch to its end, and entries of the store
// are read within; never the other way round.
type Feed struct {
	settings Settings
	readers  sync.Pool // of *reader
	levels   uuid.UUID // namespace of ids

	// unwatched says that something may have come in of which no lifecycle was made.
	unwatched atomic.Bool

	mu   sync.Mutex
	told map[string]int64 // by instance: which interval the levels are of that were told last
}

// New returns a Feed that has told nothing.
func New(s Settings) *Feed {
	f := &Feed{
		settings: s, told: map[string]int64{},
		levels: uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:vmusage:event:metrics")),
	}
	f.readers.New = func() any { return newReader(f) }
	return f
}

// Counts are what became of a batch.
type Counts struct {
	// Unusable are violations that could not be read; nil where there are none. Such periods
	// are the store's to count.
	Unusable map[usage.Reason]int
}

// wanted are the types of which hooks want to hear.
type wanted struct{ usage, lifecycle, violations, metrics bool }

// Consume makes events of what hooks want to hear of, and offers them. The store has taken
// md in before. It never fails: what is not accepted is not wanted, or known. It keeps
// nothing of md.
func (f *Feed) Consume(ctx context.Context, md pmetric.Metrics) Counts {
	w := wanted{
		usage: f.settings.Wants(webhook.ResourceUsage), lifecycle: f.settings.Wants(webhook.InstanceLifecycle),
		violations: f.settings.Wants(webhook.ThresholdViolation), metrics: f.settings.Wants(webhook.Metrics),
	}
	if !w.lifecycle && !f.unwatched.Load() {
		f.unwatched.Store(true)
	}
	if w == (wanted{}) {
		return Counts{}
	}
	r := f.readers.Get().(*reader)
	defer f.readers.Put(r)
	r.wanted, r.counts = w, Counts{}
	for _, rm := range md.ResourceMetrics().All() {
		r.resource(rm)
	}
	if r.batch != nil {
		r.batch.Commit(ctx)
		r.batch = nil
	}
	return r.counts
}

// A reader makes events of one batch. What it hands to payloads is in its fields, so that
// offering costs no closure.
type reader struct {
	feed   *Feed
	wanted wanted
	counts Counts
	batch  Batch  // nil until there is something to offer
	epoch  uint16 // of lifecycles; valid with batch

	periods    usage.Reader
	violations usage.ViolationReader

	event     webhook.Event
	period    *usage.Period
	violation *usage.Violation
	lifecycle event.Lifecycle
	entry     *store.Entry
	data      *store.Data

	visitPeriod                                         func(*usage.Period) error
	visitViolation                                      func(*usage.Violation) error
	visitLevels                                         func(*store.Data)
	usageBody, violationBody, lifecycleBody, levelsBody func(dst []byte) []byte
}

func newReader(f *Feed) *reader {
	r := &reader{feed: f}
	r.visitPeriod, r.visitViolation, r.visitLevels = r.offerPeriod, r.offerViolation, r.offerLevels
	r.bodies()
	return r
}

// open begins the batch where none is open.
func (r *reader) open() {
	if r.batch != nil {
		return
	}
	r.batch = r.feed.settings.Begin()
	if r.wanted.lifecycle {
		r.epoch = r.watch()
	}
}

// resource offers what there is of one resource.
func (r *reader) resource(rm pmetric.ResourceMetrics) {
	periods, violations := false, false
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			name := m.Name()
			periods = periods || usage.IsUsage(name)
			violations = violations || name == usage.MetricViolation
		}
	}
	if periods && (r.wanted.usage || r.wanted.lifecycle) {
		r.open()
		_ = r.periods.Read(rm, r.visitPeriod) // the store counts what cannot be read
	}
	if violations && r.wanted.violations {
		r.open()
		r.unusable(r.violations.Read(rm, r.visitViolation))
	}
	if r.wanted.metrics {
		r.levels(rm)
	}
}

// unusable counts the errors that err joins.
func (r *reader) unusable(err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, e := range joined.Unwrap() {
		if bad, ok := errors.AsType[*usage.ViolationError](e); ok {
			if r.counts.Unusable == nil {
				r.counts.Unusable = map[usage.Reason]int{}
			}
			r.counts.Unusable[bad.Reason]++
		}
	}
}

// about makes the event one of an instance.
func (r *reader) about(t webhook.Type, id uuid.UUID, at int64, i *usage.Instance) *webhook.Event {
	r.event = webhook.Event{
		ID: id, Type: t, At: at, InstanceID: i.ID, UserID: i.UserID, OrgID: i.OrgID, Labels: i.Labels,
	}
	return &r.event
}

func (r *reader) offerPeriod(p *usage.Period) error {
	r.period = p
	if r.wanted.usage {
		e := r.about(webhook.ResourceUsage, event.ID(p), p.End, &p.Instance)
		r.batch.Offer(e, webhook.Mark{Key: p.Stream.ID, Sequence: p.Sequence}, r.usageBody)
	}
	if r.wanted.lifecycle {
		r.live(p)
	}
	return nil
}

func (r *reader) offerViolation(v *usage.Violation) error {
	r.violation = v
	e := r.about(webhook.ThresholdViolation, v.ID, v.At, &v.Instance)
	if v.State != usage.Resolved {
		e.Level = v.Level
	}
	// What an owner uses as a whole is that owner's alone, whatever else is known of whom it
	// is about: an organization does not see what a user of it has elsewhere.
	switch v.Rule.Per {
	case usage.PerUser:
		e.InstanceID, e.OrgID = "", ""
	case usage.PerOrg:
		e.InstanceID, e.UserID = "", ""
	}
	r.batch.Offer(e, webhook.Mark{Key: v.ID, Sequence: 1}, r.violationBody)
	return nil
}

// levelsID is the id of the event of levels: the UUIDv5 whose name is "instance/at", at in
// unix ns.
func (f *Feed) levelsID(instance string, at int64) uuid.UUID {
	var buf [128]byte
	name := append(append(buf[:0], instance...), '/')
	return event.NamedID(f.levels, strconv.AppendInt(name, at, 10))
}
