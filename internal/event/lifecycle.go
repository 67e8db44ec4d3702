package event

import (
	_ "embed" // of the schema

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// TypeLifecycle is the event_type of what [AppendLifecycle] writes.
const TypeLifecycle = "instance_lifecycle"

// lifecycleVersion is the version of what [AppendLifecycle] writes.
const lifecycleVersion = "1.0"

// A Change is what happened to an instance. A later minor may add some.
type Change string

// The changes.
const (
	Started      Change = "started" // metering of a run of it began
	Stopped      Change = "stopped" // it is gone: no usage follows
	Paused       Change = "paused"
	Resumed      Change = "resumed"
	Resized      Change = "resized"  // vCPUs, memory or GPUs are others
	Migrated     Change = "migrated" // it runs on another host
	OwnerChanged Change = "owner_changed"
)

// A Recipient is for whom an event is. Of a change of owner there are two events.
type Recipient string

// The recipients.
const (
	ToOwner         Recipient = "owner"
	ToPreviousOwner Recipient = "previous_owner" // is not told what it is and whose from then on
)

// A Lifecycle is an instance_lifecycle event: something happened to an instance.
type Lifecycle struct {
	// Version is as written, "1.0"; may be of a later minor than this package writes.
	// AppendLifecycle does not look at it.
	Version string
	// ID is what repeats of the event share, and nothing else has.
	ID        uuid.UUID
	Change    Change
	Recipient Recipient
	At        int64 // unix ns at which it happened
	// Instance is whom it is about, after it; of what is for the previous owner it has
	// the id, the hypervisor, and that owner.
	Instance usage.Instance
	// Flavor is after it; before it in what is for the previous owner. An event says nothing
	// of storage, which changes all the time.
	Flavor   usage.Flavor
	Previous Previous
	// Stream and Sequence name the first period that shows it: the last one of what
	// stopped. Sequence is 0 where there is none.
	Stream   usage.Stream
	Sequence uint64
}

// Previous is what was before a change, of what changed, as far as it is known.
type Previous struct {
	Flavor           usage.Flavor
	UserID, OrgID    string
	HostID, HostName string

	HasFlavor, HasOwner, HasHost bool
}

//go:embed schema/instance_lifecycle-1.0.json
var lifecycleSchema string

// LifecycleSchema returns the JSON Schema (draft 2020-12) of the instance_lifecycle
// event. The caller owns the bytes.
func LifecycleSchema() []byte { return []byte(lifecycleSchema) }

// LifecycleID returns the id of the event of a change that the period of a stream with
// that sequence shows first: the UUIDv5 whose namespace is the stream's id and whose name
// is "lifecycle/change/recipient/sequence". It does not allocate.
func LifecycleID(stream uuid.UUID, c Change, to Recipient, sequence uint64) uuid.UUID {
	var buf [64 + 20 + 8]byte
	name := append(buf[:0], "lifecycle/"...)
	name = append(name, c...)
	name = append(name, '/')
	name = append(name, to...)
	name = append(name, '/')
	return NamedID(stream, appendUint(name, sequence))
}
