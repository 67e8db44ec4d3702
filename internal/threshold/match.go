package threshold

import (
	"cmp"
	"slices"
)

// A Matched is what is to be checked for a subject. It is shared by all subjects
// with the same rules, and never changed.
type Matched struct {
	rules   []*Rule // sorted by id
	metrics []string
	spans   []int32 // the checks of metrics[i] are checks[spans[i]:spans[i+1]]
	checks  []Check
	sums    int
}

// A Check is the use that one rule makes of one metric.
type Check struct {
	Rule *Rule
	// Other says that the metric is Measure.Other of the rule, not Measure.Metric.
	Other bool
	// Slot is where the points are added up in [Sums]; -1 where every point is
	// checked by itself.
	Slot int
}

// Attributes are those of a data point. Get returns "" for what is absent.
type Attributes interface {
	Get(key string) string
}

// Rules returns the enabled rules whose selector matches, sorted by id. It is
// not to be changed.
func (m *Matched) Rules() []*Rule { return m.rules }

// Checks returns what the points of a metric are for. It is not to be changed.
func (m *Matched) Checks(metric string) []Check {
	i, ok := slices.BinarySearch(m.metrics, metric)
	if !ok {
		return nil
	}
	return m.checks[m.spans[i]:m.spans[i+1]]
}

// Metrics returns the names of the metrics that have checks, sorted.
func (m *Matched) Metrics() []string { return m.metrics }

// Accepts reports whether a point with these attributes is one of the check's.
func (c *Check) Accepts(attributes Attributes) bool {
	if c.Other {
		return true
	}
	filter := c.Rule.Measure.Filter
	for i := range filter {
		if !filter[i].Values.Match(attributes.Get(filter[i].Key)) {
			return false
		}
	}
	return true
}

// newMatched groups the uses of rules, which are sorted by id, by metric.
func newMatched(rules []*Rule) *Matched {
	m := &Matched{rules: rules}
	type use struct {
		metric string
		check  Check
	}
	uses := make([]use, 0, len(rules))
	for _, r := range rules {
		slot := -1
		if r.Measure.Sum {
			slot = m.sums
			m.sums++
		}
		uses = append(uses, use{r.Measure.Metric, Check{Rule: r, Slot: slot}})
		if r.Measure.Combine != Alone {
			uses = append(uses, use{r.Measure.Other, Check{Rule: r, Other: true, Slot: slot}})
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int { return cmp.Compare(a.metric, b.metric) })
	m.checks = make([]Check, len(uses))
	for i, u := range uses {
		m.checks[i] = u.check
		if i == 0 || u.metric != uses[i-1].metric {
			m.metrics = append(m.metrics, u.metric)
			m.spans = append(m.spans, int32(i)) //nolint:gosec // at most 2*MaxRules
		}
	}
	m.spans = append(m.spans, int32(len(uses))) //nolint:gosec // as above
	return m
}
