package gpu

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A Snapshot is what the GPUs said at one sample.
type Snapshot struct {
	Driver State
	Err    error // why the driver is not ready, or which GPUs could not be identified
	Known  bool  // GPUs were enumerated at least once: those listed are all there are
	GPUs   []GPU // by index, each followed by its MIG instances

	load   uint64
	opened int64
}

// A GPU is a GPU or a MIG instance. What was not answered in time is not there.
type GPU struct {
	Identity
	Owner int   // place in Config.Instances of whose it is; -1 is the machine
	State State // ready, hung or lost
	Err   error // what State is for

	Answered    bool // and only then:
	Amounts     Amounts
	HasActive   bool // it offers utilization
	HasMemory   bool
	HasEnergy   bool
	Points      bool  // the driver has no samples: active time is from single points
	Utilization Value // millionths, average since the last answer
	Levels      *Levels
	Lacks       usage.MeterSet // what others of its owner offer and it does not, which Fill says

	whole    bool  // nothing of what is billed failed to be read
	since    int64 // CLOCK_BOOTTIME ns at which its amounts began at 0
	reopened bool  // NVML was initialized anew since energy was last known
}

// Allotted reports whether it is something that one has: a GPU that is divided
// is not, its MIG instances are.
func (g *GPU) Allotted() bool { return !g.MIG }

// Ask asks all GPUs, and returns at once.
func (m *Meter) Ask() {
	select {
	case <-m.first:
		m.early = false
	default:
		m.early = true
	}
	m.ask()
}

// ask asks the GPUs that are known; the snapshot at hand is of those.
func (m *Meter) ask() {
	at, s := m.clock(), &m.snapshot
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Driver, s.Err, s.Known, s.load, s.opened = m.state, m.err, m.enumerated, m.load, m.opened
	m.asked = append(m.asked[:0], m.workers...)
	for _, w := range m.asked {
		if !w.stopped {
			w.askAll(at)
		}
	}
}

// Collect waits for what Ask asked for, until the timeout that is configured or
// ctx ends, and returns what was said by then. at is the instant of the sample.
// The Snapshot is valid until the next Ask.
func (m *Meter) Collect(ctx context.Context, at reading.Instant) *Snapshot {
	timer := time.NewTimer(m.cfg.Timeout)
	defer timer.Stop()
	over := false
	if m.early { // only at the start: nobody knew what there is
		select {
		case <-m.first:
			m.ask()
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	s := &m.snapshot
	s.GPUs = s.GPUs[:0]
	hung := false
	for _, w := range m.asked {
		a := w.answered()
		if a == nil && !over && w.pending.Load() != 0 {
			select {
			case a = <-w.answers:
			case <-w.done:
			case <-timer.C:
				over = true
			case <-ctx.Done():
				over = true
			}
			if a == nil {
				a = w.answered() // it may have come with the end of the time, or of w
			}
		}
		if a != nil {
			w.pending.Store(0)
		}
		hung = m.overdue(w) >= w.patience || hung
		m.append(s, w, a, at)
	}
	if hung {
		m.kick()
	}
	return s
}

// answered returns the answer of w where there is one already.
func (w *worker) answered() (a *answer) {
	select {
	case a = <-w.answers:
	default:
	}
	return a
}

// append adds what w answered; a is nil where it did not.
func (m *Meter) append(s *Snapshot, w *worker, a *answer, at reading.Instant) {
	state, err := Ready, error(nil)
	switch {
	case a == nil && w.pending.Load() != 0 && !m.stoppedWorker(w):
		state, err = Hung, errHangs
		m.counts.add(1, 0, 0)
	case a == nil:
		state, err = Lost, errDown
	case a.err != nil:
		state, err = Lost, a.err
	}
	if err != nil {
		err = fmt.Errorf("%s (%s, GPU %d): %w", w.id().UUID, w.id().Model, w.id().Index, err)
	}
	for i, u := range w.units {
		g := GPU{Identity: u.id, Owner: u.owner, State: state, Err: err, since: u.tally.since.Boot}
		if state == Ready {
			g.take(&a.units[i], u.tally, at)
			if g.Levels.Energy.OK {
				g.reopened = u.tally.opened != 0 && u.tally.opened != s.opened
				u.tally.opened = s.opened
			}
		}
		s.GPUs = append(s.GPUs, g)
	}
}

func (m *Meter) stoppedWorker(w *worker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return w.stopped
}

// take fills in an answer. No time grows by more than has passed.
func (g *GPU) take(a *unitAnswer, t *tally, at reading.Instant) {
	g.Answered = true
	g.HasActive, g.HasMemory, g.HasEnergy, g.Points, g.whole = a.active, a.memory, a.energy, a.points, a.whole
	g.Levels = &a.levels
	if covered := a.amounts.Covered - t.before.Covered; covered > 0 {
		g.Utilization = Value{N: (a.amounts.Active - t.before.Active) * usage.FullCoverage / covered, OK: true}
	}
	t.before = a.amounts
	g.Amounts = Amounts{
		Active:  t.activeMost.report(at.Boot, a.amounts.Active),
		Covered: t.coveredMost.report(at.Boot, a.amounts.Covered),
		Memory:  a.amounts.Memory,
		Held:    t.heldMost.report(at.Boot, a.amounts.Held),
	}
}

// Fill adds to r what the ledger needs to know of the GPUs of one owner: -1 for
// those of the machine itself, or a place in Config.Instances. r.At must be
// complete. It reports whether there are any.
func (s *Snapshot) Fill(r *reading.Reading, owner int) (any bool) {
	complete := s.Known && s.Driver == Ready && s.Err == nil
	r.Flavor.GPUs = 0
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if g.Owner != owner {
			continue
		}
		any = true
		if g.Allotted() {
			r.Flavor.GPUs++
		}
		complete = complete && g.whole
		if g.Answered {
			r.Metered |= g.meters()
			s.count(r, g)
		}
	}
	for i := range s.GPUs {
		if g := &s.GPUs[i]; g.Owner == owner && g.Answered {
			g.Lacks = g.lacks() & r.Metered
		}
	}
	if !s.Known {
		r.Flavor.GPUs = -1
	}
	if complete {
		r.Scanned.AddClass(usage.GPU)
	}
	return any
}

// meters are those that a GPU offers. The energy of MIG instances is in that of
// their GPU, and belongs to whose that is.
func (g *GPU) meters() (m usage.MeterSet) {
	if g.Allotted() {
		m.Add(usage.GPUProvisioned)
		if g.HasActive {
			m.Add(usage.GPUActive)
		}
		if g.HasMemory {
			m.Add(usage.GPUMemory)
		}
	}
	if g.HasEnergy {
		m.Add(usage.GPUEnergy)
	}
	return m
}

// lacks are those that it would have, and does not offer.
func (g *GPU) lacks() (m usage.MeterSet) {
	if g.Allotted() {
		m.Add(usage.GPUActive)
		m.Add(usage.GPUMemory)
	}
	if g.Parent == "" {
		m.Add(usage.GPUEnergy)
	}
	return m &^ g.meters()
}

// count adds the counters of a GPU that answered. What it does not offer, others of
// the same owner may: it says that it is unknown.
func (s *Snapshot) count(r *reading.Reading, g *GPU) {
	add := func(c reading.Counters, offers bool, v uint64) {
		c.N, c.ID, c.Model = 1, g.UUID, g.Model
		c.Values[0] = v
		if !offers {
			c.Sampled, c.Unknown = false, true
		}
		r.Counters = append(r.Counters, c)
	}
	if g.Allotted() {
		began := birth(g.UUID, r.At.BootID, uint64(g.since)) //nolint:gosec // since boot
		add(reading.Counters{First: usage.GPUActive, Birth: began, Sampled: true, Covered: g.Amounts.Covered}, g.HasActive, g.Amounts.Active)
		// The machine's own clock, for as long as the GPU is there: whoever meters on
		// after a restart of the collector knows how long that was.
		add(reading.Counters{First: usage.GPUProvisioned, Birth: birth(g.UUID, r.At.BootID, 0), FromFirst: true}, true, uint64(r.At.Boot/1000)) //nolint:gosec // since boot
		add(reading.Counters{First: usage.GPUMemory, Birth: began, Sampled: true, Covered: g.Amounts.Held}, g.HasMemory, g.Amounts.Memory)
	}
	if g.Parent == "" && (g.Levels.Energy.OK || !g.HasEnergy) {
		add(reading.Counters{
			First: usage.GPUEnergy, Birth: birth(g.UUID, r.At.BootID, s.load),
			FromFirst: true, Resets: true, Reopened: g.reopened,
		}, g.HasEnergy, g.Levels.Energy.N)
	}
}

// birth identifies when a counter began at 0: of which GPU it is, in which boot,
// and what else makes it a new one.
func birth(uuid, bootID string, n uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(uuid))
	h.Write([]byte{0})
	h.Write([]byte(bootID))
	h.Write(binary.LittleEndian.AppendUint64(nil, n))
	return h.Sum64()
}
