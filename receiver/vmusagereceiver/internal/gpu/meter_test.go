package gpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A book keeps the periods of one instance.
type book struct {
	*ledger.Ledger
	instance usage.Instance
	periods  []usage.Period
}

func newBook() *book {
	b := &book{instance: usage.Instance{ID: "vm-1"}}
	b.Ledger = ledger.New(ledger.Settings{Interval: 10 * time.Second, NewID: func() uuid.UUID { return uuid.UUID{15: 1} }})
	return b
}

func (b *book) add(r *reading.Reading, due bool) {
	r.Instance = &b.instance
	r.Metered.Add(usage.Running)
	if due {
		b.Due()
	}
	b.Observe(r)
	b.EndScan("host", r.At, true)
	closed, _ := b.Take()
	b.periods = append(b.periods, closed...)
}

func (b *book) sum(m usage.Meter) (n int64) {
	for i := range b.periods {
		n += b.periods[i].Usage[m]
	}
	return n
}

// TestDutyCycles compares ten periods with what was scripted.
func TestDutyCycles(t *testing.T) {
	for _, c := range []struct {
		share float64
		cycle time.Duration
	}{
		{0, time.Second},
		{.1, time.Second},
		{.5, 3 * time.Second},
		{.9, 10 * time.Second},
		{1, time.Second},
		{.1, 100 * time.Millisecond}, // bursts shorter than a window
		{.03, time.Second},
		{.5, 40 * time.Millisecond},
	} {
		for _, garbage := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v of %v garbage %v", c.share, c.cycle, garbage), func(t *testing.T) {
				in(t, func(d *fakeDriver, _ *Config) {
					g := newFakeGPU(d, "GPU-1")
					g.busy = duty(c.share, c.cycle)
					if garbage {
						g.spoil = spoil
					}
				}, func(t *testing.T, _ *fakeDriver, m *Meter) {
					b := newBook()
					before := 0
					for i := range 31 {
						_, r := read(t, m)
						b.add(r, i > 0 && i%3 == 0)
						for _, p := range b.periods[before:] {
							for _, u := range []usage.Meter{usage.GPUActive, usage.GPUProvisioned} {
								assert.GreaterOrEqual(t, p.Usage[u], int64(0))
								assert.LessOrEqual(t, p.Usage[u], p.Duration/1000)
							}
						}
						before = len(b.periods)
						time.Sleep(10 * time.Second)
					}
					require.Len(t, b.periods, 10)
					const all = 300e6 // us
					assert.InDelta(t, c.share*all, b.sum(usage.GPUActive), all/100*max(c.share, .01))
					assert.EqualValues(t, all, b.sum(usage.GPUProvisioned))
					assert.EqualValues(t, 300*300_000, b.sum(usage.GPUEnergy))
					assert.InDelta(t, 300*3<<10, b.sum(usage.GPUMemory), 1)
					assert.Equal(t, garbage, m.Counts().Garbage != Garbage{})
				})
			})
		}
	}
}

// spoil adds every kind of garbage to a batch.
func spoil(s []Sample) []Sample {
	if len(s) < 3 {
		return s
	}
	s[0], s[1] = s[1], s[0]
	first := s[1]
	return append(s,
		Sample{At: 0, Value: 50},
		Sample{At: first.At, Value: 100}, // again, and different
		Sample{At: first.At - 3600e6, Value: 100},
		Sample{At: first.At + 3600e6, Value: 100},
		Sample{At: first.At + 1, Value: 1<<32 - 1},
	)
}

// TestHang has one of two GPUs hang for a minute. The other one and the sample
// are not late, and afterwards the period closes with all that was used.
func TestHang(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		newFakeGPU(d, "GPU-1").busy = duty(1, time.Second)
		newFakeGPU(d, "GPU-2").busy = duty(1, time.Second)
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		b := newBook()
		step := func(due bool) *Snapshot {
			began := time.Now()
			s, r := read(t, m)
			assert.LessOrEqual(t, time.Since(began), m.cfg.Timeout)
			assert.EqualValues(t, 2, r.Flavor.GPUs, "a GPU that hangs is not gone")
			b.add(r, due)
			time.Sleep(10*time.Second - time.Since(began))
			return s
		}
		for range 3 {
			step(false)
		}
		d.set(func() { d.gpus[0].hang = make(chan struct{}) })
		for i := range 6 {
			s := step(i == 0)
			assert.Equal(t, Hung, byID(s, "GPU-1").State)
			require.ErrorIs(t, byID(s, "GPU-1").Err, errHangs)
			assert.True(t, byID(s, "GPU-2").Answered)
		}
		d.set(d.gpus[0].free)
		step(true)
		s := step(false)
		assert.Equal(t, Ready, byID(s, "GPU-1").State)
		step(true)
		assert.EqualValues(t, 6, m.Counts().Timeouts)

		total := b.periods[len(b.periods)-1].Totals
		assert.EqualValues(t, 2*110e6, total[usage.GPUProvisioned], "allotted all the time")
		assert.EqualValues(t, 2*110*300_000, total[usage.GPUEnergy], "the counter knows")
		// 110 s of one and 110 s of the other, of which 60 s are not known but for
		// the 16 s that the driver's buffer holds.
		assert.InDelta(t, 110e6+50e6+100e6/6, total[usage.GPUActive], 3e6)
	})
}

// TestGivenUp has a call never return: it is given up, and somebody else asks.
func TestGivenUp(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1").busy = duty(1, time.Second) },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			read(t, m)
			never := make(chan struct{})
			d.set(func() { d.gpus[0].hang = never })
			for range 14 {
				time.Sleep(10 * time.Second)
				read(t, m)
			}
			assert.EqualValues(t, 1, m.Counts().Abandons)
			d.set(func() { d.gpus[0].hang = nil }) // for those who ask from now on
			for range 26 {
				time.Sleep(10 * time.Second)
				read(t, m)
			}
			s, _ := read(t, m)
			require.True(t, byID(s, "GPU-1").Answered)
			before := byID(s, "GPU-1").Amounts
			close(never) // the old ones return and must not count anything
			time.Sleep(10 * time.Second)
			s, _ = read(t, m)
			assert.InDelta(t, 10e6, byID(s, "GPU-1").Amounts.Active-before.Active, 1e6)
			assert.Zero(t, m.hanging.Load())
		})
}

// TestHangsAreBounded has every call hang for ever.
func TestHangsAreBounded(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		for i := range 3 {
			newFakeGPU(d, fmt.Sprintf("GPU-%d", i))
		}
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		read(t, m)
		never := make(chan struct{})
		d.set(func() {
			d.block = make(chan struct{})
			for _, g := range d.gpus {
				g.hang = never
			}
		})
		for range 10_000 {
			time.Sleep(10 * time.Second)
			read(t, m)
		}
		assert.LessOrEqual(t, m.hanging.Load(), int64(maxHanging))
		d.set(func() {
			for _, g := range d.gpus {
				g.hang = nil
			}
		})
		close(never)
	})
}

// TestReload unloads the driver for a while.
func TestReload(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1").busy = duty(1, time.Second) },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			b := newBook()
			step := func(due bool) *Snapshot {
				s, r := read(t, m)
				assert.EqualValues(t, 1, r.Flavor.GPUs)
				b.add(r, due)
				time.Sleep(10 * time.Second)
				return s
			}
			step(false)
			step(false)
			d.set(func() {
				d.gone, d.open = &CallError{"DeviceGetCount", Uninitialized}, &CallError{"Init", DriverNotLoaded}
			})
			for range 6 {
				s := step(false)
				assert.NotEqual(t, Ready, byID(s, "GPU-1").State)
			}
			d.set(func() {
				d.open, d.gone, d.load = nil, nil, 8
				g := d.gpus[0]
				g.began = time.Now() // its energy begins anew
			})
			var s *Snapshot
			for range 7 {
				s = step(false)
			}
			assert.Equal(t, Ready, s.Driver)
			assert.Equal(t, Ready, byID(s, "GPU-1").State)
			step(true)
			require.NotEmpty(t, b.periods)
			total := b.periods[len(b.periods)-1].Totals
			assert.EqualValues(t, 150e6, total[usage.GPUProvisioned])
			assert.EqualValues(t, (10+70)*300_000, total[usage.GPUEnergy], "of the old load up to its last reading, of the new one all")
			assert.EqualValues(t, 1, m.Counts().Reopens)
			assert.NotZero(t, m.Counts().Failures[Failure{"Init", DriverNotLoaded}])
		})
}

// TestReloadUnseen loads the driver anew where nothing of the system says so, and
// the new load comes to more than half of what the old one had.
func TestReloadUnseen(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1"); d.load = 0 },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			b := newBook()
			step := func(due bool) {
				_, r := read(t, m)
				b.add(r, due)
				time.Sleep(10 * time.Second)
			}
			for range 3 {
				step(false)
			}
			d.set(func() { // the last reading had seen 20 s
				d.gone = &CallError{"DeviceGetCount", Uninitialized}
				d.gpus[0].began = time.Now()
			})
			step(false) // finds it gone, and has it initialized
			step(false)
			step(true)
			assert.EqualValues(t, (20+20)*300_000, b.sum(usage.GPUEnergy))
		})
}

// TestLost loses a GPU; a new initialization finds it again.
func TestLost(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		newFakeGPU(d, "GPU-1")
		newFakeGPU(d, "GPU-2")
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		read(t, m)
		d.set(func() { d.gpus[1].fails = &CallError{"DeviceGetMemoryInfo_v2", GPUIsLost} })
		time.Sleep(time.Second)
		s, r := read(t, m)
		assert.Equal(t, Lost, byID(s, "GPU-2").State)
		assert.True(t, byID(s, "GPU-1").Answered)
		assert.False(t, r.Scanned.HasClass(usage.GPU))
		for range 6 {
			time.Sleep(10 * time.Second)
			s, r = read(t, m)
			assert.True(t, byID(s, "GPU-1").Answered)
			assert.Equal(t, Lost, byID(s, "GPU-2").State)
			assert.EqualValues(t, 2, r.Flavor.GPUs)
		}
		assert.LessOrEqual(t, m.Counts().Reopens, int64(6), "the others are not disturbed all the time")
		d.set(func() { d.gpus[1].fails = nil })
		time.Sleep(maxReopen)
		s, _ = read(t, m)
		assert.Equal(t, Ready, byID(s, "GPU-2").State)
		assert.Equal(t, Ready, s.Driver)
		assert.NoError(t, s.Err)
	})
}

// TestOneIsLostFromTheStart meters the other one, and says so.
func TestOneIsLostFromTheStart(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		newFakeGPU(d, "GPU-1")
		newFakeGPU(d, "GPU-2").fails = &CallError{"DeviceGetUUID", GPUIsLost}
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		s, r := read(t, m)
		assert.Equal(t, Ready, s.Driver)
		require.ErrorContains(t, s.Err, "GPU 1 cannot be identified")
		assert.True(t, byID(s, "GPU-1").Answered)
		assert.EqualValues(t, -1, r.Flavor.GPUs, "nobody knows which one it is, or whose")
		assert.False(t, r.Scanned.HasClass(usage.GPU))
		d.set(func() { d.gpus[1].fails = nil })
		time.Sleep(maxReopen + time.Second)
		s, r = read(t, m)
		require.NoError(t, s.Err)
		assert.True(t, byID(s, "GPU-2").Answered)
		assert.EqualValues(t, 2, r.Flavor.GPUs)
		assert.True(t, r.Scanned.HasClass(usage.GPU))
	})
}

// TestOneCallFails has the energy of a GPU not be readable once: what it used
// meanwhile is not lost, and the GPU is not taken for one that went and came back.
func TestOneCallFails(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1") },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			b := newBook()
			for i := range 6 {
				d.set(func() {
					d.gpus[0].energyFails = nil
					if i == 2 {
						d.gpus[0].energyFails = &CallError{"DeviceGetTotalEnergyConsumption", Unknown}
					}
				})
				_, r := read(t, m)
				assert.Equal(t, i != 2, r.Scanned.HasClass(usage.GPU))
				b.add(r, i == 5)
				time.Sleep(10 * time.Second)
			}
			assert.EqualValues(t, 50*300_000, b.sum(usage.GPUEnergy))
			assert.EqualValues(t, 50e6, b.sum(usage.GPUProvisioned))
			assert.EqualValues(t, 1, m.Counts().Failures[Failure{"DeviceGetTotalEnergyConsumption", Unknown}], "cumulative: it is read for samples, not for polls")
		})
}

// TestHotPlug has a GPU come, and go.
func TestHotPlug(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1") },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			_, r := read(t, m)
			assert.EqualValues(t, 1, r.Flavor.GPUs)
			d.set(func() { newFakeGPU(d, "GPU-2") })
			time.Sleep(31 * time.Second)
			s, r := read(t, m)
			assert.EqualValues(t, 2, r.Flavor.GPUs)
			assert.True(t, byID(s, "GPU-2").Answered)
			d.set(func() { d.gpus = d.gpus[:1] })
			time.Sleep(31 * time.Second)
			s, r = read(t, m)
			assert.EqualValues(t, 1, r.Flavor.GPUs)
			assert.Nil(t, byID(s, "GPU-2"))
			assert.True(t, r.Scanned.HasClass(usage.GPU))
		})
}

// TestNoDriver is most machines.
func TestNoDriver(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { d.open = &CallError{"Init", LibraryNotFound} },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			began := time.Now()
			s, r := read(t, m)
			assert.Zero(t, time.Since(began))
			assert.Equal(t, Absent, s.Driver)
			assert.EqualValues(t, -1, r.Flavor.GPUs)
			assert.Zero(t, r.Metered)
			assert.Zero(t, r.Scanned)
			time.Sleep(time.Hour)
			assert.LessOrEqual(t, m.Counts().Failures[Failure{"Init", LibraryNotFound}], int64(20), "it is looked for, but seldom")
			d.set(func() { d.open = nil; newFakeGPU(d, "GPU-1") })
			time.Sleep(maxReopen)
			s, r = read(t, m)
			assert.Equal(t, Ready, s.Driver)
			assert.EqualValues(t, 1, r.Flavor.GPUs)
		})
}

// TestSlowStart has the driver take its time: the first samples do without.
func TestSlowStart(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		newFakeGPU(d, "GPU-1")
		d.block = make(chan struct{})
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		began := time.Now()
		s, r := read(t, m)
		assert.Equal(t, m.cfg.Timeout, time.Since(began))
		assert.False(t, s.Known)
		assert.EqualValues(t, -1, r.Flavor.GPUs)
		time.Sleep(5 * time.Second)
		d.set(func() { close(d.block); d.block = nil })
		time.Sleep(time.Second)
		s, _ = read(t, m)
		assert.True(t, byID(s, "GPU-1").Answered)
		assert.Equal(t, Ready, s.Driver)
	})
}

// TestMIG meters the instances of a GPU that is divided, and its energy once.
func TestMIG(t *testing.T) {
	in(t, func(d *fakeDriver, c *Config) {
		g := newFakeGPU(d, "GPU-1")
		g.id.MIG = true
		for i := range 3 {
			part := newFakeGPU(d, fmt.Sprintf("MIG-%d", i))
			d.gpus = d.gpus[:1]
			g.mig = append(g.mig, part)
		}
		c.Exclude.UUIDs = []string{"MIG-2"}
		c.Instances = []Attribution{{Instance: Instance{ID: "guest"}, GPUs: []string{"MIG-1"}}}
	}, func(t *testing.T, d *fakeDriver, m *Meter) {
		s, r := read(t, m)
		require.Len(t, s.GPUs, 3)
		assert.EqualValues(t, 1, r.Flavor.GPUs, "what is allotted are the instances")
		assert.Equal(t, []string{"GPU-1 gpu.energy", "MIG-0 gpu.active unknown", "MIG-0 gpu.provisioned", "MIG-0 gpu.memory"}, counted(r))
		assert.Equal(t, []string{"gpu.provisioned", "gpu.memory", "gpu.energy"}, metered(r))
		guest := &reading.Reading{At: r.At}
		require.True(t, s.Fill(guest, 0))
		assert.EqualValues(t, 1, guest.Flavor.GPUs)
		assert.Equal(t, []string{"MIG-1 gpu.active unknown", "MIG-1 gpu.provisioned", "MIG-1 gpu.memory"}, counted(guest))
		assert.Equal(t, []string{"gpu.provisioned", "gpu.memory"}, metered(guest), "it offers no utilization, and energy is the GPU's")

		d.set(func() { d.gpus[0].mig = d.gpus[0].mig[:1] }) // it is divided anew
		time.Sleep(31 * time.Second)
		s, _ = read(t, m)
		assert.Len(t, s.GPUs, 2)
	})
}

// TestPoints integrates single points where the driver has no samples.
func TestPoints(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) {
		g := newFakeGPU(d, "GPU-1")
		g.busy, g.noSamples = duty(.5, 20*time.Second), true
		newFakeGPU(d, "GPU-2").unsupported = true
	}, func(t *testing.T, _ *fakeDriver, m *Meter) {
		read(t, m)
		time.Sleep(100 * time.Second)
		s, _ := read(t, m)
		g := byID(s, "GPU-1")
		assert.True(t, g.Points)
		assert.True(t, g.HasActive)
		assert.InDelta(t, 50e6, g.Amounts.Active, 3e6)
		assert.EqualValues(t, 100e6, g.Amounts.Covered)
		assert.InDelta(t, .5e6, g.Utilization.N, .03e6)
		assert.False(t, byID(s, "GPU-2").HasActive)
		assert.True(t, byID(s, "GPU-2").HasMemory)
	})
}

// TestClose may be called twice, and does not wait for a call that hangs.
func TestClose(t *testing.T) {
	in(t, func(d *fakeDriver, _ *Config) { newFakeGPU(d, "GPU-1") },
		func(t *testing.T, d *fakeDriver, m *Meter) {
			read(t, m)
			d.set(func() { d.gpus[0].hang = make(chan struct{}) })
			read(t, m)
			began := time.Now()
			require.NoError(t, m.Close())
			require.NoError(t, m.Close())
			assert.LessOrEqual(t, time.Since(began), 2*m.cfg.Timeout)
		})
}
