package resource

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
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

// TagOf returns the entity tag of a version that is shown together with what is no part of it: the
// tag tells states of that apart, too.
func TagOf(version uint64, shown []byte) string {
	return `"` + strconv.FormatUint(version, 36) + "-" + strconv.FormatUint(xxhash.Sum64(shown), 36) + `"`
}

// MatchesVersion reports whether a list of strong tags by [TagOf] has one of a version, whatever was
// shown with it: that is not what who changes the thing goes by.
func MatchesVersion(header []string, version uint64) bool {
	own := strings.TrimSuffix(Tag(version), `"`)
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			item = strings.Trim(item, " \t")
			rest, ok := strings.CutPrefix(item, own)
			if ok && rest != "" && (rest[0] == '-' || rest == `"`) {
				return true
			}
		}
	}
	return false
}
