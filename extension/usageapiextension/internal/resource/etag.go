package resource

import (
	"strconv"
	"strings"
)

// Tag returns the entity tag of a version (RFC 9110, 8.8.3).
func Tag(version uint64) string { return `"` + strconv.FormatUint(version, 36) + `"` }

// Matches reports whether a list of entity tags, or *, has one. Weak ones count only where
// the comparison is weak (RFC 9110, 8.8.3.2).
func Matches(header []string, tag string, weak bool) bool {
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			item = strings.Trim(item, " \t")
			if weak {
				item = strings.TrimPrefix(item, "W/")
			}
			if item == "*" || item == tag {
				return true
			}
		}
	}
	return false
}
