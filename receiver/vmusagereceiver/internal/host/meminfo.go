package host

import (
	"fmt"
	"math"
)

// Memory in bytes.
type Memory struct {
	Total, Available, Free uint64
	Buffers, Cached        uint64 // page cache of devices and of files; shared memory is in the latter
	Shared                 uint64 // tmpfs and shared memory
	Reclaimable            uint64 // slab that can be had back
	SwapTotal, SwapFree    uint64
}

// Used is what is not available without swapping.
func (m *Memory) Used() uint64 { return m.Total - min(m.Available, m.Total) }

// SwapUsed is what lies in swap space.
func (m *Memory) SwapUsed() uint64 { return m.SwapTotal - min(m.SwapFree, m.SwapTotal) }

// parseMeminfo reads /proc/meminfo; see proc_meminfo(5) and
// https://docs.kernel.org/filesystems/proc.html, "meminfo". Before Linux 3.14
// there is no MemAvailable. What free(1) reckoned then stands in for it: free
// memory, page cache without shared memory, and reclaimable slab.
//
//	MemTotal:       24685132 kB
//	MemFree:        23993012 kB
//	MemAvailable:   24167456 kB
func parseMeminfo(b []byte) (m Memory, err error) {
	const (
		total = 1 << iota
		available
		slab
		swap
		all = total | available | slab | swap
	)
	seen := 0
	for len(b) > 0 && seen != all {
		var l []byte
		l, b = line(b)
		name, l := field(l)
		var into *uint64
		switch string(name) {
		case "MemTotal:":
			into, seen = &m.Total, seen|total
		case "MemAvailable:":
			into, seen = &m.Available, seen|available
		case "MemFree:":
			into = &m.Free
		case "Buffers:":
			into = &m.Buffers
		case "Cached:":
			into = &m.Cached
		case "Shmem:":
			into = &m.Shared
		case "SReclaimable:": // the last of those wanted
			into, seen = &m.Reclaimable, seen|slab
		case "SwapTotal:":
			into = &m.SwapTotal
		case "SwapFree:":
			into, seen = &m.SwapFree, seen|swap
		default:
			continue
		}
		f, _ := field(l)
		n, ok := number(f)
		if !ok || n > math.MaxInt64>>13 { // so that sums fit, too
			return Memory{}, fmt.Errorf("meminfo: %s %q: %w", name, f, errFormat)
		}
		*into = n << 10
	}
	if seen&total == 0 {
		return Memory{}, fmt.Errorf("meminfo: no MemTotal: %w", errFormat)
	}
	if seen&available == 0 {
		m.Available = min(m.Free+m.Buffers+m.Cached-min(m.Shared, m.Cached)+m.Reclaimable, m.Total)
	}
	return m, nil
}
