package event

import (
	_ "embed" // of the schemas

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// TypeThresholdViolation is the event_type of what [AppendViolation] writes.
const TypeThresholdViolation = "threshold_violation"

// A Violation is a decoded threshold_violation event: first what every version
// has, then what 1.1 added.
type Violation struct {
	Version    string // as written, "1.1"; may be of a later minor than this package writes
	Timestamp  int64  // unix s: the time of the data that led to it, rounded down
	InstanceID string // may be empty where Config.Per is not instance
	UserID     string // empty where there is none
	// Config is the rule. 1.0 does not have its time zone.
	Config usage.ViolationRule

	CurrentValue   float64 // what was measured, in Config.Unit
	ThresholdValue float64 // what it passed, in Config.Unit
	Percentage     float64 // CurrentValue in percent of ThresholdValue; 0 where that is 0

	// ID is what repeats of the event share, and nothing else has. Zero in 1.0.
	ID uuid.UUID
	// Exact is all of it. Nil in 1.0. What a later minor added is not in it.
	Exact *usage.Violation
}

//go:embed schema/threshold_violation-1.0.json
var violationSchema10 string

//go:embed schema/threshold_violation-1.1.json
var violationSchema11 string

// ViolationSchema returns the JSON Schema (draft 2020-12) of the
// threshold_violation event of version v. The caller owns the bytes. It panics
// where v is not a version.
func ViolationSchema(v Version) []byte {
	return []byte([...]string{V1_0: violationSchema10, V1_1: violationSchema11}[v])
}
