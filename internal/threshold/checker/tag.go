package checker

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// A Tag says what is marked of what violates a rule.
type Tag string

// What is marked.
const (
	TagPoint    Tag = "data_point" // the points themselves
	TagResource Tag = "resource"   // the resource, which is then another one to most backends
	TagNone     Tag = "none"
)

// ParseTag returns the tag of that name.
func ParseTag(s string) (Tag, error) {
	t := Tag(s)
	if !slices.Contains([]Tag{TagPoint, TagResource, TagNone}, t) {
		return "", fmt.Errorf("%q: use %s, %s or %s", s, TagPoint, TagResource, TagNone)
	}
	return t, nil
}

// The attributes of what violates a rule.
const (
	tagPrefix = "threshold."
	AttrLevel = tagPrefix + "level" // string: warning or critical, the worst of the rules
	AttrRules = tagPrefix + "rules" // strings: the ids of the rules
)

// tagged is a rule that is violated by all points that it adds up.
type tagged struct {
	rule  *threshold.Rule
	level threshold.Level
}

// tag marks what violates as a whole. The resource of usage is never marked: it
// becomes part of an event, and the same event is to be the same whenever it is made.
func (c *Checker) tag(rm pmetric.ResourceMetrics, isUsage bool) {
	switch {
	case c.worst == threshold.OK:
	case c.options.Tag == TagResource && !isUsage:
		a := rm.Resource().Attributes()
		a.PutStr(AttrLevel, c.worst.String())
		slices.Sort(c.ids)
		ids := a.PutEmptySlice(AttrRules)
		for _, id := range slices.Compact(c.ids) {
			ids.AppendEmpty().SetStr(id)
		}
	case c.options.Tag == TagPoint && len(c.tags) > 0:
		c.tagPoints(rm)
	}
}

// tagPoints marks the points that rules add up.
func (c *Checker) tagPoints(rm pmetric.ResourceMetrics) {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			dps, ok := numbers(m)
			if !ok {
				continue
			}
			for i := range c.tags {
				t := &c.tags[i]
				if t.rule.Measure.Metric != m.Name() {
					continue
				}
				check := threshold.Check{Rule: t.rule}
				for _, dp := range dps.All() {
					c.attrs.m = dp.Attributes()
					if check.Accepts(&c.attrs) {
						putTag(dp.Attributes(), t.rule.ID, t.level)
					}
				}
			}
		}
	}
}

// tagPoint marks a point that violates by itself.
func (c *Checker) tagPoint(dp pmetric.NumberDataPoint, rule *threshold.Rule, level threshold.Level) {
	if level > threshold.OK && c.options.Tag == TagPoint {
		putTag(dp.Attributes(), rule.ID, level)
	}
}

func putTag(a pcommon.Map, rule string, level threshold.Level) {
	if was, ok := a.Get(AttrLevel); !ok || was.Str() != threshold.Critical.String() {
		a.PutStr(AttrLevel, level.String())
	}
	rules, ok := a.Get(AttrRules)
	if !ok || rules.Type() != pcommon.ValueTypeSlice {
		a.PutEmptySlice(AttrRules).AppendEmpty().SetStr(rule)
		return
	}
	for _, v := range rules.Slice().All() {
		if v.Str() == rule {
			return
		}
	}
	rules.Slice().AppendEmpty().SetStr(rule)
}
