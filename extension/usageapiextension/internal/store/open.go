package store

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// Open is the period that is under way, as far as counters tell: CPU time and what
// went over disks and interfaces. What is averaged over time is only known when a
// period is closed.
type Open struct {
	Start, End int64 // unix ns; the last closed period's end, the newest levels
	Metered    usage.MeterSet
	Usage      usage.Amounts
}

// Open returns the period that is under way. ok is false where it is not known when
// it began: no period was closed since the store is there, or the levels of the
// moment at which the last one was did not come.
func (d *Data) Open() (o Open, ok bool) {
	c, l := d.Closed, &d.Levels
	if c == nil || l.At <= c.End || c.End < d.handedOver {
		return o, false
	}
	o.Start, o.End = c.End, l.At
	if l.marked >= 0 && l.cpu >= l.marked {
		o.Metered.Add(usage.CPUTime)
		o.Usage[usage.CPUTime] = l.cpu - l.marked
	}
	for i := range l.Disks {
		o.device(usage.Disk, l.Disks[i].values[:usage.DeviceMeters], &l.Disks[i].mark)
	}
	for i := range l.Interfaces {
		o.device(usage.Interface, l.Interfaces[i].values[:usage.DeviceMeters], &l.Interfaces[i].mark)
	}
	return o, o.Metered != 0
}

// device adds what a device counted since the mark. One that was not there then, or
// that began anew, is left out.
func (o *Open) device(c usage.Class, now []int64, m *mark) {
	if !m.known {
		return
	}
	for i := range m.values {
		if now[i] < m.values[i] {
			return
		}
	}
	o.Metered.AddClass(c)
	for i := range m.values {
		o.Usage[c.Meter(i)] += now[i] - m.values[i]
	}
}

// marks notes the counters where the levels are those of the end of the last closed
// period: periods end at a reading, and the reading's levels have its time.
func (d *Data) marks() {
	c, l := d.Closed, &d.Levels
	if c == nil || c.End != l.At {
		return
	}
	l.marked = l.cpu
	for i := range l.Disks {
		e := &l.Disks[i]
		e.mark = mark{[usage.DeviceMeters]int64(e.values[:usage.DeviceMeters]), e.has&0xf == 0xf}
	}
	for i := range l.Interfaces {
		e := &l.Interfaces[i]
		e.mark = mark{[usage.DeviceMeters]int64(e.values[:usage.DeviceMeters]), e.has&0xf == 0xf}
	}
}

// unmark forgets the marks: another period was closed.
func (l *Levels) unmark() {
	l.marked = -1
	for i := range l.Disks {
		l.Disks[i].mark = mark{}
	}
	for i := range l.Interfaces {
		l.Interfaces[i].mark = mark{}
	}
}
