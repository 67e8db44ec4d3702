package host

import (
	"fmt"
	"iter"
	"slices"
)

// A class of devices is a file with a line for each of them, and a folder of
// sysfs that says what they are.
type class[T any] struct {
	file    file
	header  int // lines before the first device
	split   func(line []byte) (name, values []byte, err error)
	parse   func(values []byte, into *T) error
	folder  string // in sysfs; without it nobody can tell what counts
	examine func(name string) device

	known []device // in the order of the lines
	spare []device
	lines []byte // of the last read
	took  []T    // of the devices that count, in the order of known
	err   error  // of the last read or look
}

// A device is a name in the file, and what sysfs says of it.
type device struct {
	name   string
	counts bool
	birth  uint64 // of the very device behind the name; 0 where it does not count
}

// take reads the file and reports whether it has the devices that are known,
// in the same order. Only then is what it took of use.
func (c *class[T]) take() bool {
	c.lines, c.err = c.file.read(c.lines)
	return c.err == nil && c.scan(c.lines)
}

func (c *class[T]) scan(b []byte) bool {
	c.took = c.took[:0]
	for range c.header {
		_, b = line(b)
	}
	i := 0
	for len(b) > 0 {
		var l, name, values []byte
		if l, b = line(b); len(l) == 0 {
			continue
		}
		if name, values, c.err = c.split(l); c.err != nil {
			return false
		}
		if i == len(c.known) || c.known[i].name != string(name) {
			return false
		}
		if c.known[i].counts {
			var v T
			c.took = append(c.took, v)
			if c.err = c.parse(values, &c.took[len(c.took)-1]); c.err != nil {
				c.err = fmt.Errorf("%s: %w", name, c.err)
				return false
			}
		}
		i++
	}
	return i == len(c.known)
}

// learn examines every device of the last read and reports whether anything is
// not as it was known.
func (c *class[T]) learn() (changed bool) {
	if !exists(c.folder) {
		c.known = c.known[:0]
		c.err = fmt.Errorf("%s is not there: mount the machine's sys below root_path", c.folder)
		return false
	}
	next, b := c.spare[:0], c.lines
	for range c.header {
		_, b = line(b)
	}
	for len(b) > 0 {
		var l []byte
		if l, b = line(b); len(l) == 0 {
			continue
		}
		name, _, err := c.split(l)
		if err != nil {
			c.err = err
			return false
		}
		next = append(next, c.examine(string(name)))
	}
	changed = !slices.Equal(c.known, next)
	c.known, c.spare = next, c.known
	return changed
}

// all visits the devices that count, with what the last read took of them.
func (c *class[T]) all() iter.Seq2[*device, *T] {
	return func(yield func(*device, *T) bool) {
		i := 0
		for k := range c.known {
			if !c.known[k].counts {
				continue
			}
			if !yield(&c.known[k], &c.took[i]) {
				return
			}
			i++
		}
	}
}

// part is a class as the sandwich sees it.
type part interface {
	take() bool
	learn() bool
	failed() error
}

func (c *class[T]) failed() error { return c.err }

const (
	// maxLooks bounds how often a sample looks anew while devices keep changing.
	maxLooks = 5
	// reexamine is after how many ns of CLOCK_BOOTTIME sysfs is asked although
	// nothing was announced: that an interface got a master is not.
	reexamine = 300e9
)

// A watch takes counters of devices so that each is of the device that it is
// taken for. The kernel counts the events that announce devices; while that
// counter stands still, nothing came, went or was renamed. When it moved, all
// are examined, and what was taken is good if they are as they were known
// before it was taken: births are never given twice.
type watch struct {
	events   file // /sys/kernel/uevent_seqnum
	buf      []byte
	last     uint64
	examined int64 // CLOCK_BOOTTIME ns
}

// take takes all parts, those without an error being good unless it returns one.
func (w *watch) take(now int64, parts ...part) error {
	overdue := now-w.examined >= reexamine
	for range maxLooks {
		same := true
		for _, p := range parts {
			ok := p.take() || p.failed() != nil
			same = same && ok
		}
		// The devices are read first, then the counter: a device that comes in
		// between is seen at the next sample, and one that took a name of
		// another can only do so after an event.
		if !w.moved() && same && !overdue {
			return nil
		}
		overdue = false
		w.examined = now
		changed := false
		for _, p := range parts {
			if p.failed() == nil {
				changed = p.learn() || changed
			}
		}
		if !changed {
			return nil
		}
	}
	return fmt.Errorf("devices changed at each of %d looks: the next sample tries again", maxLooks)
}

// moved reports whether devices came or went since it was last asked, as far as
// it can tell: where there is no counter it says so always.
func (w *watch) moved() bool {
	b, err := w.events.read(w.buf)
	w.buf = b
	l, _ := line(b)
	n, ok := number(l)
	if err != nil || !ok {
		return true
	}
	was := w.last
	w.last = n
	return n != was
}
