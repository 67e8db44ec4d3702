package event

import (
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// An Event is a decoded resource_usage event: first what every version has, then
// what 1.1 added.
type Event struct {
	Version    string // as written, "1.1"; may be of a later minor than this package writes
	Timestamp  int64  // unix s: the period's end, rounded down
	InstanceID string // the billing key; never empty
	UserID     string // empty where it has no owner
	OrgID      string // empty where it belongs to none
	Metrics    Metrics
	Start, End int64 // unix s: the period's bounds, rounded down

	// ID is what repeats of the event share, and nothing else has. Zero in 1.0.
	ID uuid.UUID
	// Period is the exact period, with all that the ledger knew: every amount,
	// total, quality and device. Nil in 1.0. What a later minor added is not in
	// it; the coverage of meters that the instance does not have is full.
	Period *usage.Period
}

// Metrics are the metrics of 1.0. Each is nil where it is not known, which 1.0
// itself never says, and which is never to be read as zero. GB are 2^30 bytes,
// MB 2^20 bytes; percent are 0..100 of what was allotted.
type Metrics struct {
	CPUSeconds       *int64   // whole; over a stream they add up to the floor of its total
	CPUPercentAvg    *float64 // over the period
	MemoryGB         *float64 // average over the period
	MemoryPercent    *float64 // average over the period
	StorageGB        *float64 // average over the period
	NetworkEgressMB  *float64 // sent in the period
	NetworkIngressMB *float64 // received in the period
	GPUSeconds       *int64   // as CPUSeconds
}
