package threshold

import "github.com/google/uuid"

// A State is what an [Announcement] says of its episode.
type State string

// The states.
const (
	Firing   State = "firing"
	Resolved State = "resolved"
	NoneSeen State = "no_data" // nothing is measured any more; the episode stays
)

// A Reason says why an episode is over that no measurement ended.
type Reason string

// The reasons.
const (
	Measured    Reason = ""             // a measurement said so
	NotMeasured Reason = "no_data"      // nothing was measured for NoDataAfter
	Forgotten   Reason = "forgotten"    // nothing was measured for very long
	RuleRemoved Reason = "rule_removed" // or disabled, or no longer for the subject
	RuleChanged Reason = "rule_changed" // to measure something else
	WindowEnded Reason = "window_ended" // of a quota
)

// An Announcement is something to say about an episode: it began, its level
// changed, it still is, it is over.
type Announcement struct {
	// ID is the same whenever the same thing is said: UUIDv5 of rule, subject,
	// episode, state, level and count.
	ID uuid.UUID
	// Episode is the same for all announcements from the first firing to resolved:
	// UUIDv5 of rule, subject and start.
	Episode uuid.UUID

	Rule    *Rule
	Subject Subject
	Series  string // what tells the points of a metric apart (a device), or ""

	State  State
	Reason Reason // why, where that is not what was measured
	Level  Level  // of the episode now; of a resolved one what it last was
	Value  float64
	// Threshold is the value, in the rule's unit, that was passed, and Ratio is
	// Value over it (0 where Threshold is 0).
	Threshold, Ratio float64
	// Limit is the 100 % of a percentage, in the metric's own unit; 0 where it is not known.
	Limit float64

	At     int64  // unix ns of the data that led to it
	Since  int64  // unix ns at which the episode began
	Count  uint32 // 0 for the first of an episode at this level, then counts repeats
	Window Window
	// WindowStart and WindowEnd are the bounds of the quota's window, unix ns; 0 without.
	WindowStart, WindowEnd int64
	// Suppressed is how many announcements rate limits kept back since the last
	// one that was let through ("and 312 more").
	Suppressed uint32
}
