package threshold

import (
	"fmt"
	"math"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Value returns a value in the rule's Unit, and the 100 % of a percentage in the
// unit of the Measure (0 where it is not known).
//
// The amount is that of the points of Measure.Metric, the other that of
// Measure.Other where there is one (else it is ignored), both converted to the
// unit of the Measure; seconds is the length of the period, which only a
// PerSecond needs. ok is false where there is no such value: nothing was
// allotted, or something is no finite number.
func (r *Rule) Value(amount, other, seconds float64) (value, limit float64, ok bool) {
	m := r.Measure
	if m.PerSecond {
		amount /= seconds
	}
	if m.Combine == Times {
		amount *= other
	}
	switch {
	case r.Type != Percentage:
		value = amount / r.Scale
	case m.Combine == Over || r.Limit > 0:
		limit = r.Limit
		if m.Combine == Over {
			limit = other
		}
		if !(limit > 0) {
			return 0, 0, false
		}
		value = percent(amount, limit)
	default:
		value = percent(amount, 1)
	}
	ok = !math.IsNaN(value) && !math.IsInf(value, 0) && !math.IsInf(limit, 0)
	return value, limit, ok
}

// percent rounds to a billionth of a percent: a utilization of 0.29 is 29 %, and
// not the 28.999999999999996 of binary fractions.
func percent(amount, limit float64) float64 {
	return math.Round(amount*100/limit*1e9) / 1e9
}

// resolve sets what follows from what the rule says is measured.
func (r *Rule) resolve() *fault {
	unitOf := &r.Unit // of the numbers that are in a unit of the metric
	if r.Type == Percentage {
		unitOf = &r.LimitUnit
	}
	r.Limit, r.Scale = 0, 1
	m, f := r.findMeasure(*unitOf)
	if f != nil {
		return f
	}
	r.Measure = m
	if r.Type == Percentage && r.LimitWritten == 0 {
		return nil
	}
	scale := 1.0
	if *unitOf != "" {
		written, ok := parseUnit(*unitOf)
		if !ok {
			return &fault{"unit", *unitOf, unknownUnit(*unitOf)}
		}
		base, _ := parseUnit(m.Unit)
		if m.PerSecond {
			base = base.perSecond()
		}
		if scale, ok = written.in(base); !ok {
			if r.Calendar() && isRate(*unitOf, m.Unit) {
				return &fault{"unit", *unitOf, "a rate is one of a period: write window: period, or an amount such as GBy"}
			}
			return &fault{"unit", *unitOf, r.unitsThatFit()}
		}
	} else if r.Resource != "" {
		return &fault{"unit", nil, "is missing: " + r.unitsThatFit()}
	}
	if r.Type == Percentage {
		r.Limit = r.LimitWritten * scale
	} else {
		r.Scale = scale
	}
	return nil
}

// findMeasure returns how the rule is measured, whose numbers are in the unit written.
func (r *Rule) findMeasure(written string) (*Measure, *fault) {
	share := r.Type == Percentage && r.LimitWritten == 0
	if r.Metric != "" {
		return r.findMetric(written, share)
	}
	t := measures[r.Resource]
	switch {
	case r.Window == WindowNone && share:
		return t.share, nil
	case r.Window == WindowNone:
		if t.level == nil {
			return nil, &fault{"type", string(r.Type), fmt.Sprintf("%s has no absolute level: write percentage without limit, or a window", r.Resource)}
		}
		return t.level, nil
	case share:
		if t.amountShare == nil {
			return nil, &fault{"limit", nil, fmt.Sprintf("is missing: %s has no allotment of its own, so say what 100 %% is", r.Resource)}
		}
		return t.amountShare, nil
	case r.Window == WindowPeriod && isRate(written, t.amount.Unit):
		return t.rate, nil
	default:
		return t.amount, nil
	}
}

func (r *Rule) findMetric(written string, share bool) (*Measure, *fault) {
	m, metered := usageMeasure(r.Metric, r.Attributes)
	switch {
	case metered && r.Window == WindowNone:
		return nil, &fault{"window", nil, fmt.Sprintf("is missing: %s is an amount, so say of what time: period, hour, day or month", r.Metric)}
	case metered && share:
		return nil, &fault{"limit", nil, fmt.Sprintf("is missing: say what 100 %% of %s is", r.Metric)}
	case metered:
		m.PerSecond = r.Window == WindowPeriod && isRate(written, m.Unit)
		return m, nil
	case r.Window != WindowNone:
		return nil, &fault{"window", string(r.Window), fmt.Sprintf("only amounts have a window, and %s is none: leave it out, or use a metric of %s*", r.Metric, usage.MetricPrefix)}
	case strings.HasPrefix(r.Metric, usage.MetricPrefix) && r.Metric != usage.MetricStatistics:
		return nil, &fault{"metric", r.Metric, "no meter has that name: see docs/thresholds.md"}
	case share:
		written = "1"
	}
	return &Measure{Metric: r.Metric, Filter: r.Attributes, Unit: written}, nil
}

// isRate reports whether written is of per second of what metric is of.
func isRate(written, metric string) bool {
	w, ok := parseUnit(written)
	m, _ := parseUnit(metric)
	return ok && w.dim == m.perSecond().dim
}

func (r *Rule) unitsThatFit() string {
	if r.Resource != "" {
		return fmt.Sprintf("units of %s are %s", r.Resource, measures[r.Resource].units)
	}
	m, _ := usageMeasure(r.Metric, nil)
	return fmt.Sprintf("%s is in %s", r.Metric, m.Unit)
}

func unknownUnit(s string) string {
	if strings.HasSuffix(s, "iB") || s == "B" || s == "KB" || s == "kB" || s == "TB" {
		return "no UCUM unit: a byte is By, so write GiBy, MiBy, GBy or kBy"
	}
	return "no UCUM unit: write one such as GiBy, GBy, By/s, s, h, % or {packet}"
}
