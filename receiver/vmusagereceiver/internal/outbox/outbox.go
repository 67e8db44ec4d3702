package outbox

import (
	"slices"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Settings of an [Outbox].
type Settings struct {
	MaxBytes int64         // past which periods are joined, and then given up
	MaxAge   time.Duration // after which periods that wait are joined by the hour; 0 is never
	Clock    func() time.Time
}

const (
	// probes is how many chunks have to be refused in a row for new ones to be
	// parked: fewer may be stuck for a reason of their own.
	probes = 3
	// unparkAfter is how often one parked chunk is offered nevertheless, in case
	// that it is all others that are stuck.
	unparkAfter = 10 * time.Minute
	// heldBytes is about how much of what is durable stays in memory, too.
	heldBytes = 8 << 20
)

// An Outbox is safe for concurrent use. Flush and what it calls are used from
// one goroutine at a time.
type Outbox struct {
	settings Settings
	store    Store // nil: in memory
	dirty    chan struct{}
	wake     chan struct{}
	values   [][]byte // of chunks, used again by Flush

	mu        sync.Mutex
	chunks    []*Chunk // oldest first
	next      uint64   // id of the next chunk
	gone      []uint64 // to be deleted from the storage
	shards    [][]byte // the newest checkpoint, not written yet
	spare     [][]byte // memory for the next one
	stored    int      // how many shards the storage holds
	indexed   bool     // the storage has an index
	unwritten bool     // the index in the storage is not what is here
	confirmed int64
	unparked  time.Time // when one was last unparked without a confirmation
	counts    Counts
}

// Counts says what an outbox did since it was made.
type Counts struct {
	Joined  int64 // periods that became part of a longer one
	Dropped int64 // periods given up: their usage is lost
	Damaged int64 // periods that could not be read back: their usage is lost
}

// New returns an empty outbox in memory; see [Open] for one with a storage.
func New(s Settings) *Outbox {
	return &Outbox{settings: s, next: 1, dirty: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// Put adds closed periods, and the checkpoint that the ledger has after closing
// them (nil without a storage). It takes both over, and returns memory for the
// next checkpoint. Nothing is offered before a [Outbox.Flush].
func (o *Outbox) Put(periods []usage.Period, shards [][]byte) (spare [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	parked := o.refusesAllLocked()
	for _, c := range newChunks(periods, &o.next) {
		c.parked = parked
		o.chunks = append(o.chunks, c)
	}
	if spare = o.spare; o.shards != nil {
		spare = o.shards
	} else {
		o.spare = nil
	}
	o.shards = shards
	o.unwritten = true
	notify(o.dirty)
	return spare
}

// refusesAllLocked reports whether the pipeline refused several chunks and has
// taken none since.
func (o *Outbox) refusesAllLocked() bool {
	n := 0
	for _, c := range o.chunks {
		if !c.parked && c.refused > 0 && c.as == o.confirmed+1 {
			n++
		}
	}
	return n >= probes
}

// Dirty receives when there is something to flush.
func (o *Outbox) Dirty() <-chan struct{} { return o.dirty }

// Wake receives when there may be something new to offer.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Next returns the oldest chunk that may be offered now, those first that were
// not refused yet: what is stuck holds up nothing. Without one it returns nil and
// how long until there is one; 0 where there is none to wait for.
func (o *Outbox) Next(now time.Time) (*Chunk, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var wait time.Duration
	var again, parked *Chunk
	offerable := false
	for _, c := range o.chunks {
		switch {
		case c.parked:
			if parked == nil {
				parked = c
			}
			continue
		case !c.durable:
			continue
		}
		offerable = true
		d := c.ready.Sub(now)
		switch {
		case d <= 0 && c.refused == 0:
			c.offering = true
			return c, 0
		case d <= 0:
			if again == nil {
				again = c
			}
		case wait == 0 || d < wait:
			wait = d
		}
	}
	if again != nil {
		again.offering = true
		return again, 0
	}
	if parked != nil && (!offerable || now.Sub(o.unparked) >= unparkAfter) {
		o.unparked = now
		o.unparkLocked(parked)
	}
	return nil, wait
}

// unparkLocked makes a chunk offerable, as soon as the storage knows that it may
// have been offered.
func (o *Outbox) unparkLocked(c *Chunk) {
	c.parked, c.durable = false, false
	o.unwritten = true
	notify(o.dirty)
}

// Confirm removes a chunk that Next returned: the pipeline has taken it. So it
// takes others, too: those that were refused for no reason of their own are
// offered again at once, oldest first, and those that were parked come back.
func (o *Outbox) Confirm(c *Chunk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.removeLocked(c)
	o.confirmed++
	for _, c := range o.chunks {
		if !c.stuck {
			c.ready, c.refused = time.Time{}, 0
		}
		if c.parked {
			o.unparkLocked(c)
		}
	}
}

func (o *Outbox) removeLocked(c *Chunk) {
	i := slices.Index(o.chunks, c)
	if i < 0 {
		return
	}
	o.chunks = slices.Delete(o.chunks, i, i+1)
	if o.store != nil {
		o.gone = append(o.gone, c.id) // also where it seemed not to be written
	}
	// Not worth a batch of its own: the next period's confirms it, too.
	o.unwritten = true
}

// Refuse keeps a chunk that Next returned and does not offer it again before until.
func (o *Outbox) Refuse(c *Chunk, until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.stuck = c.as > 0 && o.confirmed+1 > c.as
	c.as = o.confirmed + 1
	c.offering = false
	c.refused++
	c.ready = until
	if o.unparked.IsZero() {
		o.unparked = until
	}
}

// State is what an outbox holds.
type State struct {
	Periods int
	Bytes   int64
	Oldest  int64 // End of the oldest period, unix ns; 0 where there is none
	Counts
}

// State returns what the outbox holds now.
func (o *Outbox) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := State{Counts: o.counts}
	for _, c := range o.chunks {
		s.Periods += c.periods
		s.Bytes += c.bytes
		if s.Oldest == 0 || c.end < s.Oldest {
			s.Oldest = c.end
		}
	}
	return s
}
