package host

import (
	"math"
	"path/filepath"
)

// reask is after how many ns of CLOCK_BOOTTIME a link is asked for its speed although
// its carrier did not change: a driver may be told another one, as those of virtual
// devices are.
const reask = 60e9

// links are the speeds of the interfaces that count. A driver asks its device for the
// speed, under the lock of all network configuration, and may take its time; so it is
// asked when the carrier changed, of which the kernel keeps a count that costs no lock,
// and once in a while.
type links struct {
	folder string // of sysfs
	buf    []byte
	known  []link // in the order of the interfaces that count
}

// A link is an interface, and the speed that it had when it was asked.
type link struct {
	device  device
	carrier file // carrier_changes, kept open
	counts  bool // it could be read when the speed was
	changes uint64
	asked   int64 // CLOCK_BOOTTIME ns
	speed   int64 // bit/s; 0 where it is not known
}

// speed is that of the i-th interface in bit/s, if it is known.
func (l *links) speed(i int, d *device, now int64) (bits int64, known bool) {
	if i == len(l.known) {
		l.known = append(l.known, link{})
	}
	k := &l.known[i]
	if k.device != *d {
		k.carrier.close()
		*k = link{device: *d, carrier: file{path: filepath.Join(l.folder, d.name, "carrier_changes"), single: true}, asked: now - reask}
	}
	changes, counts := k.changes, k.counts
	overdue := now-k.asked >= reask
	if counts || overdue {
		changes, counts = l.number(&k.carrier)
	}
	if overdue || changes != k.changes || counts != k.counts {
		// The count is read first: a change after it is seen at the next sample.
		k.changes, k.counts, k.asked = changes, counts, now
		k.speed = l.ask(d.name)
	}
	return k.speed, k.speed > 0
}

// keep forgets all links but the first n.
func (l *links) keep(n int) {
	for i := n; i < len(l.known); i++ {
		l.known[i].carrier.close()
	}
	clear(l.known[n:])
	l.known = l.known[:n]
}

// ask reads the speed, which is in Mbit/s; see "speed" in
// https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-net. An interface
// that is down, and a device without a speed, answer EINVAL, -1 or 4294967295; some
// drivers 0.
func (l *links) ask(name string) int64 {
	f := file{path: filepath.Join(l.folder, name, "speed"), single: true}
	n, ok := l.number(&f)
	f.close()
	if !ok || n > math.MaxInt32 {
		return 0
	}
	return int64(n) * 1_000_000
}

// number is the one that a file of sysfs has, where it can be read and is none below 0.
func (l *links) number(f *file) (uint64, bool) {
	b, err := f.read(l.buf)
	l.buf = b
	if err != nil {
		return 0, false
	}
	text, _ := line(b)
	return number(text)
}
