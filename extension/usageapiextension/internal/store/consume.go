package store

import (
	"time"

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
