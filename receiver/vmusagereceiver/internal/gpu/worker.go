package gpu

import (
	"sync/atomic"
	"time"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A unit is something of a GPU that is metered by itself: the GPU, or each of its
// MIG instances.
type unit struct {
	id    Identity
	dev   device
	tally *tally
	owner int // place in Config.Instances; -1 is the machine

	lacks  uint32 // calls that the device does not offer, as bits
	points bool   // the driver has no samples: single points are integrated
	xids   uint64
}

// A worker makes all calls about one GPU, on a goroutine of its own. A call that
// hangs holds up nobody else.
type worker struct {
	meter *Meter
	units []*unit // the GPU itself, then its MIG instances

	asks    chan struct{} // at most one that is not answered
	answers chan *answer
	stop    chan struct{}
	done    chan struct{} // closed when the goroutine has ended

	// pending is since when, in ns of CLOCK_BOOTTIME, an ask is not answered; 0
	// where none is. Who samples sets it, the supervisor reads it.
	pending  atomic.Int64
	patience time.Duration // after which the supervisor gives the worker up
	stopped  bool          // guarded by Meter.mu
	givenUp  atomic.Bool   // somebody else asks: what it still finds out is of no use

	samples []Sample
	spare   [2]answer // one is with who asked, the other is filled
	turn    int
}

// An answer is what a GPU said when it was asked.
type answer struct {
	err   error // the GPU is gone, or nothing could be asked
	units []unitAnswer
}

type unitAnswer struct {
	amounts Amounts
	points  bool // utilization is from single points
	active  bool // the device offers utilization
	memory  bool // and memory
	energy  bool // and energy
	whole   bool // no call that is billed from failed
	levels  Levels
}

func newWorker(m *Meter, units []*unit) *worker {
	w := &worker{
		meter: m, units: units, patience: m.patience,
		asks: make(chan struct{}, 1), answers: make(chan *answer, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for _, u := range units {
		u.tally.belongTo(w)
	}
	return w
}

func (w *worker) id() *Identity { return &w.units[0].id }

func (w *worker) run() {
	defer func() {
		if w.givenUp.Load() {
			w.meter.hanging.Add(-1)
		}
		close(w.done)
	}()
	poll := time.NewTimer(w.meter.cfg.PollInterval)
	defer poll.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-poll.C:
			_ = w.round(nil) // told to the supervisor
		case <-w.asks:
			w.turn = 1 - w.turn
			a := &w.spare[w.turn]
			a.err = w.round(a)
			w.answers <- a // there is room: nobody asks again before it is taken
		}
		poll.Reset(w.meter.cfg.PollInterval)
	}
}

// round reads usage, and with into the levels as well.
func (w *worker) round(into *answer) error {
	if into != nil && len(into.units) != len(w.units) {
		into.units = make([]unitAnswer, len(w.units))
	}
	for i, u := range w.units {
		l := &Levels{}
		if into != nil {
			l = &into.units[i].levels
			*l = Levels{Processes: l.Processes[:0], VGPUs: l.VGPUs[:0]}
		}
		whole, err := w.usage(u, l, into != nil)
		if err == nil && into != nil {
			err = w.levels(u, l)
		}
		if err != nil {
			if !w.givenUp.Load() {
				w.meter.gone(err)
			}
			return err
		}
		if into != nil {
			a := &into.units[i]
			a.amounts = u.tally.amounts()
			a.points = u.points
			a.active = u.utilized()
			a.memory = !u.without(callMemory)
			a.energy = u.id.Parent == "" && !u.without(callEnergy)
			a.whole = whole
		}
	}
	return nil
}

// usage reads what is billed, and reports whether all that the unit offers could
// be read. What is cumulative is read only when somebody asks. MIG instances have
// no utilization, nor has a GPU that is divided into them, and energy is the whole
// GPU's.
func (w *worker) usage(u *unit, l *Levels, asked bool) (whole bool, err error) {
	hold := 3 * w.meter.cfg.PollInterval.Microseconds()
	seen, err := w.ask(u, callMemory, func() (err error) {
		l.Used.N, l.Total.N, err = u.dev.Memory()
		return err
	})
	if err != nil {
		return false, err
	}
	whole = seen || u.without(callMemory)
	l.Used.OK, l.Total.OK = seen, seen
	at := w.meter.clock()
	u.tally.with(w, func() { u.tally.memory.add(at, l.Used.N, seen, hold) })
	if u.id.Parent != "" {
		return whole, nil
	}
	if asked {
		if l.Energy.OK, err = w.ask(u, callEnergy, func() (err error) {
			l.Energy.N, err = u.dev.Energy()
			return err
		}); err != nil {
			return false, err
		}
		whole = whole && (l.Energy.OK || u.without(callEnergy))
	}
	if u.id.MIG {
		return whole, nil
	}
	seen, err = w.utilization(u, uint64(hold)) //nolint:gosec // positive
	return whole && seen, err
}

// utilization adds up active time, and reports whether it could, or never can.
func (w *worker) utilization(u *unit, hold uint64) (bool, error) {
	if !u.without(callSamples) {
		since := u.tally.lastSample()
		seen, err := w.ask(u, callSamples, func() (err error) {
			w.samples, err = u.dev.Samples(since, w.samples[:0])
			if c := codeOf(err); c == NotFound || c == NoData {
				w.samples, err = w.samples[:0], nil // no samples since
			}
			return err
		})
		if err != nil {
			return false, err
		}
		if seen {
			at := w.meter.clock()
			w.add(u, func(a *activity) Garbage { return a.add(at, w.samples) })
		}
		if !u.without(callSamples) {
			return seen, nil
		}
	}
	var percent uint32
	seen, err := w.ask(u, callUtilization, func() (err error) {
		percent, err = u.dev.Utilization()
		return err
	})
	if seen {
		u.points = true
		at := w.meter.clock()
		w.add(u, func(a *activity) Garbage { return a.point(at, percent, hold) })
	}
	return seen || u.without(callUtilization), err
}

func (w *worker) add(u *unit, to func(*activity) Garbage) {
	u.tally.with(w, func() { w.meter.counts.garbage(to(&u.tally.active)) })
}

// ask makes one call, unless the device is known not to offer it, and reports
// whether it succeeded. The error is one after which there is no use in asking
// this GPU for anything.
func (w *worker) ask(u *unit, c call, do func() error) (bool, error) {
	if u.without(c) {
		return false, nil
	}
	err := do()
	if w.givenUp.Load() {
		return false, errClosed
	}
	code := codeOf(err)
	if code == 0 {
		return true, nil
	}
	if code.absent() { // nothing is wrong with that
		u.lacks |= 1 << c
		return false, nil
	}
	w.meter.counts.failed(err)
	if code.driverGone() || code.gpuGone() {
		return false, err
	}
	return false, nil
}

func (u *unit) without(c call) bool { return u.lacks&(1<<c) != 0 }

// utilized reports whether there is any way to know how active the unit is.
func (u *unit) utilized() bool {
	return !u.id.MIG && u.id.Parent == "" && (!u.without(callSamples) || !u.without(callUtilization))
}

// askAll has the worker read everything, if it has answered the last time.
func (w *worker) askAll(at reading.Instant) {
	if w.pending.Load() != 0 {
		select {
		case <-w.answers: // late: of a sample that is over
		default:
			return
		}
	}
	w.pending.Store(at.Boot)
	w.asks <- struct{}{}
}
