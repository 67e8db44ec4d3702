// Package checker holds metrics against a set of rules: it finds who they are
// of, hands what is measured to a transaction of the engine, tags what violates,
// and appends where each rule stands and what there is to say.
package checker

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Options say what a Checker adds to the metrics besides announcements.
type Options struct {
	Tag   Tag
	State bool // vm.threshold.state
	// Witness is told what rules are used. Nil: nobody is.
	Witness Witness
}

// A Witness is told which rules a Checker uses, for those who want to know more
// than counts. It keeps nothing of the subject.
type Witness interface {
	// Matched is called for each resource that is somebody's, even without rules.
	Matched(*threshold.Subject, *threshold.Matched)
	// Checked is called for each value that a rule has.
	Checked(*threshold.Rule)
}

// Counts are what a Checker did in one call.
type Counts struct {
	Evaluations int64
	Violations  [threshold.NumLevels]int64
}

// A Checker keeps its memory between calls. It is used by one goroutine at a time.
type Checker struct {
	options Options

	set     *threshold.Set
	tx      *threshold.Tx
	counts  Counts
	subject threshold.Subject
	sums    threshold.Sums
	reader  usage.Reader
	at      int64 // the newest point that was checked, of this resource
	newest  int64 // of all

	matched *threshold.Matched
	tags    []tagged // of the resource at hand: rules that are violated as a whole
	states  []usage.ThresholdState
	worst   threshold.Level // of the resource at hand
	ids     []string        // of the rules that it violates
	attrs   attributes      // of the point at hand
}

// New returns a Checker.
func New(o Options) *Checker { return &Checker{options: o} }

// Check checks all of md by the rules in set, within tx, and changes md. After
// it tx knows the time of the newest point that was checked. Neither is kept.
func (c *Checker) Check(set *threshold.Set, tx *threshold.Tx, md pmetric.Metrics) Counts {
	c.set, c.tx, c.counts, c.newest = set, tx, Counts{}, 0
	defer func() { c.set, c.tx, c.matched = nil, nil, nil }()
	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		c.resource(rms.At(i))
	}
	return c.counts
}

// Newest returns the unix ns of the newest point that the last Check checked, or 0.
func (c *Checker) Newest() int64 { return c.newest }

func (c *Checker) resource(rm pmetric.ResourceMetrics) {
	if !c.identify(rm.Resource().Attributes()) {
		return
	}
	c.matched = c.set.Match(&c.subject)
	if c.options.Witness != nil {
		c.options.Witness.Matched(&c.subject, c.matched)
	}
	if len(c.matched.Rules()) == 0 {
		return
	}
	c.sums.Reset(c.matched)
	c.tags, c.states, c.ids, c.worst, c.at = c.tags[:0], c.states[:0], c.ids[:0], threshold.OK, 0
	isUsage := c.points(rm)
	for rule, amounts := range c.sums.All() {
		if value, limit, ok := rule.Value(amounts.Amount, amounts.Other, 0); ok {
			c.whole(rule, c.tx.Observe(rule, &c.subject, "", value, limit, c.at), c.at)
		}
	}
	if isUsage && c.matched.Windows() {
		// What cannot be read is refused where it becomes an event, and said there.
		_ = c.reader.Read(rm, c.period)
	}
	c.tag(rm, isUsage)
	if c.options.State && rm.ScopeMetrics().Len() > 0 {
		slices.SortFunc(c.states, func(a, b usage.ThresholdState) int {
			return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Series, b.Series))
		})
		usage.AppendThresholdStates(rm.ScopeMetrics().At(0).Metrics(), c.states)
	}
}

// identify reads who a resource is. There is nobody without vm.id.
func (c *Checker) identify(a pcommon.Map) bool {
	s := &c.subject
	s.InstanceID, s.UserID, s.OrgID, s.Labels = text(a, usage.AttrVMID), text(a, usage.AttrUserID), text(a, usage.AttrOrgID), s.Labels[:0]
	if s.InstanceID == "" {
		return false
	}
	for _, key := range c.set.LabelKeys() {
		if v, ok := a.Get(key); ok {
			s.Labels = append(s.Labels, threshold.Label{Key: key, Value: v.AsString()})
		}
	}
	return true
}

// points checks or adds up all points for which there are checks, and reports
// whether the resource has usage.
func (c *Checker) points(rm pmetric.ResourceMetrics) (isUsage bool) {
	sms := rm.ScopeMetrics()
	for i := range sms.Len() {
		ms := sms.At(i).Metrics()
		for j := range ms.Len() {
			m := ms.At(j)
			name := m.Name()
			if usage.IsUsage(name) {
				isUsage = true
			}
			checks := c.matched.Checks(name)
			if len(checks) == 0 {
				continue
			}
			dps, ok := numbers(m)
			if !ok {
				continue
			}
			for k := range checks {
				if check := &checks[k]; check.Rule.Window == threshold.WindowNone {
					c.metric(check, m.Unit(), dps)
				}
			}
		}
	}
	return isUsage
}

// metric gives the points of a metric to one check.
func (c *Checker) metric(check *threshold.Check, unit string, dps pmetric.NumberDataPointSlice) {
	measure := check.Rule.Measure
	factor, ok := measure.Convert(unit)
	if !ok {
		return
	}
	for i := range dps.Len() {
		dp := dps.At(i)
		if dp.Flags().NoRecordedValue() {
			continue
		}
		c.attrs.m = dp.Attributes()
		if !check.Accepts(&c.attrs) {
			continue
		}
		at := int64(dp.Timestamp()) //nolint:gosec // the engine checks it
		c.at, c.newest = max(c.at, at), max(c.newest, at)
		v := number(dp) * factor
		if check.Slot >= 0 {
			c.sums.Add(check, v)
			continue
		}
		if value, limit, ok := check.Rule.Value(v, 0, 0); ok {
			series := c.series(measure)
			level := c.tx.Observe(check.Rule, &c.subject, series, value, limit, at)
			c.count(check.Rule, series, level, at)
			c.tagPoint(dp, check.Rule, level)
		}
	}
}

// whole takes the level of a rule for all points that it adds up.
func (c *Checker) whole(rule *threshold.Rule, level threshold.Level, at int64) {
	c.count(rule, "", level, at)
	if level > threshold.OK {
		c.tags = append(c.tags, tagged{rule, level})
	}
}

func (c *Checker) count(rule *threshold.Rule, series string, level threshold.Level, at int64) {
	if c.options.Witness != nil {
		c.options.Witness.Checked(rule)
	}
	c.counts.Evaluations++
	c.counts.Violations[level]++
	if level > threshold.OK {
		c.worst = max(c.worst, level)
		c.ids = append(c.ids, rule.ID)
	}
	if c.options.State {
		c.states = append(c.states, usage.ThresholdState{Rule: rule.ID, Series: series, Level: usage.ThresholdLevel(level), At: at})
	}
}

// numbers returns the points of what has numbers for points.
func numbers(m pmetric.Metric) (pmetric.NumberDataPointSlice, bool) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints(), true
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints(), true
	default:
		return pmetric.NumberDataPointSlice{}, false
	}
}

func number(dp pmetric.NumberDataPoint) float64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(dp.IntValue())
	}
	return dp.DoubleValue()
}
