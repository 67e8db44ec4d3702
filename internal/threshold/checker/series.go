package checker

import (
	"slices"
	"strings"
)

// maxSeries bounds the text of a series.
const maxSeries = 512

// allAttributes returns the attributes of the point at hand as key=value, sorted
// and joined by commas.
func (c *Checker) allAttributes() string {
	var parts []string
	for k, v := range c.attrs.m.All() {
		if !strings.HasPrefix(k, tagPrefix) {
			parts = append(parts, k+"="+v.AsString())
		}
	}
	slices.Sort(parts)
	s := strings.Join(parts, ",")
	if len(s) > maxSeries {
		s = s[:maxSeries]
	}
	return s
}
