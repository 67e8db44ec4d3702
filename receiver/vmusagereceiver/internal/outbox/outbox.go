// Package outbox keeps closed periods until the pipeline has confirmed them.
//
// Periods are kept in chunks of whole instances of at most [MaxChunk]. Chunks
// are offered oldest first, each is confirmed on its own, and one that is
// refused waits while the others go on.
package outbox

import (
	"slices"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// MaxChunk bounds the estimated size of a chunk's metrics in bytes, so that a
// chunk fits into one OTLP message and one produce request.
const MaxChunk = 1 << 20

// A Chunk is what is offered and confirmed as one. Its periods never change.
type Chunk struct {
	Periods []usage.Period

	size    int64
	refused int
	ready   time.Time // not to be offered before
	as      int64     // the outbox's number of confirmations when it was last refused
	stuck   bool      // refused again although others were taken in between
}

// Refused says how often the chunk was refused since it was put.
func (c *Chunk) Refused() int { return c.refused }

// An Outbox is safe for concurrent use.
type Outbox struct {
	maxBytes int64
	wake     chan struct{}

	mu        sync.Mutex
	chunks    []*Chunk // oldest first
	bytes     int64
	confirmed int64
}

// New returns an empty outbox that holds periods in memory, up to about maxBytes.
func New(maxBytes int64) *Outbox {
	return &Outbox{maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// Put adds closed periods. Where they do not fit, the oldest chunks are given
// up; it returns how many periods that were.
func (o *Outbox) Put(periods []usage.Period) (dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var c *Chunk
	for i := range periods {
		size := sizeOf(&periods[i])
		if c == nil || c.size+size > MaxChunk {
			c = &Chunk{}
			o.chunks = append(o.chunks, c)
		}
		c.Periods = append(c.Periods, periods[i])
		c.size += size
		o.bytes += size
	}
	for o.bytes > o.maxBytes && len(o.chunks) > 1 {
		dropped += len(o.chunks[0].Periods)
		o.bytes -= o.chunks[0].size
		o.chunks = slices.Delete(o.chunks, 0, 1)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return dropped
}

// Wake receives after a Put.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

// Next returns the oldest chunk that may be offered now. Without one it
// returns nil and how long until there is one; 0 where the outbox is empty.
func (o *Outbox) Next(now time.Time) (*Chunk, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var wait time.Duration
	for _, c := range o.chunks {
		d := c.ready.Sub(now)
		if d <= 0 {
			return c, 0
		}
		if wait == 0 || d < wait {
			wait = d
		}
	}
	return nil, wait
}

// Confirm removes a chunk that Next returned: the pipeline has taken it. So it
// takes others, too: those that were refused for no reason of their own are
// offered again at once, oldest first.
func (o *Outbox) Confirm(c *Chunk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.chunks, c); i >= 0 {
		o.chunks = slices.Delete(o.chunks, i, i+1)
		o.bytes -= c.size
	}
	o.confirmed++
	for _, c := range o.chunks {
		if !c.stuck {
			c.ready = time.Time{}
		}
	}
}

// Refuse keeps a chunk that Next returned and does not offer it again before until.
func (o *Outbox) Refuse(c *Chunk, until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.stuck = c.refused > 0 && o.confirmed > c.as
	c.as = o.confirmed
	c.refused++
	c.ready = until
}

// State is what an outbox holds.
type State struct {
	Periods int
	Bytes   int64 // estimated
	Oldest  int64 // End of the oldest period, unix ns; 0 where there is none
}

// State returns what the outbox holds now.
func (o *Outbox) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := State{Bytes: o.bytes}
	for _, c := range o.chunks {
		s.Periods += len(c.Periods)
		for i := range c.Periods {
			if end := c.Periods[i].End; s.Oldest == 0 || end < s.Oldest {
				s.Oldest = end
			}
		}
	}
	return s
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
