package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A kernel is what the kernel counts of this machine: the disks and interfaces
// that a collector meters, and lo.
type kernel struct{ disks, interfaces []string }

func thisKernel(t *testing.T) *kernel {
	t.Helper()
	k := &kernel{interfaces: []string{"lo"}}
	entries, err := os.ReadDir("/sys/class/net")
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join("/sys/class/net", e.Name(), "device")); err == nil {
			k.interfaces = append(k.interfaces, e.Name())
		}
	}
	entries, err = os.ReadDir("/sys/block")
	require.NoError(t, err)
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, "loop") && !strings.HasPrefix(n, "ram") && !strings.HasPrefix(n, "zram") {
			if slaves, _ := os.ReadDir(filepath.Join("/sys/block", n, "slaves")); len(slaves) == 0 {
				k.disks = append(k.disks, n)
			}
		}
	}
	return k
}

// set is the configuration that has a [node] meter lo, too.
func (k *kernel) set() string {
	return "receivers::vm_usage::host::network::include=[" + strings.Join(k.interfaces, ",") + "]"
}

// A count is what the kernel had counted at or just after an instant.
type count struct {
	at time.Time
	usage.Amounts
}

// read reads the counters by hand, the way the documents of the kernel say, in
// the units of the meters. It shares no code with the receiver.
func (k *kernel) read(t *testing.T) count {
	t.Helper()
	at := time.Now()
	return count{at, procTotals(t, k.disks, k.interfaces)}
}

// within checks that what was metered is no more than was counted between the
// outer counts, and no less than between the inner ones.
func (p *proof) within(t *testing.T, outerStart, innerStart, innerEnd, outerEnd count) {
	t.Helper()
	for _, m := range counted {
		assert.LessOrEqual(t, p.sums[m], outerEnd.Amounts[m]-outerStart.Amounts[m], "%s exceeds what the kernel counted", m)
		assert.GreaterOrEqual(t, p.sums[m], innerEnd.Amounts[m]-innerStart.Amounts[m], "%s misses what the kernel counted", m)
	}
}

// firstAfter returns the first of the counts that lies after an instant in unix ns.
func firstAfter(t *testing.T, counts []count, ns int64) count {
	t.Helper()
	for _, c := range counts {
		if c.at.UnixNano() > ns {
			return c
		}
	}
	t.Fatal("no count lies after the first event")
	return count{}
}

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
