package threshold

import "time"

// A Rule is one thing that somebody wants to know. It is validated, has its
// defaults, and never changes once it is in a [Set].
//
// What every check of a point reads comes first, so that it lies together.
type Rule struct {
	// Measure, Limit and Scale follow from what is below. Limit is LimitWritten in
	// the unit of the Measure, and Scale what an absolute value in that unit is
	// divided by to be in Unit. See [Rule.Value].
	Measure *Measure // never nil in a Set
	Limit   float64
	Scale   float64

	// Warning and Critical are the values of the two levels in Unit, Clear the one
	// at which a violation ends; Has says which are there. Without Clear it ends
	// where it began.
	Warning, Critical, Clear          float64
	HasWarning, HasCritical, HasClear bool
	Direction                         Direction

	Type Type
	// Window says over what an amount is added up; WindowNone checks levels.
	Window Window
	ID     string // unique in a Set, 1 to 128 bytes

	// What is measured: a resource, or any metric by name.
	Resource   Resource
	Metric     string
	Attributes []Matcher // of the data point, all of which must match; with Metric

	// Unit is the UCUM unit of Warning, Critical and Clear. Percentages have "%"; ""
	// says that the points of a Metric are taken as they are.
	Unit string
	// LimitWritten is the 100 % of a percentage in LimitUnit, as somebody wrote it;
	// 0 where the metric has an allotment of its own.
	LimitWritten float64
	LimitUnit    string

	For            time.Duration // how long it must be so before it is said
	KeepFiringFor  time.Duration // how long it must be over before that is said
	RepeatInterval time.Duration // after how long it is said again; 0 is never
	NoData         NoData
	NoDataAfter    time.Duration // how long nothing is measured before NoData applies

	Timezone *time.Location // of hours, days and months; never nil
	Per      Per

	Enabled     bool
	Description string
	Action      string // log, notify, or a name that means something to who reads the events
	Selector    Selector
	Channels    []string
	Labels      []Label // sorted by key

	Source Source // where it was written
}

// A Source is where a rule was written.
type Source string

// The sources, by falling precedence. See [Merge].
const (
	Inline Source = "inline"
	File   Source = "file"
	HTTP   Source = "http"
	API    Source = "api"
)

// A Resource is a thing that is limited, whatever metric measures it.
type Resource string

// The resources. CPU, memory, storage and gpu are levels; with a window they
// are, as network and disk I/O always are, amounts of a period or longer.
const (
	CPU            Resource = "cpu"
	MemoryResource Resource = "memory"
	Storage        Resource = "storage"
	NetworkIngress Resource = "network_ingress"
	NetworkEgress  Resource = "network_egress"
	DiskIO         Resource = "disk_io"
	GPU            Resource = "gpu"
)

// A Type says what Warning and Critical are: shares of an allotment, or amounts.
type Type string

// The types.
const (
	Percentage Type = "percentage"
	Absolute   Type = "absolute"
)

// A Direction is the side on which a value violates.
type Direction string

// The directions.
const (
	Above Direction = "above" // at the value or above it
	Below Direction = "below" // at the value or below it
)

// A Window is a stretch of time over which usage is added up.
type Window string

// The windows. Hours, days and months are those of the calendar in the rule's time zone.
const (
	WindowNone   Window = ""
	WindowPeriod Window = "period"
	WindowHour   Window = "hour"
	WindowDay    Window = "day"
	WindowMonth  Window = "month"
)

// Per says whose usage is added up.
type Per string

// Whose usage.
const (
	PerInstance Per = "instance"
	PerUser     Per = "user"
	PerOrg      Per = "org"
)

// NoData says what becomes of a violation of which nothing is measured any more.
type NoData string

// What becomes of it.
const (
	NoDataKeep    NoData = "keep"    // it stays as it is
	NoDataResolve NoData = "resolve" // it is over
	NoDataNotify  NoData = "notify"  // that is said, once, and it stays
)

// A Level is how bad it is.
type Level uint8

// The levels, in ascending order.
const (
	OK Level = iota
	Warning
	Critical
)

// String returns ok, warning or critical.
func (l Level) String() string {
	switch l {
	case Warning:
		return "warning"
	case Critical:
		return "critical"
	default:
		return "ok"
	}
}

// A Label is a key and a value.
type Label struct{ Key, Value string }

// A Selector says which instances a rule is for. An empty matcher takes all; the
// parts that are there must all match.
type Selector struct {
	UserID, OrgID, InstanceID Values
	Labels                    []Matcher // of the instance; sorted by key
}

// Values are what a text may be: exact texts, and glob patterns (* ? [a-z]). An
// empty one takes every text, absent ones too; the pattern * takes every text
// that is there and not empty.
type Values struct {
	Exact []string // sorted
	Globs []string
}

// A Matcher is a key and what its value may be.
type Matcher struct {
	Key    string
	Values Values
}

// A Subject is who a rule is checked for.
type Subject struct {
	InstanceID, UserID, OrgID string
	Labels                    []Label // sorted by key
}

// LevelOf returns how bad a value is, in the rule's Unit, without regard to what
// was before. A value that is no number is OK.
func (r *Rule) LevelOf(value float64) Level {
	over := func(limit float64) bool {
		if r.Direction == Below {
			return value <= limit
		}
		return value >= limit
	}
	switch {
	case r.HasCritical && over(r.Critical):
		return Critical
	case r.HasWarning && over(r.Warning):
		return Warning
	default:
		return OK
	}
}
