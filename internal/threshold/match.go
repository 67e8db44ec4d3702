package threshold

import (
	"cmp"
	"iter"
	"slices"
)

// A Matched is what is to be checked for a subject. It is shared by all subjects
// with the same rules, and never changed.
type Matched struct {
	rules   []*Rule         // sorted by id
	names   uint64          // the bits of metrics
	metrics []matchedMetric // sorted by name
	checks  []Check         // in the order of metrics
	sums    int
	windows bool
}

type matchedMetric struct {
	name     string
	from, to int32 // of checks
}

// A Check is the use that one rule makes of one metric.
type Check struct {
	Rule *Rule
	// Slot is where the points are added up in [Sums]; -1 where every point is
	// checked by itself.
	Slot int32
	// Other says that the metric is Measure.Other of the rule, not Measure.Metric.
	Other bool
}

// Attributes are those of a data point. Get returns "" for what is absent.
type Attributes interface {
	Get(key string) string
}

// Rules returns the enabled rules whose selector matches, sorted by id. It is
// not to be changed.
func (m *Matched) Rules() []*Rule { return m.rules }

// Windows reports whether any of the rules has a window, so that usage matters.
func (m *Matched) Windows() bool { return m.windows }

// Checks returns what the points of a metric are for. It is not to be changed.
func (m *Matched) Checks(metric string) []Check {
	if m.names&nameBit(metric) == 0 { // so it is for most metrics
		return nil
	}
	i, ok := slices.BinarySearchFunc(m.metrics, metric, func(m matchedMetric, name string) int { return cmp.Compare(m.name, name) })
	if !ok {
		return nil
	}
	return m.checks[m.metrics[i].from:m.metrics[i].to]
}

// Metrics visits the names of the metrics that have checks, sorted.
func (m *Matched) Metrics() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range m.metrics {
			if !yield(m.metrics[i].name) {
				return
			}
		}
	}
}

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

// nameBit returns one of 64 bits by which most names of metrics differ.
func nameBit(name string) uint64 {
	n := len(name)
	if n == 0 {
		return 1
	}
	return 1 << (uint(n+7*int(name[n-1])+31*int(name[n/2])) % 64)
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
		m.windows = m.windows || r.Window != WindowNone
		slot := int32(-1)
		if r.Measure.Sum {
			slot = int32(m.sums) //nolint:gosec // at most MaxRules
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
		next := int32(i) //nolint:gosec // at most 2*MaxRules
		if i == 0 || u.metric != uses[i-1].metric {
			m.metrics = append(m.metrics, matchedMetric{name: u.metric, from: next})
			m.names |= nameBit(u.metric)
		}
		m.metrics[len(m.metrics)-1].to = next + 1
	}
	return m
}
