package store

import (
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A Reason says why something was left out. Those of periods are [usage.Reason]s.
type Reason string

// The reasons.
const (
	ReasonNoInstance Reason = "no_instance" // levels or usage without a vm.id
	ReasonInstances  Reason = "instances"   // there are too many
	ReasonBytes      Reason = "bytes"       // all, or those of one, take too much memory

	reasonGone Reason = "gone" // it went before: nothing to tell
)

const (
	maxIdentity = 16 << 10 // bytes of names, owners and labels of an instance
	maxDevices  = 1024     // of a class, of an instance
	maxStates   = 256      // of an instance
	// stateRetain is how long a state holds that is not said again: its rule is gone.
	stateRetain = 5 * time.Minute
	// distrust is after how long without newer levels older ones are taken: a clock
	// was ahead, and was set.
	distrust = time.Minute
)

// Counts are what became of a batch.
type Counts struct {
	Stored, Repeated int            // periods
	Unusable         map[Reason]int // nil where there is nothing
}

func (c *Counts) unusable(r Reason) {
	if r == reasonGone {
		return
	}
	if c.Unusable == nil {
		c.Unusable = map[Reason]int{}
	}
	c.Unusable[r]++
}

// reader reads one batch.
type reader struct {
	periods    usage.Reader
	violations usage.ViolationReader
}

// Consume takes in levels, usage, and the states of rules. It keeps nothing of md.
func (s *Store) Consume(md pmetric.Metrics) (n Counts) {
	r := s.readers.Get().(*reader)
	defer s.readers.Put(r)
	took := false
	for _, rm := range md.ResourceMetrics().All() {
		took = s.resource(r, rm, &n) || took
	}
	if took {
		s.tell()
	}
	return n
}

// kinds are what there is of a resource.
type kinds struct{ levels, usage, states, violations bool }

func kindsOf(rm pmetric.ResourceMetrics) (k kinds, newest int64) {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			switch name := m.Name(); {
			case usage.IsUsage(name):
				k.usage = true
			case name == usage.MetricThresholdState:
				k.states = true
			case name == usage.MetricViolation:
				k.violations = true
			case isLevel(name):
				k.levels = true
				dps, n := numbers(m)
				for i := range n {
					newest = max(newest, int64(dps.At(i).Timestamp())) //nolint:gosec // compared only
				}
			}
		}
	}
	return k, newest
}

// resource takes in one resource and reports whether anything changed.
func (s *Store) resource(r *reader, rm pmetric.ResourceMetrics, n *Counts) bool {
	k, at := kindsOf(rm)
	if k == (kinds{}) {
		return false
	}
	attrs := rm.Resource().Attributes()
	id := ""
	if v, ok := attrs.Get(usage.AttrVMID); ok {
		id = v.AsString()
	}
	changed := false
	if k.usage {
		changed = s.periodsOf(r, rm, n)
	}
	switch {
	case id == "" && k.levels:
		n.unusable(ReasonNoInstance)
	case id == "":
		// States and violations of an owner as a whole.
	case k.levels || k.states:
		changed = s.levelsOf(rm, id, at, k, n) || changed
	}
	if k.violations && id != "" {
		changed = s.violationsOf(r, rm, id) || changed
	}
	return changed
}

// update calls f with the data of an instance, which f may change, and counts its
// size. f reports whether it changed anything. What does not fit any more is
// reduced to what is known of the instance as a whole.
func (s *Store) update(e *Entry, f func(*Data) bool) (changed, fits bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead {
		return false, true
	}
	if changed = f(&e.data); !changed {
		return false, true
	}
	e.data.touched = s.settings.Now()
	e.data.Version = s.version.Add(1)
	size := e.sizeLocked()
	fits = true
	if s.bytes.Add(size-e.size) > s.settings.MaxBytes && size > e.size {
		l := &e.data.Levels
		l.Disks, l.Interfaces, l.Filesystems, l.GPUs = nil, nil, nil, nil
		e.data.States = nil
		less := e.sizeLocked()
		s.bytes.Add(less - size)
		size, fits = less, false
	}
	e.size = size
	return true, fits
}

// levelsOf takes in levels and states.
func (s *Store) levelsOf(rm pmetric.ResourceMetrics, id string, at int64, k kinds, n *Counts) bool {
	if identitySize(rm.Resource().Attributes()) > maxIdentity {
		n.unusable(ReasonBytes)
		return false
	}
	if !k.levels && s.Get(id) == nil {
		return false // states alone say nothing of an instance
	}
	e, reason := s.entry(id, at)
	if e == nil {
		n.unusable(reason)
		return false
	}
	left := 0
	changed, fits := s.update(e, func(d *Data) (changed bool) {
		now := s.settings.Now()
		if k.levels && (at >= d.Levels.At || now.Sub(d.arrived) > distrust) {
			if at != d.Levels.At {
				d.begin(at, now)
				d.identify(rm.Resource().Attributes())
			}
			left += d.Levels.take(rm)
			d.marks()
			changed = true
			s.arrived.Store(d.arrived.UnixNano())
		}
		if k.states {
			more, over := d.takeStates(rm)
			left += over
			changed = more || changed
		}
		return changed
	})
	if left > 0 || !fits {
		n.unusable(ReasonBytes)
	}
	return changed
}

// begin makes room for newer levels.
func (d *Data) begin(at int64, now time.Time) {
	if d.regular {
		d.interval = interval(d.interval, now.Sub(d.arrived))
	}
	d.regular = !d.arrived.IsZero() // the first levels of a receiver come between two ticks
	d.arrived = now
	d.Levels.begin(at)
	d.expireStates(at)
}

// interval is at which interval levels come, after the one that was, and how long it took
// now: neither one that is missed nor one between two ticks, as after a restart of the
// receiver, changes it much at once.
func interval(was, now time.Duration) time.Duration {
	if was <= 0 {
		return now
	}
	return min(max(now, was-was/8), was+was/4)
}

// identify takes over who the instance is and whose.
func (d *Data) identify(a pcommon.Map) {
	user, org := d.Instance.UserID, d.Instance.OrgID
	read(&d.Instance, a)
	if d.Levels.previous > 0 && (user != d.Instance.UserID || org != d.Instance.OrgID) {
		d.handedOver = d.Levels.previous
	}
}

// identitySize is how long names, owners and labels are.
func identitySize(a pcommon.Map) int {
	n := 0
	for k, v := range a.All() {
		n += len(k)
		if v.Type() == pcommon.ValueTypeStr {
			n += len(v.Str())
		} else {
			n += len(v.AsString())
		}
	}
	return n
}

// periodsOf takes in usage.
func (s *Store) periodsOf(r *reader, rm pmetric.ResourceMetrics, n *Counts) (changed bool) {
	if identitySize(rm.Resource().Attributes()) > maxIdentity {
		n.unusable(ReasonBytes)
		return false
	}
	err := r.periods.Read(rm, func(p *usage.Period) error {
		changed = s.period(p, rm.Resource().Attributes(), n) || changed
		return nil
	})
	for _, e := range all(err) {
		if bad, ok := errors.AsType[*usage.PeriodError](e); ok {
			n.unusable(Reason(bad.Reason))
		}
	}
	return changed
}

// all returns the errors that err joins.
func all(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// period takes in a period that is newer than the last.
func (s *Store) period(p *usage.Period, attrs pcommon.Map, n *Counts) bool {
	e := s.Get(p.Instance.ID)
	if e == nil && p.Final {
		n.Repeated++ // it is gone already, or was never seen
		return false
	}
	if e == nil {
		var reason Reason
		if e, reason = s.entry(p.Instance.ID, p.End); e == nil {
			n.unusable(reason)
			if reason == reasonGone {
				n.Repeated++
			}
			return false
		}
	}
	stored, fits := s.update(e, func(d *Data) bool {
		if d.Closed != nil && !newer(p, d.Closed) {
			return false
		}
		if d.Levels.At < p.End { // else the levels say it better
			read(&d.Instance, attrs)
		}
		d.close(p)
		s.arrived.Store(s.settings.Now().UnixNano())
		return true
	})
	if !stored {
		n.Repeated++
		return false
	}
	n.Stored++
	if !fits {
		n.unusable(ReasonBytes)
	}
	if p.Final {
		s.drop(e, p.End)
	}
	return true
}

// newer orders the periods of an instance: by when their stream began, the stream, the
// sequence. Whatever the order in which they come, the last one stays.
func newer(p *usage.Period, c *Closed) bool {
	switch {
	case p.Stream.ID == c.StreamID:
		return p.Sequence > c.Sequence
	case p.Stream.Start != c.StreamStart:
		return p.Stream.Start > c.StreamStart
	default:
		return strings.Compare(string(p.Stream.ID[:]), string(c.StreamID[:])) > 0
	}
}

// close takes over a period.
func (d *Data) close(p *usage.Period) {
	c := d.Closed
	if c == nil {
		c = &Closed{}
		d.Closed = c
	}
	*c = Closed{
		UserID: keep(d.Instance.UserID, p.Instance.UserID), OrgID: keep(d.Instance.OrgID, p.Instance.OrgID),
		Flavor: p.Flavor, StreamID: p.Stream.ID, StreamStart: p.Stream.Start,
		Sequence: p.Sequence, Joined: p.Joined, Start: p.Start, End: p.End, Duration: p.Duration,
		Metered: p.Metered, Usage: p.Usage, Totals: p.Totals,
		Quality: p.Quality, Coverage: p.LeastCoverage(), Stats: p.Stats, ClockStepped: p.ClockStepped,
	}
	d.Levels.unmark()
	d.marks()
}
