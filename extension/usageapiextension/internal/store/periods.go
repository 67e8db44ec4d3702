package store

import (
	"errors"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

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
