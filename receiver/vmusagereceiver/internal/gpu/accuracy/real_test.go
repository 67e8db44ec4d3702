//go:build cgo

package accuracy

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
)

// realVariable asks for the test on a real GPU, which takes some minutes.
const realVariable = "VMUSAGE_GPU"

const (
	phase = 30 * time.Second // of load
	tail  = 3 * time.Second  // for the samples of its end
	bytes = 2 << 30
)

// TestARealGPU drives known load and compares. What it logs with -v is the table
// for docs/accuracy.md.
func TestARealGPU(t *testing.T) {
	if os.Getenv(realVariable) == "" {
		t.Skipf("SKIPPED: no real GPU is tested: `make test-gpu`, or %s=1", realVariable)
	}
	l, err := startLoad(t, buildLoad(t))
	if err != nil {
		t.Skipf("SKIPPED, NO REAL GPU IS TESTED: %v", err)
	}
	cfg := gpu.DefaultConfig()
	cfg.Include.UUIDs = []string{l.uuid}
	m := newMetering(t, cfg, realClock)
	power := newPowerMeter(t, l.uuid)
	m.sample()
	var table strings.Builder

	// Only the context of CUDA is there, and nobody else.
	l.idle(phase / 2)
	p := m.close()
	idleMemory := float64(p.Usage[usage.GPUMemory]) / seconds(&p)
	require.Less(t, share(&p), 0.01, "somebody else uses the GPU: nothing can be compared")

	l.alloc(bytes)
	m.close() // its own period: the allocation falls somewhere into it
	for _, c := range []struct{ on, every time.Duration }{
		{0, time.Second},
		{100 * time.Millisecond, time.Second},
		{500 * time.Millisecond, time.Second},
		{900 * time.Millisecond, time.Second},
		{time.Second, time.Second},
		{30 * time.Millisecond, time.Second}, // shorter than any window
		{7 * time.Second, 10 * time.Second},
	} {
		power.reset()
		busy := l.run(phase, c.on, c.every)
		l.idle(tail)
		p := m.close()
		joules := power.reset()
		active := time.Duration(p.Usage[usage.GPUActive]) * time.Microsecond
		memory := float64(p.Usage[usage.GPUMemory]) / (seconds(&p) * (idleMemory + bytes>>20))
		energy := float64(p.Usage[usage.GPUEnergy]) / 1000
		fmt.Fprintf(&table, "| %v of every %v | %.3f | %.3f | %+.2f | %+.2f | %.0f | %+.1f |\n", c.on, c.every,
			busy.Seconds(), active.Seconds(), 100*float64(active-busy)/float64(phase), 100*(memory-1), energy, 100*(energy/joules-1))

		name := fmt.Sprintf("%v of every %v", c.on, c.every)
		assert.InDelta(t, busy.Seconds(), active.Seconds(), 0.02*phase.Seconds(), "active time, %s", name)
		assert.InDelta(t, 1, memory, 0.02, "memory over time, %s", name)
		assert.Equal(t, usage.Measured, p.Quality[usage.GPUActive], name)
		assert.InDelta(t, p.Duration/1000, p.Usage[usage.GPUProvisioned], 1000, "allotted time, %s", name)
		if p.Usage[usage.GPUEnergy] > 0 { // else it is older than the counter
			assert.InDelta(t, 1, energy/joules, 0.1, "energy, %s", name)
		}
	}
	t.Logf("%s, %s\n| load | busy s | active s | error, %% of the time | memory, %% | energy J | against power, %% |\n%s",
		l.name, power.driver, table.String())
}

func seconds(p *usage.Period) float64 { return time.Duration(p.Duration).Seconds() }

// share is which part of a period a GPU was active.
func share(p *usage.Period) float64 {
	return float64(p.Usage[usage.GPUActive]) / math.Max(float64(p.Duration/1000), 1)
}

// A powerMeter adds up power over time by itself.
type powerMeter struct {
	driver string
	mu     sync.Mutex
	joules float64
	at     time.Time
	watts  float64
}

func newPowerMeter(t *testing.T, uuid string) *powerMeter {
	t.Helper()
	lib := nvml.New()
	require.Equal(t, nvml.SUCCESS, lib.Init())
	d, ret := lib.DeviceGetHandleByUUID(uuid)
	require.Equal(t, nvml.SUCCESS, ret, "%s is not a GPU of NVML", uuid)
	version, _ := lib.SystemGetDriverVersion()
	m := &powerMeter{driver: "driver " + version}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				if mw, ret := d.GetPowerUsage(); ret == nvml.SUCCESS {
					m.add(float64(mw) / 1000)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		_ = lib.Shutdown()
	})
	return m
}

// add goes from the last value to this one in a straight line.
func (m *powerMeter) add(watts float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.at.IsZero() {
		m.joules += (m.watts + watts) / 2 * now.Sub(m.at).Seconds()
	}
	m.at, m.watts = now, watts
}

// reset returns what was used since the last reset.
func (m *powerMeter) reset() (joules float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	joules, m.joules = m.joules, 0
	return joules
}
