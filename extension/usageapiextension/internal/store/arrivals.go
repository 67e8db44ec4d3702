package store

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

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
