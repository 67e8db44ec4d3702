package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// procTotals reads this machine's counters by hand, the way the documents of
// the kernel say, in the units of the meters. It shares no code with the receiver.
func procTotals(t *testing.T, disks, interfaces []string) usage.Amounts {
	t.Helper()
	var a usage.Amounts
	lines := func(path string) [][]string {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var fields [][]string
		for line := range strings.Lines(string(data)) {
			fields = append(fields, strings.Fields(strings.Replace(line, ":", " ", 1)))
		}
		return fields
	}
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		require.NoError(t, err)
		return n
	}
	const tick = 10_000 // us: USER_HZ is 100
	for _, f := range lines("/proc/stat") {
		if f[0] == "cpu" { // user nice system idle iowait irq softirq steal
			for _, i := range []int{1, 2, 3, 6, 7} {
				a[usage.CPUTime] += number(f[i]) * tick
			}
			a[usage.CPUSteal] = number(f[8]) * tick
		}
	}
	for _, f := range lines("/proc/diskstats") {
		for _, d := range disks {
			if f[2] == d {
				a[usage.DiskReadOperations] += number(f[3])
				a[usage.DiskReadBytes] += number(f[5]) * 512
				a[usage.DiskWriteOperations] += number(f[7])
				a[usage.DiskWriteBytes] += number(f[9]) * 512
			}
		}
	}
	for _, f := range lines("/proc/net/dev") {
		for _, i := range interfaces {
			if f[0] == i {
				a[usage.NetworkReceiveBytes] += number(f[1])
				a[usage.NetworkReceivePackets] += number(f[2])
				a[usage.NetworkTransmitBytes] += number(f[9])
				a[usage.NetworkTransmitPackets] += number(f[10])
			}
		}
	}
	return a
}

// counted are the meters that procTotals reads.
var counted = []usage.Meter{
	usage.CPUTime, usage.CPUSteal,
	usage.DiskReadBytes, usage.DiskWriteBytes, usage.DiskReadOperations, usage.DiskWriteOperations,
	usage.NetworkTransmitBytes, usage.NetworkReceiveBytes, usage.NetworkTransmitPackets, usage.NetworkReceivePackets,
}

// memTotal is MemTotal of /proc/meminfo in bytes.
func memTotal(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/meminfo")
	require.NoError(t, err)
	f := strings.Fields(string(data))
	require.Equal(t, "MemTotal:", f[0])
	n, err := strconv.ParseInt(f[1], 10, 64)
	require.NoError(t, err)
	return n << 10
}
