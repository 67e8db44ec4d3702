package gpu

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bootID = "672672b0-f7cf-41a4-9906-8798cc7d0a40"

// booted is when the machine of these tests booted; synctest's clock starts
// in the year 2000.
var booted = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)

func bubbleClock() reading.Instant {
	now := time.Now()
	return reading.Instant{Boot: now.Sub(booted).Nanoseconds(), Wall: now.UnixNano()}
}

// A fakeDriver has GPUs that a test scripts. Its clock is the bubble's.
type fakeDriver struct {
	mu    sync.Mutex
	open  error // what Open returns
	gone  error // what everything else returns
	opens int
	load  uint64
	gpus  []*fakeGPU
	block chan struct{} // Open and Count block until it is closed
}

func (d *fakeDriver) lock() func() { d.mu.Lock(); return d.mu.Unlock }

// set changes the driver.
func (d *fakeDriver) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *fakeDriver) wait() {
	d.mu.Lock()
	block := d.block
	d.mu.Unlock()
	if block != nil {
		<-block
	}
}

func (d *fakeDriver) Open() error {
	d.wait()
	defer d.lock()()
	if d.open == nil {
		d.opens++
		d.gone = nil
	}
	return d.open
}

func (d *fakeDriver) Close() error { return nil }

func (d *fakeDriver) Load() uint64 { defer d.lock()(); return d.load }

func (d *fakeDriver) Count() (int, error) {
	d.wait()
	defer d.lock()()
	return len(d.gpus), d.gone
}

func (d *fakeDriver) Device(i int) (device, error) {
	defer d.lock()()
	if d.gone != nil {
		return nil, d.gone
	}
	return d.gpus[i], nil
}

// A fakeGPU is scripted by functions of the time since it was made.
type fakeGPU struct {
	driver *fakeDriver
	id     Identity
	mig    []*fakeGPU
	began  time.Time
	period time.Duration // of samples
	buffer int
	busy   func(from, to time.Duration) float64 // share of that time
	spoil  func([]Sample) []Sample              // what garbage there is
	memory uint64
	watts  uint64

	hang        chan struct{} // usage blocks until it is closed
	fails       error
	energyFails error
	noSamples   bool
	unsupported bool // neither samples nor rates
}

func newFakeGPU(d *fakeDriver, uuid string) *fakeGPU {
	g := &fakeGPU{
		driver: d, id: Identity{UUID: uuid, Model: "Fake 1"}, began: time.Now(),
		period: time.Second / 6, buffer: 100, memory: 3 << 30, watts: 300,
		busy: func(_, _ time.Duration) float64 { return 0 },
	}
	d.gpus = append(d.gpus, g)
	return g
}

func (g *fakeGPU) Renew() device { return g }

func (g *fakeGPU) enter() (func(), error) {
	g.driver.mu.Lock()
	hang := g.hang
	g.driver.mu.Unlock()
	if hang != nil {
		<-hang
	}
	g.driver.mu.Lock()
	if g.driver.gone != nil {
		return g.driver.mu.Unlock, g.driver.gone
	}
	return g.driver.mu.Unlock, g.fails
}

func (g *fakeGPU) Identify() (Identity, error) {
	defer g.driver.lock()()
	return g.id, g.fails
}

func (g *fakeGPU) Instances() ([]device, error) {
	defer g.driver.lock()()
	list := make([]device, 0, len(g.mig))
	for _, m := range g.mig {
		list = append(list, m)
	}
	return list, nil
}

func (g *fakeGPU) Samples(since uint64, into []Sample) ([]Sample, error) {
	leave, err := g.enter()
	defer leave()
	if err != nil || g.noSamples || g.unsupported {
		return into, max2(err, &CallError{"DeviceGetSamples", NotSupported})
	}
	n := int(time.Since(g.began) / g.period)
	for k := max(n-g.buffer, 0); k < n; k++ {
		from, to := time.Duration(k)*g.period, time.Duration(k+1)*g.period
		at := uint64(g.began.Add(to).UnixMicro()) //nolint:gosec // after 1970
		if at > since {
			into = append(into, Sample{At: at, Value: uint64(100*g.busy(from, to) + .5)})
		}
	}
	if g.spoil != nil {
		into = g.spoil(into)
	}
	if len(into) == 0 {
		return into, &CallError{"DeviceGetSamples", NotFound}
	}
	return into, nil
}

func max2(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (g *fakeGPU) Utilization() (uint32, error) {
	leave, err := g.enter()
	defer leave()
	if err != nil || g.unsupported {
		return 0, max2(err, &CallError{"DeviceGetUtilizationRates", NotSupported})
	}
	now := time.Since(g.began)
	return uint32(100*g.busy(max(now-g.period, 0), now) + .5), nil
}

func (g *fakeGPU) Memory() (used, total uint64, err error) {
	leave, err := g.enter()
	defer leave()
	return g.memory, 80 << 30, err
}

// Energy is exact to the mJ.
func (g *fakeGPU) Energy() (uint64, error) {
	leave, err := g.enter()
	defer leave()
	if err == nil {
		err = g.energyFails
	}
	return uint64(time.Since(g.began).Milliseconds()) * g.watts, err //nolint:gosec // positive
}

func (g *fakeGPU) Power() (uint32, error)       { return uint32(g.watts * 1000), nil } //nolint:gosec // small
func (g *fakeGPU) Temperature() (uint32, error) { return 41, nil }

func (g *fakeGPU) ECC() (corrected, uncorrected uint64, err error)     { return 3, 1, nil }
func (g *fakeGPU) Retired() (corrected, uncorrected uint64, err error) { return 2, 0, nil }
func (g *fakeGPU) Xid() ([]uint64, error)                              { return nil, nil }
func (g *fakeGPU) Clocks() (sm, memory uint32, err error)              { return 1980, 2619, nil }
func (g *fakeGPU) PCIe() (transmit, receive uint64, err error)         { return 10, 20, nil }
func (g *fakeGPU) NVLink() (transmit, receive uint64, err error)       { return 30, 40, nil }

func (g *fakeGPU) Processes(into []Process) ([]Process, error) { return into, nil }
func (g *fakeGPU) VGPUs(into []VGPU) ([]VGPU, error)           { return into, nil }

// duty is busy for share of every cycle.
func duty(share float64, cycle time.Duration) func(from, to time.Duration) float64 {
	until := func(t time.Duration) time.Duration {
		on := time.Duration(share * float64(cycle))
		return t/cycle*on + min(t%cycle, on)
	}
	return func(from, to time.Duration) float64 {
		if to <= from {
			return 0
		}
		return float64(until(to)-until(from)) / float64(to-from)
	}
}

// in runs a test in a bubble in which a Meter meters the driver's GPUs.
func in(t *testing.T, setup func(d *fakeDriver, c *Config), test func(t *testing.T, d *fakeDriver, m *Meter)) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{load: 7}
		cfg := DefaultConfig()
		setup(d, &cfg)
		d.set(func() {
			for i, g := range d.gpus {
				g.id.Index = i
			}
		})
		m := New(Settings{Config: cfg, Clock: bubbleClock, Wants: Wants{Power: true, Temperature: true, Errors: true}, driver: d})
		defer func() {
			d.set(func() { // let go what hangs
				for _, g := range d.gpus {
					g.free()
				}
				if d.block != nil {
					close(d.block)
				}
			})
			_ = m.Close()
			synctest.Wait()
		}()
		test(t, d, m)
	})
}

// free lets calls that hang return.
func (g *fakeGPU) free() {
	if g.hang != nil {
		close(g.hang)
		g.hang = nil
	}
}

// read takes one sample and returns the reading of the machine.
func read(t *testing.T, m *Meter) (*Snapshot, *reading.Reading) {
	t.Helper()
	at := bubbleClock()
	at.BootID = bootID
	m.Ask()
	s := m.Collect(t.Context(), at)
	r := &reading.Reading{At: at, Run: bootID, Source: "host"}
	s.Fill(r, -1)
	return s, r
}

// counted names the counters of a reading.
func counted(r *reading.Reading) (names []string) {
	for i := range r.Counters {
		c := &r.Counters[i]
		name := c.ID + " " + c.First.String()
		if c.Unknown {
			name += " unknown"
		}
		names = append(names, name)
	}
	return names
}

func metered(r *reading.Reading) (names []string) {
	for m := range r.Metered.All() {
		names = append(names, m.String())
	}
	return names
}

func byID(s *Snapshot, uuid string) *GPU {
	i := slices.IndexFunc(s.GPUs, func(g GPU) bool { return g.UUID == uuid })
	if i < 0 {
		return nil
	}
	return &s.GPUs[i]
}
