package host

import (
	"bytes"
	"fmt"
)

// Ticks of the CPUs since boot, in USER_HZ (100 a second on Linux, whatever
// the kernel's own HZ). Idle and IOWait can go down. Guest is in User already,
// and GuestNice in Nice.
type Ticks struct {
	User, Nice, System, Idle, IOWait, IRQ, SoftIRQ, Steal, Guest, GuestNice uint64
}

const (
	ticksPerSecond = 100
	microsPerTick  = 1_000_000 / ticksPerSecond
)

// BusyMicros is the time that the CPUs worked: all but idle, iowait and steal.
func (t Ticks) BusyMicros() uint64 {
	return (t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ) * microsPerTick
}

// StealMicros is the time that the CPUs were ready to work and not run.
func (t Ticks) StealMicros() uint64 { return t.Steal * microsPerTick }

// parseStat reads the CPU lines of /proc/stat; see proc_stat(5) and
// https://docs.kernel.org/filesystems/proc.html, 1.7. It needs no more of the
// file than these and the start of the line after them; whole is false where b
// ends before that. The line after them counts every interrupt and is most of
// the file on a large machine.
//
//	cpu  675 0 867 214013 50 0 11 14 0 0
//	cpu0 264 0 290 107235 1 0 4 5 0 0
//	intr 75729 0 0 ...
func parseStat(b []byte) (t Ticks, online int, whole bool, err error) {
	l, rest := line(b)
	name, l := field(l)
	if string(name) != "cpu" {
		return t, 0, false, fmt.Errorf("stat: its first line is not cpu: %w", errFormat)
	}
	var v [10]uint64
	// Seven numbers have been there since Linux 2.6.0, steal since 2.6.11,
	// guest since 2.6.24, guest_nice since 2.6.33.
	if n, ok := numbers(l, v[:]); !ok || n < 7 {
		return t, 0, false, fmt.Errorf("stat: %d numbers on the cpu line: %w", n, errFormat)
	}
	for i, n := range v[:8] {
		if n > maxTicks {
			return t, 0, false, fmt.Errorf("stat: %d ticks in column %d: %w", n, i+1, errFormat)
		}
	}
	for bytes.HasPrefix(rest, []byte("cpu")) {
		online++
		_, rest = line(rest)
	}
	return Ticks{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9]}, online, len(rest) >= len("cpu"), nil
}

// maxTicks is more than 8192 CPUs have in 50 years; sums of it in microseconds
// fit into 63 bits.
const maxTicks = 1 << 47

// Load is what /proc/loadavg says.
type Load struct {
	Average  [3]float64 // of threads that ran or waited, over 1, 5 and 15 minutes
	Runnable uint64     // threads that run or could, now
	Threads  uint64     // that exist
}

// parseLoad reads /proc/loadavg; see proc_loadavg(5).
//
//	0.00 0.01 0.05 1/77 1750
func parseLoad(b []byte) (load Load, err error) {
	l, _ := line(b)
	for i := range load.Average {
		var f []byte
		f, l = field(l)
		whole, frac, ok := bytes.Cut(f, []byte("."))
		w, ok1 := number(whole)
		h, ok2 := number(frac)
		if !ok || !ok1 || !ok2 || len(frac) != 2 {
			return Load{}, fmt.Errorf("loadavg: %q: %w", f, errFormat)
		}
		load.Average[i] = float64(w) + float64(h)/100
	}
	f, _ := field(l)
	running, all, ok := bytes.Cut(f, []byte("/"))
	var ok1, ok2 bool
	load.Runnable, ok1 = number(running)
	load.Threads, ok2 = number(all)
	if !ok || !ok1 || !ok2 {
		return Load{}, fmt.Errorf("loadavg: %q: %w", f, errFormat)
	}
	return load, nil
}
