package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of a few MiB in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("vmusage-e2e", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("SKIPPED: a tmpfs cannot be mounted, which needs root: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fill writes a file until the file system has no room left.
func fill(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			size /= 2
		}
	}
	return filler
}

// TestAFullDiskLosesNothing fills the disk under the ledger while Kafka is down,
// so that the outbox has to grow and cannot, and kills the collector on top.
func TestAFullDiskLosesNothing(t *testing.T) {
	binary(t, "otelcol-vmusage")
	disk := smallDisk(t)
	addr, dir := freePort(t), t.TempDir()
	load(t)
	k := thisKernel(t)
	n := node(t, addr, k.set(),
		"receivers::vm_usage::collection_interval=200ms", "receivers::vm_usage::period=1s",
		"exporters::usage_event::timeout=1s", "exporters::usage_event::retry_on_failure::max_interval=500ms",
		"exporters::usage_event::retry_on_failure::max_elapsed_time=1s")
	n.env = append(n.env, "STATE_DIRECTORY="+disk)

	outerStart := k.read(t)
	c := n.start(t)
	c.waitLog(t, "delivery fails")
	waiting := func(at float64) {
		t.Helper()
		require.Eventually(t, func() bool {
			periods, _ := c.own("outbox_periods")
			return periods >= at
		}, patience, 100*time.Millisecond)
	}
	waiting(2)
	innerStart := k.read(t)

	filler := fill(t, disk)
	c.waitLog(t, "storage fails")
	full := time.Now()
	samples, _ := c.own("samples")
	before, _ := c.own("outbox_periods")
	waiting(before + 5)
	fill(t, disk) // whatever came free meanwhile
	waiting(before + 8)
	after, _ := c.own("samples")
	failures, ok := c.own("checkpoint_failures")
	require.True(t, ok)
	assert.GreaterOrEqual(t, after-samples, 8*4.0, "sampling goes on")
	assert.Positive(t, failures)
	assert.NotContains(t, c.log.String(), "storage works again")

	// A crash takes what is in memory only; the counters bridge it.
	c.kill(t)
	fill(t, disk)
	c = n.start(t)
	c.waitLog(t, "storage fails")
	written, _ := c.own("outbox_periods")
	waiting(written + 2)

	// Kafka is back first: what was written goes out, and nothing else.
	b := broker(t, addr, dir)
	consume(t, addr).take(t, atLeast(1))
	time.Sleep(2 * time.Second) // for what should not come
	handed := everything(t, b)
	if !strings.Contains(c.log.String(), "storage works again") { // in the room of what was confirmed
		for _, r := range handed {
			assert.Less(t, r.event.Period.End, full.UnixNano(), "sequence %d is handed on and not written", r.event.Period.Sequence)
		}
	}

	require.NoError(t, os.Remove(filler))
	c.waitLog(t, "storage works again")
	roomy := time.Now()
	consume(t, addr).take(t, endingAfter(roomy))
	innerEnd := k.read(t)
	c.stop(t)
	outerEnd := k.read(t)

	p := prove(t, everything(t, b))
	t.Logf("full for %v: %v batches failed, %v samples; %d events, %d repeats", roomy.Sub(full).Round(time.Millisecond), failures, after-samples, p.events, p.repeats)
	assert.Less(t, p.only(t)[0].event.Period.End, innerStart.at.UnixNano())
	p.counters(t)
	assert.Positive(t, p.recovered)
	p.within(t, outerStart, innerStart, innerEnd, outerEnd)
	verify(t, addr, p)
}
