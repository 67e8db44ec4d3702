package accuracy

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const interval = 10 * time.Second

// metering is the receiver's GPU path without pipelines: meter, ledger, periods.
type metering struct {
	tb       testing.TB
	clock    func() reading.Instant
	meter    *gpu.Meter
	ledger   *ledger.Ledger
	instance usage.Instance
	reading  reading.Reading
}

func newMetering(tb testing.TB, cfg gpu.Config, clock func() reading.Instant) *metering {
	tb.Helper()
	m := &metering{
		tb: tb, clock: clock, instance: usage.Instance{ID: "vm-1"},
		meter:  gpu.New(gpu.Settings{Config: cfg, Clock: clock}),
		ledger: ledger.New(ledger.Settings{Interval: interval, NewID: uuid.New}),
	}
	tb.Cleanup(func() { require.NoError(tb, m.meter.Close()) })
	return m
}

// poll asks the GPUs, as the meter does itself between two samples.
func (m *metering) poll() *gpu.Snapshot {
	m.meter.Ask()
	return m.meter.Collect(m.tb.Context(), m.at())
}

func (m *metering) at() reading.Instant {
	at := m.clock()
	at.BootID = "boot"
	return at
}

// sample is one of the receiver.
func (m *metering) sample() {
	m.tb.Helper()
	s := m.poll()
	m.reading = reading.Reading{
		Instance: &m.instance, At: m.at(), Source: "host", Run: "boot", Counters: m.reading.Counters[:0],
	}
	m.reading.Metered.Add(usage.Running)
	s.Fill(&m.reading, -1)
	for i := range s.GPUs {
		require.NoError(m.tb, s.GPUs[i].Err)
	}
	require.True(m.tb, m.reading.Scanned.HasClass(usage.GPU), "all GPUs answer: driver %s, %v", s.Driver, s.Err)
	m.ledger.Observe(&m.reading)
	m.ledger.EndScan("host", m.reading.At, true)
}

// close closes the period with a sample and returns it.
func (m *metering) close() usage.Period {
	m.tb.Helper()
	m.ledger.Due()
	m.sample()
	ps, _ := m.ledger.Take()
	require.Len(m.tb, ps, 1)
	return ps[0]
}

// realClock reads both clocks of this machine.
func realClock() reading.Instant {
	var boot, wall unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	return reading.Instant{Boot: boot.Nano(), Wall: wall.Nano()}
}
