package vmusagereceiver

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// systemClock reads both clocks, CLOCK_BOOTTIME (clock_gettime(2): it goes on
// while the machine is suspended and nobody sets it) and the wall clock.
func systemClock() reading.Instant {
	var ts unix.Timespec
	// The kernel has had this clock since 2.6.39: there is no error to handle.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return reading.Instant{Boot: ts.Nano(), Wall: time.Now().UnixNano()}
}
