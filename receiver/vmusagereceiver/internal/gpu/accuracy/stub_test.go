//go:build cgo

package accuracy

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/internal/nvmltest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	periods = 10
	period  = 30 * time.Second
	pollGap = 2 * time.Second // as poll_interval is by default
)

// script is a duty cycle that the stub plays. Its GPUs use 10 GiB and draw 250 W,
// and from half-time on 30 GiB and 600 W.
type script struct {
	name   string
	busy   string // lines
	active time.Duration
}

const whole = periods * period

func scripts() (s []script) {
	share := func(percent int) script {
		return script{
			fmt.Sprintf("%d %%", percent),
			fmt.Sprintf("busy 0s - %d", percent), whole * time.Duration(percent) / 100,
		}
	}
	bursts := func(on, every time.Duration) script {
		return script{
			fmt.Sprintf("%v of every %v", on, every),
			fmt.Sprintf("busy 0s - on=%s every=%s", on, every), whole / every * on,
		}
	}
	for _, p := range []int{0, 10, 50, 90, 100} {
		s = append(s, share(p))
	}
	return append(s, bursts(30*time.Millisecond, time.Second), bursts(100*time.Millisecond, time.Second),
		bursts(500*time.Millisecond, time.Second), bursts(7*time.Second, 10*time.Second),
		script{"one burst of 100 s", "busy 50s 150s 100", 100 * time.Second})
}

// run plays a script and returns what ten periods say.
func (s *script) run(t *testing.T, more string) (sum usage.Amounts, worst usage.Quality) {
	t.Helper()
	text := "loaded -1m\n" + `gpu
memory 80GiB
used 0s 10GiB
used 150s 30GiB
power 0s 250W
power 150s 600W
` + more + s.busy + "\n"
	d := nvmltest.Start(t, text)
	cfg := gpu.DefaultConfig()
	cfg.NVMLPath, cfg.Timeout = d.Library(), time.Minute
	cfg.PollInterval, cfg.RescanInterval = time.Hour, time.Hour // polled below, on the script's clock
	m := newMetering(t, cfg, func() reading.Instant {
		now := d.Now().UnixNano()
		return reading.Instant{Boot: now - 1_700_000_000e9, Wall: now}
	})
	// What was there before is not counted: the stream begins at a poll.
	d.Set(-2 * time.Second)
	m.poll()
	d.Set(0)
	m.sample()
	for at := pollGap; at <= whole; at += pollGap {
		d.Set(at)
		switch {
		case at%period == 0:
			p := m.close()
			for u := range sum {
				sum[u] += p.Usage[u]
				assert.GreaterOrEqual(t, p.Usage[u], int64(0), u)
			}
			assert.LessOrEqual(t, p.Usage[usage.GPUActive], p.Duration/1000)
			worst = max(worst, p.WorstQuality())
		case at%interval == 0:
			m.sample()
		default:
			m.poll()
		}
	}
	return sum, worst
}

// TestScripts is the table in docs/accuracy.md: run it with -v.
func TestScripts(t *testing.T) {
	drivers := []struct{ name, lines string }{
		{"167 ms", ""},
		{"1 s", "period 1s\n"},
		{"100 ms, jitter", "period 100ms\njitter 40ms\nphase 33ms\n"},
		{"garbage", "garbage extra 4294967295 20s 40s\ngarbage zero 50s 70s\ngarbage twice 80s 100s\ngarbage swap 110s 130s\ngarbage future 140s 160s\n"},
	}
	var table strings.Builder
	for _, s := range scripts() {
		fmt.Fprintf(&table, "| %s |", s.name)
		for _, d := range drivers {
			t.Run(s.name+" sampled "+d.name, func(t *testing.T) {
				sum, worst := s.run(t, d.lines)
				off := float64(sum[usage.GPUActive]-s.active.Microseconds()) / float64(max(s.active, whole/100).Microseconds())
				fmt.Fprintf(&table, " %+.2f |", 100*off)
				assert.Less(t, math.Abs(off), 0.01, "active: %d of %d us", sum[usage.GPUActive], s.active.Microseconds())
				assert.Equal(t, whole.Microseconds(), sum[usage.GPUProvisioned])
				assert.EqualValues(t, 150*250_000+150*600_000, sum[usage.GPUEnergy])
				assert.InEpsilon(t, int64(150*10<<10+150*30<<10), sum[usage.GPUMemory], 0.01)
				assert.Equal(t, usage.Measured, worst)
			})
		}
		table.WriteString("\n")
	}
	t.Logf("error of active time in %%:\n%s", table.String())
}
