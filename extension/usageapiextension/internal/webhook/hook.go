package webhook

import (
	"errors"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// What can be wrong with a change.
var (
	ErrNotFound = errors.New("there is no such webhook")
	ErrConflict = errors.New("the webhook has another version")
	ErrFull     = errors.New("there are too many webhooks")
	ErrNotKept  = errors.New("the webhook cannot be written to the storage")
	ErrDelivery = errors.New("there is no such delivery")
	ErrGone     = errors.New("the payload of the delivery is no longer kept")
	ErrBusy     = errors.New("a test is under way already")
	ErrDisabled = errors.New("the webhook is disabled")
)

// A Status is what becomes of the events of a hook.
type Status string

// The statuses.
const (
	Registered Status = "registered" // they are delivered
	Paused     Status = "paused"     // they wait, within bounds
	Disabled   Status = "disabled"   // there are no new ones, and what waits is not delivered
)

// A Hook is a registration. Nobody changes one that the engine gave.
type Hook struct {
	ID        string // minted by the engine, never used again
	Version   uint64 // rises with each change
	Owner     Owner
	CreatedBy string // the name of who registered it, for people
	URL       string
	// Description is the owner's own.
	Description string
	Types       []Type // sorted, at least one
	Filter      Filter
	// Secrets sign: the newest first, which has no end, then those that are still valid
	// for a while.
	Secrets      []Secret
	RegisteredAt time.Time

	Status Status
	// Reason says why it is [Disabled]: gone or failing; else empty.
	Reason string
	// Since is when Status was last changed.
	Since time.Time
}

// The reasons for which a hook is disabled.
const (
	ReasonGone    = "gone"    // the endpoint answered 410
	ReasonFailing = "failing" // nothing but failure for too long
)

// A Secret is a key, and until when it signs; zero for no end.
type Secret struct {
	Key   signing.Secret
	Until time.Time
}

// maxSecrets is how many sign at the same time.
const maxSecrets = 3

// Rotate makes key the newest secret. The one before signs, too, until a time.
func (h *Hook) Rotate(key signing.Secret, until time.Time) {
	secrets := []Secret{{Key: key}}
	for i, s := range h.Secrets {
		if i == 0 || s.Until.After(until) {
			s.Until = until
		}
		secrets = append(secrets, s)
	}
	h.Secrets = secrets[:min(len(secrets), maxSecrets)]
}

// signers returns the secrets that sign at a time.
func (h *Hook) signers(at time.Time) []signing.Secret {
	keys := make([]signing.Secret, 0, len(h.Secrets))
	for _, s := range h.Secrets {
		if s.Until.IsZero() || at.Before(s.Until) {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

func (h *Hook) wants(t Type) bool { return slices.Contains(h.Types, t) }

// A View is a hook and how its deliveries are.
type View struct {
	Hook

	Pending int // deliveries that wait
	Dropped uint64
	// LastSuccess and LastFailure are of the last attempts; zero where there was none since
	// the collector started. FailingSince is since when there was nothing but failure; zero
	// where the last attempt went well.
	LastSuccess, LastFailure, FailingSince time.Time
	// BlockedUntil is until when nothing is sent: the endpoint asked for it, or fails again
	// and again; zero where it is not.
	BlockedUntil time.Time
}

// A State is what became of a delivery.
type State string

// The states.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed"  // after its last attempt
	Dropped   State = "dropped" // too many wait, or for too long
)

// A Delivery is an event on its way to one hook.
type Delivery struct {
	Number   uint64 // of the hook, ascending from 1
	EventID  string // the webhook-id
	Type     Type
	At       time.Time // of the event
	Accepted time.Time
	State    State
	Attempts int       // so far, without those that came before their time and failed
	Due      time.Time // of the next attempt; zero where there is none
	// Log is the last attempts, the oldest first; those from before the collector started
	// are not all in it.
	Log []Attempt
}

// An Attempt is one request to an endpoint.
type Attempt struct {
	At      time.Time
	Status  int // of the answer; 0 where there was none
	Latency time.Duration
	// Error says what went wrong, in words that the owner of the hook may see; empty where
	// nothing did.
	Error string
	// Excerpt is how the answer began.
	Excerpt string
}
