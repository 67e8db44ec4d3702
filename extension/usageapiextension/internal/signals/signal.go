package signals

import (
	"strings"
	"time"
)

// A Name is what may be wrong.
type Name string

// The names.
const (
	BreakerOpen    Name = "breaker_open"    // an exporter leaves Kafka alone because it cannot be reached
	DeadLetters    Name = "dead_letters"    // something was written to the dead-letter topic of late
	StaleMetering  Name = "stale_metering"  // instances send nothing any more
	OutboxGrowing  Name = "outbox_growing"  // usage waits to be taken for too long, or too much of it
	StorageFailing Name = "storage_failing" // state cannot be written or read
	SourceFailing  Name = "source_failing"  // a source of readings cannot be read, or not all of it
)

// Names returns all names.
func Names() []Name {
	return []Name{BreakerOpen, DeadLetters, OutboxGrowing, SourceFailing, StaleMetering, StorageFailing}
}

// lasts is for how long what is said once holds; what is not here holds until it is said
// not to. Letters are written in an instant: nothing happens when no more are.
func (n Name) lasts() time.Duration {
	if n == DeadLetters {
		return 5 * time.Minute
	}
	return 0
}

// A Signal is that something is wrong with a component, or is not any more.
type Signal struct {
	Source string // the id of the component, such as vm_usage/host
	Name   Name
	Active bool
	At     time.Time // when it became so
	Detail string    // for people; at most maxDetail bytes
}

const maxDetail = 512

// cut returns what fits of the beginning of a text, as valid UTF-8 in one line.
func cut(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxDetail)], "")
	return strings.Join(strings.Fields(text), " ")
}
