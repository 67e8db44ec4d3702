package store

import (
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func cloned(s string) string { return strings.Clone(s) }

// read makes i what the attributes of a resource say, and keeps the texts that it has.
func read(i *usage.Instance, a pcommon.Map) {
	was := *i
	labels := was.Labels
	*i = usage.Instance{Labels: labels[:0]}
	for k, v := range a.All() {
		switch k {
		case usage.AttrVMID: // the entry has it
		case usage.AttrVMName:
			i.Name = keep(was.Name, v.AsString())
		case usage.AttrHypervisor:
			i.Hypervisor = keep(was.Hypervisor, v.AsString())
		case usage.AttrHostID:
			i.HostID = keep(was.HostID, v.AsString())
		case usage.AttrHostName:
			i.HostName = keep(was.HostName, v.AsString())
		case usage.AttrUserID:
			i.UserID = keep(was.UserID, v.AsString())
		case usage.AttrOrgID:
			i.OrgID = keep(was.OrgID, v.AsString())
		case attrTagLevel, attrTagRules: // what the threshold processor put there
		default:
			var had usage.Label
			if n := len(i.Labels); n < len(labels) {
				had = labels[:n+1][n]
			}
			i.Labels = append(i.Labels, usage.Label{Key: keep(had.Key, k), Value: keep(had.Value, v.AsString())})
		}
	}
}

// What the threshold processor marks a resource with.
const (
	attrTagLevel = "threshold.level"
	attrTagRules = "threshold.rules"
)

// numbers returns the points of a gauge or a sum; of others there are none.
func numbers(m pmetric.Metric) (dps pmetric.NumberDataPointSlice, n int) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		dps = m.Gauge().DataPoints()
	case pmetric.MetricTypeSum:
		dps = m.Sum().DataPoints()
	default:
		return dps, 0
	}
	return dps, dps.Len()
}

// begin makes l levels of another time: what is not said again is not known any more.
func (l *Levels) begin(at int64) {
	l.previous, l.At = l.At, at
	l.has, l.cpu = 0, 0
	for i := range l.Disks {
		l.Disks[i].has = 0
	}
	for i := range l.Interfaces {
		l.Interfaces[i].has = 0
	}
	for i := range l.Filesystems {
		l.Filesystems[i].has = 0
	}
	for i := range l.GPUs {
		l.GPUs[i].has = 0
	}
}

// take takes over the levels of a resource and returns how many points were too many.
func (l *Levels) take(rm pmetric.ResourceMetrics) (over int) {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			to, known := levels[m.Name()]
			if !known {
				continue
			}
			if to.kind == ofCPU {
				l.cpu = 0 // added up anew, also where the same comes again
			}
			dps, n := numbers(m)
			for i := range n {
				if !l.point(to, dps.At(i)) {
					over++
				}
			}
		}
	}
	l.Disks = slices.DeleteFunc(l.Disks, func(d Disk) bool { return d.has == 0 })
	l.Interfaces = slices.DeleteFunc(l.Interfaces, func(i Interface) bool { return i.has == 0 })
	l.Filesystems = slices.DeleteFunc(l.Filesystems, func(f Filesystem) bool { return f.has == 0 })
	l.GPUs = slices.DeleteFunc(l.GPUs, func(g GPU) bool { return g.has == 0 })
	return over
}

// point takes over a point and reports whether there was room for it.
func (l *Levels) point(to target, dp pmetric.NumberDataPoint) bool {
	v := number(dp)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return true // nothing that JSON could say
	}
	switch to.kind {
	case ofInstance:
		l.set(Scalar(to.index), v)
	case ofSwap:
		l.swap(dp, v)
	case ofCPU:
		l.time(dp, v)
	case ofDisk:
		return l.disk(to, dp)
	case ofInterface:
		return l.network(to, dp)
	case ofFilesystem:
		return l.filesystem(dp)
	case ofGPU:
		return l.gpu(to, dp, v)
	}
	return true
}

func number(dp pmetric.NumberDataPoint) float64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(dp.IntValue())
	}
	return dp.DoubleValue()
}

// whole is a value as an integer: of seconds, the milliseconds.
func whole(to target, dp pmetric.NumberDataPoint) int64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt && !to.seconds {
		return dp.IntValue()
	}
	v := number(dp)
	if to.seconds {
		v *= 1000
	}
	return int64(math.Round(min(max(v, 0), math.MaxInt64/2)))
}

func attr(a pcommon.Map, key string) string {
	if v, ok := a.Get(key); ok && v.Type() == pcommon.ValueTypeStr {
		return v.Str()
	}
	return ""
}

func (l *Levels) swap(dp pmetric.NumberDataPoint, v float64) {
	switch attr(dp.Attributes(), "system.paging.state") {
	case "used":
		l.set(SwapUsed, v)
	case "free":
		l.set(SwapFree, v)
	}
}

// time adds up the modes in which a CPU works.
func (l *Levels) time(dp pmetric.NumberDataPoint, v float64) {
	switch attr(dp.Attributes(), "cpu.mode") {
	case "user", "nice", "system", "interrupt", "softirq":
		l.cpu += int64(math.Round(v * 1e6))
	}
}

func (l *Levels) disk(to target, dp pmetric.NumberDataPoint) bool {
	a := dp.Attributes()
	name, i := attr(a, usage.AttrDevice), to.index
	if to.directed && attr(a, usage.AttrDiskDirection) == "write" {
		i++
	}
	at := slices.IndexFunc(l.Disks, func(d Disk) bool { return d.Device == name })
	if at < 0 {
		if len(l.Disks) >= maxDevices {
			return false
		}
		at = len(l.Disks)
		l.Disks = append(l.Disks, Disk{Device: cloned(name)})
	}
	d := &l.Disks[at]
	d.values[i] = whole(to, dp)
	d.has |= 1 << i
	return true
}

func (l *Levels) network(to target, dp pmetric.NumberDataPoint) bool {
	a := dp.Attributes()
	name, i := attr(a, usage.AttrInterface), to.index
	if to.directed && attr(a, usage.AttrNetworkDirection) == "receive" {
		i++
	}
	at := slices.IndexFunc(l.Interfaces, func(n Interface) bool { return n.Name == name })
	if at < 0 {
		if len(l.Interfaces) >= maxDevices {
			return false
		}
		at = len(l.Interfaces)
		l.Interfaces = append(l.Interfaces, Interface{Name: cloned(name)})
	}
	n := &l.Interfaces[at]
	n.values[i] = whole(to, dp)
	n.has |= 1 << i
	return true
}

func (l *Levels) filesystem(dp pmetric.NumberDataPoint) bool {
	a := dp.Attributes()
	i := FilesystemUsed
	switch attr(a, "system.filesystem.state") {
	case "free":
		i = FilesystemFree
	case "reserved":
		i = FilesystemReserved
	}
	device, mount, kind := attr(a, usage.AttrDevice), attr(a, "system.filesystem.mountpoint"), attr(a, "system.filesystem.type")
	at := slices.IndexFunc(l.Filesystems, func(f Filesystem) bool { return f.MountPoint == mount && f.Device == device })
	if at < 0 {
		if len(l.Filesystems) >= maxDevices {
			return false
		}
		at = len(l.Filesystems)
		l.Filesystems = append(l.Filesystems, Filesystem{Device: cloned(device), MountPoint: cloned(mount), Type: cloned(kind)})
	}
	f := &l.Filesystems[at]
	f.values[i] = whole(target{}, dp)
	f.has |= 1 << i
	return true
}

func (l *Levels) gpu(to target, dp pmetric.NumberDataPoint, v float64) bool {
	a := dp.Attributes()
	if t := attr(a, "hw.type"); t != "" && t != "gpu" {
		return true // hw.temperature is of other hardware, too
	}
	id := attr(a, usage.AttrHardwareID)
	at := slices.IndexFunc(l.GPUs, func(g GPU) bool { return g.ID == id })
	if at < 0 {
		if len(l.GPUs) >= maxDevices {
			return false
		}
		at = len(l.GPUs)
		l.GPUs = append(l.GPUs, GPU{ID: cloned(id), Model: cloned(attr(a, usage.AttrHardwareModel)), Name: cloned(attr(a, "hw.name"))})
	}
	g := &l.GPUs[at]
	g.values[to.index] = v
	g.has |= 1 << to.index
	return true
}
