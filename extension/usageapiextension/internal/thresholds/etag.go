package thresholds

import (
	"strconv"
	"strings"
)

// tag returns the entity tag of a version (RFC 9110, 8.8.3).
func tag(version uint64) string { return `"` + strconv.FormatUint(version, 36) + `"` }

// matches reports whether a list of entity tags, or *, has that of a version. Weak ones
// count only where the comparison is weak (RFC 9110, 8.8.3.2).
func matches(header []string, version uint64, weak bool) bool {
	own := tag(version)
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			item = strings.Trim(item, " \t")
			if weak {
				item = strings.TrimPrefix(item, "W/")
			}
			if item == "*" || item == own {
				return true
			}
		}
	}
	return false
}
