package checker

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSeries bounds the text of a series, in bytes.
const maxSeries = 512

// bounded returns s, or where it is too long its beginning and a hash of all of
// it: two that differ in the end are two.
func bounded(s string) string {
	if len(s) <= maxSeries {
		return s
	}
	h := fnv.New64a()
	h.Write([]byte(s))
	cut := maxSeries - 17
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s#%016x", s[:cut], h.Sum64())
}

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
	return bounded(strings.Join(parts, ","))
}
