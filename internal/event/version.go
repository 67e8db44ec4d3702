package event

import "fmt"

// A Version is a version of the event schema that this package writes.
type Version uint8

// The versions.
const (
	V1_0 Version = iota // whole seconds and the legacy metrics, nothing else
	V1_1                // adds identity, exact integers, quality, devices and statistics
	numVersions
)

// TypeResourceUsage is the event_type of what [AppendUsage] writes.
const TypeResourceUsage = "resource_usage"

// String returns the version as events carry it: "1.0", "1.1".
func (v Version) String() string {
	switch v {
	case V1_0:
		return "1.0"
	case V1_1:
		return "1.1"
	default:
		return "unknown"
	}
}

// ParseVersion is the inverse of String. Its error names the value and what
// would be right.
func ParseVersion(s string) (Version, error) {
	for v := range numVersions {
		if v.String() == s {
			return v, nil
		}
	}
	return 0, fmt.Errorf("unknown event version %q: use %q or %q", s, V1_0, V1_1)
}

// UnmarshalText lets a configuration hold a Version; see [ParseVersion].
func (v *Version) UnmarshalText(text []byte) error {
	parsed, err := ParseVersion(string(text))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (v Version) MarshalText() ([]byte, error) {
	if v >= numVersions {
		return nil, fmt.Errorf("event version %d has no name", uint8(v))
	}
	return []byte(v.String()), nil
}
