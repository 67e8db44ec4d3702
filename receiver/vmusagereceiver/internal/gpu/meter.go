package gpu

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// Settings of a [Meter].
type Settings struct {
	Config Config
	Clock  func() reading.Instant // both clocks of the machine, without its boot id
	Wants  Wants

	driver driver // what tests have in place of NVML
}

const (
	// patience is for how long a call may hang before it is given up and somebody
	// else asks anew. It doubles each time for the same GPU.
	patience    = 2 * time.Minute
	maxPatience = 15 * time.Minute
	// maxHanging bounds the goroutines that hang in calls that were given up.
	maxHanging = 8
	// How long it takes until the driver is initialized anew: once it was lost, and
	// where none was found.
	minReopen = time.Second
	maxReopen = 5 * time.Minute
	// maxTallies bounds GPUs and MIG instances that are remembered.
	maxTallies = 1024
)

// A State is that of a driver or of a GPU.
type State uint8

// The states.
const (
	Starting State = iota
	Ready
	Hung   // a call does not return
	Lost   // calls fail; initialized anew later
	Absent // no driver or no library
)

var stateNames = [...]string{"starting", "ready", "hung", "lost", "absent"}

// String returns the state's name.
func (s State) String() string { return stateNames[s] }

// A Meter meters the GPUs of a machine. Ask and Collect are used from one
// goroutine at a time.
type Meter struct {
	cfg      Config
	set      Settings
	clock    func() reading.Instant
	driver   driver
	patience time.Duration
	counts   counter
	hanging  atomic.Int64 // goroutines that were given up and have not returned

	stop  chan struct{}
	done  chan struct{}
	first chan struct{} // closed when the first enumeration has ended, well or not
	kicks chan struct{} // somebody found the driver, a GPU or a worker to be gone

	mu         sync.Mutex
	workers    []*worker // by index
	state      State     // of the driver
	err        error     // of the driver, or what could not be enumerated
	enumerated bool      // once at least, completely
	load       uint64
	opened     int64 // how often NVML was initialized
	lost       error // what a worker said that needs a new initialization

	// The supervisor's alone.
	tallies     map[string]*tally // by UUID
	revival     int64             // CLOCK_BOOTTIME ns before which NVML is not initialized anew for a GPU
	reviveAfter time.Duration

	early    bool      // the last Ask was before the first enumeration
	asked    []*worker // by it
	snapshot Snapshot
}

// New starts metering. It returns at once; the driver is looked for on another
// goroutine.
func New(s Settings) *Meter {
	m := &Meter{
		cfg: s.Config, set: s, clock: s.Clock, driver: s.driver, patience: patience, reviveAfter: minReopen,
		stop: make(chan struct{}), done: make(chan struct{}), first: make(chan struct{}),
		kicks: make(chan struct{}, 1), tallies: map[string]*tally{},
	}
	if m.driver == nil {
		m.driver = newDriver(s.Config.NVMLPath)
	}
	go m.supervise()
	return m
}

// Close ends metering. What hangs in a call ends when that returns; Close waits
// for it no longer than the timeout that is configured.
func (m *Meter) Close() error {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	<-m.done
	return nil
}

// Counts returns what went wrong since the start.
func (m *Meter) Counts() Counts { return m.counts.all() }

// gone is called by a worker whose GPU, or driver, answers no more.
func (m *Meter) gone(err error) {
	m.mu.Lock()
	if m.lost == nil || codeOf(err).driverGone() {
		m.lost = err
	}
	m.mu.Unlock()
	m.kick()
}

func (m *Meter) kick() {
	select {
	case m.kicks <- struct{}{}:
	default:
	}
}

var (
	errHangs   = errors.New("NVML does not return from a call")
	errTooMany = errors.New("too many calls of NVML never returned: restart the collector once the driver is mended")
	errClosed  = errors.New("closed")
	errDown    = errors.New("the driver is initialized anew")
)
