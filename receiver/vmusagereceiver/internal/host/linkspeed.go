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
		changes, counts = l.count(&k.carrier)
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

// ask reads the speed; it is 0 where it is not known.
func (l *links) ask(name string) int64 {
	f := file{path: filepath.Join(l.folder, name, "speed"), single: true}
	defer f.close()
	bits, _ := parseSpeed(l.read(&f))
	return bits
}

// read returns what a file of sysfs has, and nothing where it cannot be read.
func (l *links) read(f *file) []byte {
	b, _ := f.read(l.buf)
	l.buf = b
	return b
}

// parseSpeed reads a speed in Mbit/s and returns bit/s; see "speed" in
// https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-net. Where it is not
// known there is -1, or that in 32 bits without its sign; some drivers write 0. To read
// it of an interface that is down is an error (EINVAL).
func parseSpeed(b []byte) (bits int64, known bool) {
	text, _ := line(b)
	n, ok := number(text)
	if !ok || n == 0 || n > math.MaxInt32 {
		return 0, false
	}
	return int64(n) * 1_000_000, true
}

// count reads how often the carrier changed.
func (l *links) count(f *file) (changes uint64, ok bool) {
	text, _ := line(l.read(f))
	return number(text)
}
