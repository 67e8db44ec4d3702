package gpu

import (
	"sync"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A tally is what was added up for one GPU or MIG instance since this process
// first saw it. It outlives workers: when one is given up, the next one goes on.
type tally struct {
	since reading.Instant // when metering began: with it, values began at 0

	mu     sync.Mutex
	owner  *worker // the only one whose additions count; one that was given up may still return
	active activity
	memory integral

	// What was reported so far; only who samples looks at it.
	activeMost, coveredMost, heldMost ceiling
	before                            Amounts // at the last answer
	opened                            int64   // NVML had been initialized so often when energy was last known
}

// Amounts are what was added up so far.
type Amounts struct {
	Active, Covered uint64 // us, and us for which there were samples
	Memory, Held    uint64 // MiBy.s, and us for which the level was known
}

func newTally(at reading.Instant) *tally {
	t := &tally{since: at}
	t.active.begin(at)
	t.memory.begin(at)
	for _, c := range [...]*ceiling{&t.activeMost, &t.coveredMost, &t.heldMost} {
		c.at = at.Boot
	}
	return t
}

// belongTo makes w the one whose additions count.
func (t *tally) belongTo(w *worker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owner = w
}

// with lets w add something, unless it was given up meanwhile.
func (t *tally) with(w *worker, add func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner == w {
		add()
	}
}

func (t *tally) amounts() (a Amounts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.Active, a.Covered = t.active.micros()
	a.Memory, a.Held = t.memory.amount, t.memory.covered
	return a
}

// lastSample is up to when samples are accounted for, in unix us.
func (t *tally) lastSample() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.active.last
}
