package store

import (
	"sync"
	"time"
	"unsafe"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// An Entry is what is known of one instance. It is safe for concurrent use.
type Entry struct {
	id string

	mu   sync.RWMutex
	data Data
	dead bool  // no longer in the store: what is written to it is lost
	size int64 // as it is counted in the store
}

// Data is what is known of an instance.
type Data struct {
	Instance usage.Instance
	Levels   Levels
	Closed   *Closed // nil where no period came yet
	States   []State // sorted by rule, then series
	Version  uint64  // of the last change, which no other change of any instance has

	// handedOver is when the last levels of another owner were; 0 where there was none.
	handedOver int64
	// arrived is when the last levels came, and interval how long after those before.
	arrived  time.Time
	interval time.Duration
	regular  bool // levels came twice: how long the next take is the interval
	// touched is when anything came.
	touched time.Time
}

// ID is the instance's id.
func (e *Entry) ID() string { return e.id }

// Read calls f with what is known, which is valid until f returns. It reports false,
// without a call, where the instance is gone.
func (e *Entry) Read(f func(*Data)) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.dead {
		return false
	}
	f(&e.data)
	return true
}

// Level is the worst level of its rules.
func (d *Data) Level() usage.ThresholdLevel {
	worst := usage.LevelOK
	for i := range d.States {
		worst = max(worst, d.States[i].Level)
	}
	return worst
}

// sizeLocked estimates the memory of the entry: structs, slices as they are allotted,
// strings, its place in the map and in the sorted list.
func (e *Entry) sizeLocked() int64 {
	const perEntry = 96
	d := &e.data
	n := perEntry + int(unsafe.Sizeof(*e)) + len(e.id) + instanceSize(&d.Instance)
	l := &d.Levels
	n += cap(l.Disks) * int(unsafe.Sizeof(Disk{}))
	n += cap(l.Interfaces) * int(unsafe.Sizeof(Interface{}))
	n += cap(l.Filesystems) * int(unsafe.Sizeof(Filesystem{}))
	n += cap(l.GPUs) * int(unsafe.Sizeof(GPU{}))
	n += cap(d.States) * int(unsafe.Sizeof(State{}))
	for i := range l.Disks {
		n += stringSize(l.Disks[i].Device)
	}
	for i := range l.Interfaces {
		n += stringSize(l.Interfaces[i].Name)
	}
	for i := range l.Filesystems {
		f := &l.Filesystems[i]
		n += stringSize(f.Device) + stringSize(f.MountPoint) + stringSize(f.Type)
	}
	for i := range l.GPUs {
		g := &l.GPUs[i]
		n += stringSize(g.ID) + stringSize(g.Model) + stringSize(g.Name)
	}
	for i := range d.States {
		n += stringSize(d.States[i].Rule) + stringSize(d.States[i].Series)
	}
	if d.Closed != nil {
		n += int(unsafe.Sizeof(Closed{})) + stringSize(d.Closed.UserID) + stringSize(d.Closed.OrgID)
	}
	return int64(n)
}

func instanceSize(i *usage.Instance) int {
	n := cap(i.Labels) * int(unsafe.Sizeof(usage.Label{}))
	for _, s := range [...]string{i.Name, i.Hypervisor, i.HostID, i.HostName, i.UserID, i.OrgID} {
		n += stringSize(s)
	}
	for _, l := range i.Labels {
		n += stringSize(l.Key) + stringSize(l.Value)
	}
	return n
}

// stringSize is what the text of a string takes: what is allotted is a multiple of 8.
func stringSize(s string) int { return (len(s) + 7) &^ 7 }

// keep returns had where it is the same text, which costs nothing, and else a copy:
// what comes in may be a part of something large.
func keep(had, now string) string {
	if had == now {
		return had
	}
	return cloned(now)
}
