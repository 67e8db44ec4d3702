package webhook

import (
	"context"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// Settings of an Engine.
type Settings struct {
	Limits   Limits
	Schedule Schedule

	// Send makes one request. It returns soon after ctx ended.
	Send func(ctx context.Context, r outbound.Request) outbound.Outcome
	// Owns reports whether a hook's owner, who is no admin, sees what belongs to a user
	// and an organization. It implies that one of the two is the owner's own. It answers without
	// waiting, and is asked when an event comes and again when it is delivered.
	Owns func(o Owner, userID, orgID string) bool
	// Storage keeps hooks and deliveries; nil for memory alone.
	Storage Storage
	// Observe is told of what happens.
	Observe Observer
	// Jitter returns numbers from -1 to 1.
	Jitter func() float64
	// UserAgent names the sender.
	UserAgent string
}

// Limits bound what the engine takes on.
type Limits struct {
	Hooks, PerOwner int // registrations, and those of one owner who is no admin

	Workers     int // requests at a time; endpoints that fail or are slow have half of them
	Concurrency int // of one endpoint
	Burst       int // requests to one endpoint at once, and one more each Every; negative for no limit
	Every       time.Duration

	PerHook int           // deliveries that wait for one hook; the oldest go
	Pending int           // that wait for all
	Age     time.Duration // for how long one waits

	History      int   // deliveries of a hook that are remembered when they are finished
	HistoryBytes int64 // of their payloads, of all hooks
	Memory       int64 // bytes of payloads that could not be written
}

// Schedule says when what failed is tried again.
type Schedule struct {
	// Waits are those before each attempt, the first included. After the last one it is
	// given up.
	Waits []time.Duration
	// Jitter is the share of a wait by which it is longer or shorter, 0 to 1.
	Jitter float64
	// DisableAfter is after how long of nothing but failure a hook is disabled.
	DisableAfter time.Duration
}

// A Storage keeps values.
type Storage interface {
	// Read returns the values of keys, in their order; nil where there is none.
	Read(ctx context.Context, keys []string) ([][]byte, error)
	// Write writes all or nothing.
	Write(ctx context.Context, ops []Op) error
}

// An Op writes a value, or removes it where Value is nil.
type Op struct {
	Key   string
	Value []byte
}

// An Observer is told of what happens. Its methods return at once and call nothing of the engine.
type Observer interface {
	// Accepted is an event that hooks take, Repeated one that was known.
	Accepted(t Type, deliveries int)
	Repeated(t Type)
	// Attempted is one request.
	Attempted(t Type, c outbound.Class, latency time.Duration)
	// Finished is a delivery that waits no longer. Why says why one was dropped.
	Finished(t Type, s State, why Drop)
	// Written is the outcome of writing to the storage, or of reading from it.
	Written(err error)
	// Damaged is a value that could not be used; it was set aside.
	Damaged(key string, err error)
	// StatusChanged is a hook that the engine disabled, or that was disabled and is no longer: it was
	// registered anew by its owner, or deleted. Then on is false.
	StatusChanged(h *Hook, on bool)
}

// A Drop is why a delivery was dropped.
type Drop string

// The reasons.
const (
	NotDropped  Drop = ""
	DropPending Drop = "pending"  // too many wait
	DropAge     Drop = "age"      // for too long
	DropOwner   Drop = "owner"    // its owner no longer sees the instance
	DropDeleted Drop = "deleted"  // the hook was deleted
	DropMemory  Drop = "memory"   // it could not be written, and there is no room
	DropReplace Drop = "replaced" // by newer levels
	DropDamaged Drop = "damaged"  // its payload cannot be read
)

// Stats are how an engine is.
type Stats struct {
	Hooks, Disabled, Failing int   // failing: the last attempt failed
	Pending, InFlight        int   // deliveries
	History                  int64 // bytes of payloads of finished deliveries
	Unwritten                int64 // bytes of payloads that could not be written
	Marks                    int
	Oldest                   time.Time // when the oldest delivery that waits was accepted; zero for none
}
