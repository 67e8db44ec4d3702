package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// TestKillAtAnyInstant kills the collector again and again, a third of the times
// while it still starts, while Kafka comes and goes. In the end nothing may be
// missing and nothing counted twice.
func TestKillAtAnyInstant(t *testing.T) {
	binary(t, "otelcol-vmusage")
	rngs := random(t, 2)
	rng := rngs[0]
	kills := 12
	if full() {
		kills = 220
	}
	addr := freePort(t)
	load(t)
	k := thisKernel(t)
	settle := flap(t, rngs[1], addr, t.TempDir(), 4*time.Second, 2*time.Second)
	n := node(t, addr, k.set(),
		"receivers::vm_usage::collection_interval=200ms", "receivers::vm_usage::period=1s",
		"exporters::usage_event::timeout=2s", "exporters::usage_event::retry_on_failure::max_interval=500ms")

	outerStart := k.read(t)
	var counts []count
	for i := range kills {
		alive := 2500 * time.Millisecond
		if i%3 == 0 {
			alive = 100 * time.Millisecond
		}
		c := n.start(t)
		time.Sleep(upTo(rng, alive))
		c.kill(t)
		counts = append(counts, k.read(t))
	}

	b, stops := settle()
	began := time.Now()
	c := n.start(t)
	consume(t, addr).take(t, endingAfter(began))
	innerEnd := k.read(t)
	c.stop(t)
	outerEnd := k.read(t)

	p := prove(t, everything(t, b))
	t.Logf("%d kills and %d stops of Kafka in %v: %d events, %d repeats, %d recovered, %d with gaps",
		kills, stops, began.Sub(outerStart.at).Round(time.Second), p.events, p.repeats, p.recovered, p.gaps)
	assert.NotContains(t, c.log.String(), "not confirmed when the collector ended")
	events := p.only(t)
	p.counters(t)
	p.within(t, outerStart, firstAfter(t, counts, events[0].event.Period.End), innerEnd, outerEnd)
	if kills >= 100 { // a few may all be followed by a start before a sample is missed
		assert.Positive(t, p.recovered)
	}
	assert.Positive(t, p.sums[usage.NetworkReceiveBytes])
	verify(t, addr, p)
}
