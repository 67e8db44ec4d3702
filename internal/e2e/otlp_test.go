package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// agent prepares a collector that hands usage to the gateway at an address.
func agent(t *testing.T, gateway string, set ...string) *installation {
	t.Helper()
	return install(t, "testdata/agent.yaml", "GATEWAY_ENDPOINT="+gateway).
		set("receivers::vm_usage::collection_interval=200ms", "receivers::vm_usage::period=1s", "receivers::vm_usage::jitter=0s",
			"service::telemetry::logs::disable_stacktrace=true").
		set(set...)
}

// gateway prepares a collector that listens at an address and writes to kafka.
func gateway(t *testing.T, listen, kafka string) *installation {
	t.Helper()
	return install(t, "testdata/gateway.yaml", "GATEWAY_ENDPOINT="+listen, "KAFKA_BROKER="+kafka).
		set("exporters::usage_event::timeout=2s", "exporters::usage_event::retry_on_failure::max_interval=500ms",
			"exporters::usage_event::retry_on_failure::max_elapsed_time=2s")
}

// TestThroughOTLP kills agent and gateway again and again while Kafka comes and
// goes behind the gateway.
func TestThroughOTLP(t *testing.T) {
	binary(t, "otelcol-vmusage")
	rngs := random(t, 2)
	rng := rngs[0]
	kills := 8
	if full() {
		kills = 60
	}
	kafka, otlp, dir := freePort(t), freePort(t), t.TempDir()
	load(t)
	k := thisKernel(t)
	outerStart := k.read(t)
	ends := []*installation{agent(t, otlp, k.set()), gateway(t, otlp, kafka)}
	running := []*collector{ends[0].start(t), ends[1].start(t)}

	// What Kafka is to the gateway, the ledger of the agent hears.
	running[0].waitLog(t, "delivery fails")
	require.Eventually(t, func() bool {
		waiting, _ := running[0].own("outbox_periods")
		return waiting >= 3
	}, patience, 100*time.Millisecond)
	settle := flap(t, rngs[1], kafka, dir, 4*time.Second, 2*time.Second)
	running[0].waitLog(t, "delivery works again")

	var counts []count
	for range kills {
		time.Sleep(upTo(rng, 2*time.Second))
		counts = append(counts, k.read(t))
		which := rng.IntN(len(ends))
		running[which].kill(t)
		if rng.IntN(2) == 0 { // else it is back at once
			time.Sleep(upTo(rng, time.Second))
		}
		running[which] = ends[which].start(t)
	}

	b, stops := settle()
	began := time.Now()
	consume(t, kafka).take(t, endingAfter(began))
	innerEnd := k.read(t)
	require.Eventually(t, func() bool { return strings.Contains(metrics(ends[1].prometheus), "vm_cpu_time_seconds_total") },
		patience, 100*time.Millisecond, "levels go the same way")
	assert.NotContains(t, metrics(ends[1].prometheus), "vm_usage_")
	running[0].stop(t)
	outerEnd := k.read(t)
	running[1].stop(t)

	p := prove(t, everything(t, b))
	t.Logf("%d kills and %d stops of Kafka in %v: %d events, %d repeats, %d recovered, %d with gaps",
		kills, stops, began.Sub(outerStart.at).Round(time.Second), p.events, p.repeats, p.recovered, p.gaps)
	p.counters(t)
	p.within(t, outerStart, firstAfter(t, counts, p.only(t)[0].event.Period.End), innerEnd, outerEnd)
	verify(t, kafka, p)
}

// TestALostAnswerIsARepeat has Kafka take an event whose acknowledgement never
// reaches the ledger: the event comes again, the very same, and nothing else.
func TestALostAnswerIsARepeat(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", t.TempDir())
	listen := freePort(t)
	between := proxy(t, listen)
	g := gateway(t, listen, b.Addr()).start(t)
	a := agent(t, between.addr, "exporters::otlp_grpc/usage::timeout=2s").start(t)
	events := consume(t, b.Addr())
	events.take(t, atLeast(1))
	between.mute(true)
	muted := time.Now()
	a.waitLog(t, "delivery fails")
	events.take(t, endingAfter(muted)) // Kafka has it, and the ledger does not know
	between.mute(false)
	a.waitLog(t, "delivery works again")
	a.stop(t)
	g.stop(t)

	p := prove(t, everything(t, b))
	t.Logf("%d events, %d repeats", p.events, p.repeats)
	assert.Positive(t, p.repeats)
	p.only(t)
	verify(t, b.Addr(), p)
}
