//go:build cgo && linux

package gpu

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/nvmltest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// These tests load a real library, by the same way as NVIDIA's. Its clock stands
// until a test moves it; polls and timeouts are in real time, so long that none
// happens by itself.

type stubbed struct {
	*Meter
	driver *nvmltest.Driver
	t      *testing.T
}

// load makes a Meter that loads the stub with a script.
func load(t *testing.T, script string, change ...func(*Config)) *stubbed {
	d := nvmltest.Start(t, script)
	cfg := DefaultConfig()
	cfg.NVMLPath = d.Library()
	cfg.PollInterval, cfg.Timeout = maxPoll, time.Minute
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(t, cfg.Validate())
	s := &stubbed{driver: d, t: t}
	s.Meter = New(Settings{
		Config: cfg, Clock: s.now,
		Wants: Wants{Power: true, Temperature: true, Errors: true, Clocks: true, PCIe: true, NVLink: true, Processes: true, VGPUs: true},
	})
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// now is the stub's clock as both clocks of the machine.
func (s *stubbed) now() reading.Instant {
	now := s.driver.Now()
	return reading.Instant{Boot: now.Sub(time.Unix(1_767_225_600, 0)).Nanoseconds() + boot, Wall: now.UnixNano()}
}

func (s *stubbed) read() (*Snapshot, *reading.Reading) {
	at := s.now()
	at.BootID = bootID
	s.Ask()
	sn := s.Collect(s.t.Context(), at)
	r := &reading.Reading{At: at, Run: bootID, Source: "host"}
	sn.Fill(r, -1)
	return sn, r
}

// TestStubDutyCycles is TestDutyCycles through dlopen.
func TestStubDutyCycles(t *testing.T) {
	const garbage = `
garbage value 4294967295 20s 21s
garbage extra 100 30s 40s
garbage zero 40s 60s
garbage future 60s 80s
garbage twice 80s 100s
garbage swap 100s 120s
`
	for _, c := range []struct {
		busy  string
		share float64
	}{
		{"0", 0},
		{"10", .1},
		{"50", .5},
		{"90", .9},
		{"100", 1},
		{"on=100ms every=1s", .1},
		{"on=5ms every=50ms", .1}, // shorter than the window
		{"on=7s every=15s", 7. / 15},
	} {
		for name, spoiled := range map[string]string{"": "", " with garbage": garbage} {
			t.Run(c.busy+name, func(t *testing.T) {
				m := load(t, "gpu\nuuid GPU-1\nname Stub\nmemory 80GiB\nused 0s 3GiB\npower 0s 300W\njitter 20ms\nbusy 0s - "+c.busy+"\n"+spoiled)
				b := newBook()
				for i := range 31 {
					m.driver.Set(time.Duration(i) * 10 * time.Second)
					_, r := m.read()
					b.add(r, i > 0 && i%3 == 0)
				}
				require.Len(t, b.periods, 10)
				for _, p := range b.periods {
					assert.GreaterOrEqual(t, p.Usage[usage.GPUActive], int64(0))
					assert.LessOrEqual(t, p.Usage[usage.GPUActive], p.Duration/1000)
				}
				const all = 300e6 // us
				assert.InDelta(t, c.share*all, b.sum(usage.GPUActive), all/100*max(c.share, .01))
				assert.EqualValues(t, all, b.sum(usage.GPUProvisioned))
				assert.EqualValues(t, 300*300_000, b.sum(usage.GPUEnergy))
				assert.InDelta(t, 300*3<<10, b.sum(usage.GPUMemory), 1)
			})
		}
	}
}

const everything = `
driver 550.54.15
gpu
uuid GPU-1
name Stub 1
memory 80GiB
used 0s 8GiB
busy 0s - 25
power 0s 350W
temperature 0s 61C
clock sm 0s 1980MHz
clock memory 0s 2619MHz
pcie tx 0s 1000
pcie rx 0s 4000
nvlink 0 tx 0s 1024
nvlink 1 rx 0s 2048
ecc aggregate corrected 0s 5
ecc aggregate uncorrected 0s 1
retired single 0s 2
retired double 0s 1
xid 5s 79
xid 6s 31
process 4242 0s - 1GiB 20% 5%
gpu
uuid GPU-2
name Stub 2
memory 80GiB
mig 0s 1
power 0s 100W
mig-device 0
uuid MIG-1
name Stub 2 MIG 1g.10gb
memory 10GiB
used 0s 1GiB
mig-device 3
uuid MIG-2
name Stub 2 MIG 2g.20gb
memory 20GiB
used 0s 2GiB
`

// TestStubLevels asks a library for everything.
func TestStubLevels(t *testing.T) {
	m := load(t, everything)
	m.read()
	m.driver.Advance(10 * time.Second)
	s, r := m.read()
	require.Equal(t, Ready, s.Driver)
	require.NoError(t, s.Err)
	require.Len(t, s.GPUs, 4)
	assert.EqualValues(t, 3, r.Flavor.GPUs, "a GPU and two MIG instances")

	g := byID(s, "GPU-1")
	require.True(t, g.Answered, "%v", g.Err)
	l := g.Levels
	ok := func(n uint64) Value { return Value{n, true} }
	assert.Equal(t, "Stub 1", g.Model)
	assert.InDelta(t, 250_000, g.Utilization.N, 3000)
	assert.Equal(t, ok(8<<30), l.Used)
	assert.Equal(t, ok(80<<30), l.Total)
	assert.Equal(t, ok(3_500_000), l.Energy)
	assert.Equal(t, ok(350_000), l.Power)
	assert.Equal(t, ok(61), l.Temperature)
	assert.Equal(t, ok(1980), l.SMClock)
	assert.Equal(t, ok(2619), l.MemoryClock)
	assert.Equal(t, ok(10<<20), l.LinkTransmit)
	assert.Equal(t, ok(20<<20), l.LinkReceive)
	assert.Equal(t, ok(5), l.ECCCorrected)
	assert.Equal(t, ok(1), l.ECCUncorrected)
	assert.Equal(t, ok(2), l.RetiredCorrected)
	assert.Equal(t, ok(1), l.RetiredUncorrected)
	assert.Equal(t, ok(2), l.Xids)
	assert.Equal(t, ok(10_000_000), l.PCIeTransmit)
	assert.Equal(t, ok(40_000_000), l.PCIeReceive)
	assert.False(t, byID(s, "GPU-2").Levels.PCIeTransmit.OK, "it has no such counter")
	assert.Equal(t, []Process{{PID: 4242, Memory: 1 << 30, HasMemory: true, Utilization: 20, HasUtilization: true}}, l.Processes)

	assert.Equal(t, []string{
		"GPU-1 gpu.active", "GPU-1 gpu.provisioned", "GPU-1 gpu.memory", "GPU-1 gpu.energy",
		"GPU-2 gpu.energy",
		"MIG-1 gpu.active unknown", "MIG-1 gpu.provisioned", "MIG-1 gpu.memory",
		"MIG-2 gpu.active unknown", "MIG-2 gpu.provisioned", "MIG-2 gpu.memory",
	}, counted(r))
	mig := byID(s, "MIG-2")
	assert.Equal(t, ok(2<<30), mig.Levels.Used)
	assert.Equal(t, "GPU-2", mig.Parent)
	assert.False(t, mig.Utilization.OK)
}

// TestStubVGPUs lists the vGPUs of a host.
func TestStubVGPUs(t *testing.T) {
	m := load(t, `
gpu
uuid GPU-1
memory 48GiB
vgpu 0
uuid GRID-1
vm guest-1
memory 8GiB
used 0s 2GiB
busy 0s - 40
`)
	m.read()
	m.driver.Advance(10 * time.Second)
	s, _ := m.read()
	require.Len(t, s.GPUs, 1)
	require.True(t, s.GPUs[0].Answered, "%v", s.GPUs[0].Err)
	assert.Equal(t, []VGPU{{UUID: "GRID-1", Memory: 2 << 30, HasMemory: true, Utilization: 40, HasUtilization: true}}, s.GPUs[0].Levels.VGPUs)
}

// TestStubHang has a function of one of two GPUs hang.
func TestStubHang(t *testing.T) {
	m := load(t, `
gpu
uuid GPU-1
busy 0s - 100
power 0s 100W
hang DeviceGetSamples from=15s to=75s
gpu
uuid GPU-2
busy 0s - 100
power 0s 100W
`, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	b := newBook()
	for i := range 12 {
		m.driver.Set(time.Duration(i) * 10 * time.Second)
		s, r := m.read()
		b.add(r, i%3 == 0)
		require.Len(t, s.GPUs, 2)
		hangs := i >= 2 && i <= 7
		if hangs {
			assert.Equal(t, Hung, s.GPUs[0].State, "at %d0 s", i)
		}
		assert.True(t, s.GPUs[1].Answered, "at %d0 s", i)
		assert.EqualValues(t, 2, r.Flavor.GPUs)
	}
	s, r := m.read()
	b.add(r, true)
	assert.Equal(t, Ready, s.GPUs[0].State)
	total := b.periods[len(b.periods)-1].Totals
	assert.EqualValues(t, 2*110e6, total[usage.GPUProvisioned])
	assert.EqualValues(t, 2*110*100_000, total[usage.GPUEnergy])
}

// TestStubUnsupported has a driver without samples, and one with nothing at all.
func TestStubUnsupported(t *testing.T) {
	m := load(t, `
gpu
uuid GPU-1
busy 0s - 50
unsupported DeviceGetSamples
gpu
uuid GPU-2
unsupported DeviceGetSamples
unsupported DeviceGetUtilizationRates
unsupported DeviceGetMemoryInfo
unsupported DeviceGetMemoryInfo_v2
`)
	m.read()
	for range 10 {
		m.driver.Advance(5 * time.Second)
		m.read()
	}
	s, r := m.read()
	assert.True(t, s.GPUs[0].Points)
	assert.InDelta(t, 25e6, s.GPUs[0].Amounts.Active, .5e6)
	assert.Equal(t, []string{
		"GPU-1 gpu.active", "GPU-1 gpu.provisioned", "GPU-1 gpu.memory", "GPU-1 gpu.energy unknown",
		"GPU-2 gpu.active unknown", "GPU-2 gpu.provisioned", "GPU-2 gpu.memory unknown", "GPU-2 gpu.energy unknown",
	}, counted(r))
	assert.Equal(t, []string{"gpu.active", "gpu.provisioned", "gpu.memory"}, metered(r))
}

// TestStubNoDriver is a machine where the library is there and the driver is
// not, and one where there is no library either.
func TestStubNoDriver(t *testing.T) {
	m := load(t, "unload 0s 1h\n")
	s, r := m.read()
	assert.Equal(t, Absent, s.Driver)
	assert.EqualValues(t, -1, r.Flavor.GPUs)

	cfg := DefaultConfig()
	cfg.NVMLPath = t.TempDir() + "/libnvidia-ml.so.1"
	none := New(Settings{Config: cfg, Clock: m.now})
	defer none.Close()
	none.Ask()
	assert.Equal(t, Absent, none.Collect(t.Context(), m.now()).Driver)
}

// TestStubReload unloads the driver and loads it again.
func TestStubReload(t *testing.T) {
	m := load(t, `
unload 25s 45s
gpu
uuid GPU-1
power 0s 100W
busy 0s - 100
`)
	b := newBook()
	step := func(at time.Duration) *Snapshot {
		m.driver.Set(at)
		s, r := m.read()
		b.add(r, true)
		return s
	}
	step(0)
	step(10 * time.Second)
	step(20 * time.Second)
	s := step(30 * time.Second)
	assert.NotEqual(t, Ready, s.GPUs[0].State)
	m.driver.Set(50 * time.Second)
	at := 50 * time.Second
	require.Eventually(t, func() bool {
		at += time.Millisecond
		return step(at).GPUs[0].State == Ready
	}, 30*time.Second, 100*time.Millisecond)
	step(60 * time.Second)
	total := b.periods[len(b.periods)-1].Totals
	assert.EqualValues(t, 60e6, total[usage.GPUProvisioned])
	assert.EqualValues(t, (20+15)*100_000, total[usage.GPUEnergy])
	assert.NotZero(t, m.Counts().Reopens)
}

// BenchmarkStub sees that eight GPUs with MIG are read in one go.
func BenchmarkStub(b *testing.B) {
	var script strings.Builder
	for i := range 8 {
		fmt.Fprintf(&script, "gpu\nuuid GPU-%d\nmemory 80GiB\npower 0s 300W\nmig 0s 1\n", i)
		for k := range 7 {
			fmt.Fprintf(&script, "mig-device %d\nuuid MIG-%d-%d\nmemory 10GiB\nused 0s 1GiB\n", k, i, k)
		}
	}
	d := nvmltest.StartReal(b, script.String())
	cfg := DefaultConfig()
	cfg.NVMLPath = d.Library()
	clock := func() reading.Instant {
		now := time.Now().UnixNano()
		return reading.Instant{Boot: now, Wall: now, BootID: bootID}
	}
	m := New(Settings{Config: cfg, Clock: clock, Wants: Wants{Power: true, Temperature: true, Errors: true}})
	defer m.Close()
	r := &reading.Reading{}
	b.ReportAllocs()
	for b.Loop() {
		m.Ask()
		r.At, r.Counters = clock(), r.Counters[:0]
		m.Collect(b.Context(), r.At).Fill(r, -1)
	}
	if r.Flavor.GPUs != 56 {
		b.Fatal("not all GPUs answered")
	}
}
