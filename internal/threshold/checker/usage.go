package checker

import (
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// period gives a usage period to all rules that have a window.
func (c *Checker) period(p *usage.Period) error {
	for _, rule := range c.matched.Rules() {
		if rule.Window == threshold.WindowNone {
			continue
		}
		if rule.Per == threshold.PerUser && c.subject.UserID == "" || rule.Per == threshold.PerOrg && c.subject.OrgID == "" {
			continue
		}
		amount, ok := c.amount(p, rule.Measure.Metric, rule.Measure)
		if !ok {
			continue
		}
		var allotment int64
		if rule.Measure.Combine != threshold.Alone {
			if allotment, ok = c.amount(p, rule.Measure.Other, nil); !ok {
				continue
			}
		}
		level := c.tx.AddUsage(rule, &c.subject, "", threshold.Usage{
			Stream: p.Stream.ID, First: p.FirstSequence(), Sequence: p.Sequence,
			Start: p.Start, End: p.End, Amount: amount, Allotment: allotment,
		})
		c.newest = max(c.newest, p.End)
		c.whole(rule, level, p.End)
	}
	return nil
}

// amount returns how much of a metric a period has, of what the filter of the
// measure takes; ok is false where the instance has no such thing, or nothing is
// known of it: a gap is not zero.
func (c *Checker) amount(p *usage.Period, metric string, filter *threshold.Measure) (amount int64, ok bool) {
	for m := range usage.NumMeters {
		if usage.MetricPrefix+m.Info().Metric != metric || !p.Metered.Has(m) || p.Quality[m] == usage.Gap {
			continue
		}
		if filter == nil || len(filter.Filter) == 0 {
			amount += p.Usage[m]
			ok = true
			continue
		}
		class, i, device := m.Device()
		if !device {
			continue // its points have no attributes that a filter could take
		}
		for d := range p.Devices {
			if dev := &p.Devices[d]; dev.Class == class && c.takes(filter, m, dev) {
				amount += dev.Amounts[i]
			}
		}
		ok = true
	}
	return amount, ok
}

// takes reports whether the filter of a measure takes the point of a device.
func (c *Checker) takes(measure *threshold.Measure, m usage.Meter, d *usage.DeviceUsage) bool {
	for i := range measure.Filter {
		f := &measure.Filter[i]
		if !f.Values.Match(deviceAttribute(f.Key, m, d)) {
			return false
		}
	}
	return true
}

// deviceAttribute returns an attribute of the point that a device has for a meter.
func deviceAttribute(key string, m usage.Meter, d *usage.DeviceUsage) string {
	device, direction := d.Class.DeviceAttributes()
	switch key {
	case device:
		return d.ID
	case direction:
		return m.Info().Direction
	case usage.AttrHardwareModel:
		return d.Model
	default:
		return ""
	}
}
