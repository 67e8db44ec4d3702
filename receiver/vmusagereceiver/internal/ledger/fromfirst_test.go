package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// withGPU gives m a GPU whose time goes on with the clock of the machine.
func (m *machine) withGPU(micros uint64) *machine {
	m.Flavor.GPUs = 1
	m.Metered.AddClass(usage.GPU)
	m.Scanned.AddClass(usage.GPU)
	m.Counters = append(m.Counters, reading.Counters{
		First: usage.GPUProvisioned, N: 1, ID: "GPU-1", Birth: 9, FromFirst: true, Values: [4]uint64{micros},
	})
	return m
}

// TestFromFirst plugs a GPU in, out and in again: only while it is there it was
// allotted, whatever its counter says of the time before.
func TestFromFirst(t *testing.T) {
	m := newMachine()
	m.Scanned.AddClass(usage.GPU)
	l := newLedger()
	l.Observe(m.read())
	l.Observe(m.pass(10).withGPU(1_010_000_000).read()) // plugged in: the flavor changes
	l.Observe(m.pass(10).use("GPU-1", 10_000_000).read())
	l.Observe(m.pass(5).use("GPU-1", 5_000_000).read())

	gpu := m.Counters[len(m.Counters)-1]
	m.Counters = m.Counters[:len(m.Counters)-1]
	m.Flavor.GPUs = 0
	l.Observe(m.pass(10).read())
	m.Counters, m.Flavor.GPUs = append(m.Counters, gpu), 1
	l.Observe(m.pass(600).use("GPU-1", 610_000_000).read())
	l.Observe(m.pass(7).use("GPU-1", 7_000_000).read())
	l.Due()
	l.Observe(m.pass(1).use("GPU-1", 1_000_000).read())

	periods := taken(l)
	require.NotEmpty(t, periods)
	assert.EqualValues(t, 23_000_000, periods[len(periods)-1].Totals[usage.GPUProvisioned])
}

// TestUnknownGPUs says that GPUs of which nobody knows how many there are do not
// close a period, nor are they forgotten.
func TestUnknownGPUs(t *testing.T) {
	m := newMachine().withGPU(5)
	l := newLedger()
	l.Observe(m.read())
	m.Flavor.GPUs = -1
	l.Observe(m.pass(10).read())
	assert.Empty(t, taken(l))
	l.Due()
	l.Observe(m.pass(10).read())
	require.Len(t, taken(l), 1)
	m.Flavor.GPUs = 1
	l.Observe(m.pass(10).read())
	assert.Empty(t, taken(l))
	m.Flavor.GPUs = 2
	l.Observe(m.pass(10).read())
	periods := taken(l)
	require.Len(t, periods, 1)
	assert.EqualValues(t, 1, periods[0].Flavor.GPUs)
}
