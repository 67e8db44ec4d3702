package usage

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// A Violation is one thing to say about a rule that an instance, or an owner's
// usage as a whole, violates: it begins, its level changes, it still is, it is over.
type Violation struct {
	// Instance is whom it is about. Where Rule.Per is not [PerInstance] it is an
	// owner: ID may be empty, UserID or OrgID is not.
	Instance Instance
	Rule     ViolationRule

	// ID is the same whenever the same thing is said, and nothing else has it.
	ID uuid.UUID
	// Episode is the same for all that is said from the beginning of a violation
	// to its end.
	Episode uuid.UUID

	State ViolationState
	// Reason says why an episode is over that no measurement ended, in one word:
	// no_data, forgotten, rule_removed, rule_changed, window_ended; else empty.
	Reason string
	Level  ThresholdLevel // warning or critical; where State is [Resolved], what it was last
	Series string         // what tells the points of a metric apart, such as a device; or ""

	Value     float64 // what was measured, in Rule.Unit
	Threshold float64 // what Value passed, in Rule.Unit
	Ratio     float64 // Value over Threshold; 0 where that is 0
	Limit     float64 // the 100 % of a percentage, in the metric's own unit; 0 where it is not known

	At    int64  // unix ns of the data that led to it
	Since int64  // unix ns at which the episode began
	Count uint32 // 0 for the first of an episode at this level, then counts repeats

	// WindowStart and WindowEnd are the bounds of the window over which the usage
	// was added up, unix ns; both 0 where Rule.Window is empty.
	WindowStart, WindowEnd int64
	// Suppressed is how many announcements rate limits kept back since the last one.
	Suppressed uint32
}

// A ViolationRule is the rule as it was when it was violated.
type ViolationRule struct {
	ID          string // never empty
	Description string
	Resource    string // cpu, memory, ...; empty where Metric is named
	Metric      string // the name of a metric; empty where Resource is named
	Type        string // [PercentageRule] or [AbsoluteRule]
	Unit        string // UCUM, of Warning, Critical, Clear, and of what was measured
	Direction   string // [DirectionAbove] or [DirectionBelow]

	// Warning and Critical are the values of the levels, Clear the one at which a
	// violation ends; Has says which are there.
	Warning, Critical, Clear          float64
	HasWarning, HasCritical, HasClear bool

	Window   string // period, hour, day, month; empty where levels are checked
	Timezone string // IANA name, of hours, days and months; empty without a window
	Per      string // [PerInstance], [PerUser] or [PerOrg]: whose usage
	Action   string // what is to be done: log, notify, or a name that means something to who reads it
	Channels []string
	Labels   []Label // of the rule; no two have the same key
}

// Subject returns the key of who the violation is about: the id of the instance,
// the user or the organization.
func (v *Violation) Subject() string {
	switch v.Rule.Per {
	case PerUser:
		return v.Instance.UserID
	case PerOrg:
		return v.Instance.OrgID
	default:
		return v.Instance.ID
	}
}

// Reset empties v for reuse and keeps the memory of its slices.
func (v *Violation) Reset() {
	*v = Violation{
		Instance: Instance{Labels: v.Instance.Labels[:0]},
		Rule:     ViolationRule{Channels: v.Rule.Channels[:0], Labels: v.Rule.Labels[:0]},
	}
}

// A ViolationState is what a [Violation] says of its episode.
type ViolationState string

// The states.
const (
	Firing   ViolationState = "firing"
	Resolved ViolationState = "resolved"
	NoData   ViolationState = "no_data" // nothing is measured any more; the episode stays
)

// Closed sets of words in a [ViolationRule].
const (
	PercentageRule = "percentage"
	AbsoluteRule   = "absolute"

	DirectionAbove = "above"
	DirectionBelow = "below"

	PerInstance = "instance"
	PerUser     = "user"
	PerOrg      = "org"
)

// A ThresholdLevel is how bad it is. Its number is the value of vm.threshold.state.
type ThresholdLevel uint8

// The levels, in ascending order.
const (
	LevelOK ThresholdLevel = iota
	LevelWarning
	LevelCritical
)

var thresholdLevelNames = [...]string{"ok", "warning", "critical"}

// String returns ok, warning or critical.
func (l ThresholdLevel) String() string {
	if int(l) >= len(thresholdLevelNames) {
		return "unknown"
	}
	return thresholdLevelNames[l]
}

// ParseThresholdLevel is the inverse of String.
func ParseThresholdLevel(s string) (ThresholdLevel, bool) {
	i := slices.Index(thresholdLevelNames[:], s)
	return ThresholdLevel(max(i, 0)), i >= 0 //nolint:gosec // at most 2
}

// Check says what no violation can be, as a field and what is wrong with it; ""
// where nothing is. It is what readers of metrics and of events hold it against.
func (v *Violation) Check() (field, problem string) {
	among := func(s string, set ...string) string {
		if slices.Contains(set, s) {
			return ""
		}
		return "is " + quoted(s) + ", want " + strings.Join(set, " or ")
	}
	for _, c := range [...]struct{ field, problem string }{
		{"rule.id", problemIf(v.Rule.ID == "", "is empty")},
		{"rule", problemIf((v.Rule.Resource == "") == (v.Rule.Metric == ""), "has a resource or a metric, and not both")},
		{"rule.type", among(v.Rule.Type, PercentageRule, AbsoluteRule)},
		{"rule.direction", among(v.Rule.Direction, DirectionAbove, DirectionBelow)},
		{"rule.per", among(v.Rule.Per, PerInstance, PerUser, PerOrg)},
		{"state", among(string(v.State), string(Firing), string(Resolved), string(NoData))},
		{"level", among(v.Level.String(), LevelWarning.String(), LevelCritical.String())},
		{"value", notFinite(v.Value)},
		{"threshold", notFinite(v.Threshold)},
		{"ratio", notFinite(v.Ratio)},
		{"limit", notFinite(v.Limit)},
		{"rule.warning", notFinite(v.Rule.Warning)},
		{"rule.critical", notFinite(v.Rule.Critical)},
		{"rule.clear", notFinite(v.Rule.Clear)},
		{"time", problemIf(v.At < 0 || v.Since < 0, "is before 1970")},
		{"window", problemIf(v.WindowStart < 0 || v.WindowEnd < v.WindowStart, "ends before it starts")},
	} {
		if c.problem != "" {
			return c.field, c.problem
		}
	}
	return "", ""
}
