package outbox

import (
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// MaxChunk bounds the estimated size of a chunk's metrics in bytes, so that a
// chunk fits into one OTLP message and one produce request.
const MaxChunk = 1 << 20

// A Chunk is what is offered and confirmed as one. Its periods never change.
type Chunk struct {
	descriptor
	held []usage.Period // nil where they are in the storage only

	estimate int64 // of its metrics
	written  bool  // its periods are in the storage
	durable  bool  // so is the descriptor as it is

	offering bool      // Next returned it
	refused  int       // in a row, without another one being taken unless it is stuck
	ready    time.Time // not to be offered before
	as       int64     // one more than the outbox had confirmations when it was last refused; 0: never
	stuck    bool      // refused again although others were taken in between
}

// A descriptor is what the index knows of a chunk.
type descriptor struct {
	id      uint64
	periods int
	bytes   int64 // in the storage; an estimate without one
	start   int64 // unix ns: the least Start
	end     int64 // unix ns: the least End
	parked  bool  // never offered
	joined  bool  // made from others
}

// Refused says how often the chunk was refused in a row.
func (c *Chunk) Refused() int { return c.refused }

// Periods says how many periods there are.
func (c *Chunk) Periods() int { return c.periods }

// newChunks cuts periods into chunks.
func newChunks(periods []usage.Period, next *uint64) []*Chunk {
	var chunks []*Chunk
	var c *Chunk
	for i := range periods {
		p := &periods[i]
		size := sizeOf(p)
		if c == nil || c.estimate+size > MaxChunk {
			c = &Chunk{descriptor: descriptor{id: *next, start: p.Start, end: p.End}}
			*next++
			chunks = append(chunks, c)
		}
		c.held = append(c.held, *p)
		c.periods++
		c.estimate += size
		c.bytes += size
		c.start, c.end = min(c.start, p.Start), min(c.end, p.End)
	}
	return chunks
}

// sizeOf estimates the size of a period as OTLP: measured at 2.4 kB for an
// instance without devices and 75 bytes more for each device point.
func sizeOf(p *usage.Period) int64 {
	size := int64(2600 + len(p.Devices)*usage.DeviceMeters*90)
	for _, l := range p.Instance.Labels {
		size += int64(len(l.Key) + len(l.Value) + 12)
	}
	return size
}
