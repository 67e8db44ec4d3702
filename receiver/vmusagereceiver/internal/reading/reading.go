// Package reading is what a source tells the ledger: raw cumulative counters,
// what each was born with, and the levels of the moment, for one instance.
package reading

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// An Instant is one moment on both clocks. Lengths are differences of Boot;
// Wall only labels them.
type Instant struct {
	Boot   int64  // ns of CLOCK_BOOTTIME
	BootID string // of the machine that read the clocks; Boot compares only within one boot
	Wall   int64  // unix ns of CLOCK_REALTIME
}

// A Reading is one successful sample of one instance. A source reuses it: its
// slices are valid until the source samples again.
type Reading struct {
	Instance *usage.Instance
	Flavor   usage.Flavor // GPUs below 0 is a number that is not known at the moment
	At       Instant

	Source string // host, qemu, ...
	Run    string // boot id and, for a guest, process start
	RunAt  int64  // CLOCK_BOOTTIME ns at which this run began; 0 is the boot itself

	Counters []Counters
	Levels   [NumLevels]Level
	Metered  usage.MeterSet // what the source meters for this instance, with the classes of which no device is there now; without what none of its devices offers
	Scanned  usage.MeterSet // what this sample saw: a device class is in it only when all its devices were enumerated
}

// Counters are the cumulative counters of one thing: a CPU, a disk, an
// interface, a GPU. They were born together and are reset together.
type Counters struct {
	First  usage.Meter // the meter of Values[0]; the others follow
	N      int         // how many Values are in use, 1..len(Values)
	ID     string      // unique among the counters with the same First
	Model  string
	Birth  uint64 // changes when the thing is replaced: its counters then began at 0
	Width  uint8  // bits after which the values wrap; 0 where they never do
	Resets bool   // the source is known to set them back to 0 without a new birth
	Values [usage.DeviceMeters]uint64

	// FromFirst says that nobody knows how old the values are: at first sight, and
	// when the thing comes back after a scan without it, they count from the values
	// they have then, whatever else is known of the class.
	FromFirst bool

	// Sampled says that the source integrates samples itself: the values began at
	// 0 with the birth and speak only for the time that Covered counts. Nothing
	// can be recovered from them over an outage. N is 1 then, so that each meter
	// has a Covered of its own.
	Sampled bool
	Covered uint64 // us since the birth for which there were samples; where Sampled

	// Unknown says that the thing does not offer this meter, so that nobody can say
	// what it came to: a gap, however long. Values are not looked at, and N is 1.
	Unknown bool

	// Reopened says that the source lost sight of the thing since it last had a
	// value, in a way in which the counter may have begun anew: a value that is a
	// little below the last one has. Where Resets.
	Reopened bool
}

// A LevelKind is a level that is billed over time.
type LevelKind uint8

// The levels.
const (
	MemoryUsed LevelKind = iota
	MemoryLimit
	StorageUsed
	StorageLimit
	NumLevels // how many there are; not a level
)

// A Level is an amount that holds until the next sample.
type Level struct {
	Bytes int64
	Valid bool // false where the sample did not see it, which is not zero
}
