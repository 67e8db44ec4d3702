package checker

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// attributes are those of a point as rules ask for them.
type attributes struct{ m pcommon.Map }

// Get returns the text of an attribute, "" where it is absent.
func (a *attributes) Get(key string) string { return text(a.m, key) }

func text(m pcommon.Map, key string) string {
	v, ok := m.Get(key)
	switch {
	case !ok:
		return ""
	case v.Type() == pcommon.ValueTypeStr:
		return v.Str()
	default:
		return v.AsString()
	}
}

// series returns what tells the point at hand from others of its metric: the
// attribute that the measure names, or all of them, in order, without what tags add.
func (c *Checker) series(m *threshold.Measure) string {
	if m.Series != "" {
		return bounded(c.attrs.Get(m.Series))
	}
	n, last := 0, ""
	for k, v := range c.attrs.m.All() {
		if !strings.HasPrefix(k, tagPrefix) {
			n++
			last = k + "=" + v.AsString()
		}
	}
	if n <= 1 {
		return bounded(last)
	}
	return c.allAttributes()
}
