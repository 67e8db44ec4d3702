package view

import (
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// AppendInstance appends what is known of an instance. closed says whether the last closed
// period may be seen: it may be of another owner.
func AppendInstance(b []byte, id string, d *store.Data, fields Fields, closed bool) []byte {
	w := writer{append(b, '{')}
	w.text("id", id)
	w.identity(&d.Instance, fields)
	l := &d.Levels
	if fields&At != 0 {
		if l.At == 0 {
			w.null("at")
		} else {
			w.time("at", l.At)
		}
	}
	if fields&CPU != 0 {
		w.cpu(l)
	}
	if fields&Memory != 0 {
		w.memory(l)
	}
	if fields&Storage != 0 {
		w.storage(l)
	}
	if fields&Disks != 0 {
		w.disks(l)
	}
	if fields&Network != 0 {
		w.network(l)
	}
	if fields&GPUs != 0 {
		w.gpus(l)
	}
	if fields&ProcessCount != 0 {
		w.scalar("process_count", l, store.ProcessCount)
	}
	if fields&Uptime != 0 {
		w.scalar("uptime_seconds", l, store.Uptime)
	}
	if fields&Period != 0 {
		w.period(d, closed)
	}
	if fields&Thresholds != 0 {
		w.thresholds(d)
	}
	w.end('}')
	return w.b
}

func (w *writer) identity(i *usage.Instance, fields Fields) {
	if fields&Name != 0 {
		w.text("name", i.Name)
	}
	if fields&Hypervisor != 0 {
		w.orNull("hypervisor", i.Hypervisor)
	}
	if fields&Host != 0 {
		w.open("host", '{')
		w.orNull("id", i.HostID)
		w.orNull("name", i.HostName)
		w.end('}')
	}
	if fields&UserID != 0 {
		w.orNull("user_id", i.UserID)
	}
	if fields&OrgID != 0 {
		w.orNull("org_id", i.OrgID)
	}
	if fields&Labels != 0 {
		w.open("labels", '{')
		for _, l := range i.Labels {
			w.comma()
			w.b = AppendText(w.b, l.Key)
			w.b = append(w.b, ':')
			w.b = AppendText(w.b, l.Value)
		}
		w.end('}')
	}
}

func (w *writer) scalar(k string, l *store.Levels, s store.Scalar) {
	v, ok := l.Scalar(s)
	w.number(k, v, ok)
}

func (w *writer) cpu(l *store.Levels) {
	w.open("cpu", '{')
	w.scalar("utilization", l, store.CPUUtilization)
	w.scalar("count", l, store.CPUCount)
	w.scalar("load_1m", l, store.Load1)
	w.scalar("load_5m", l, store.Load5)
	w.scalar("load_15m", l, store.Load15)
	w.end('}')
}

func (w *writer) memory(l *store.Levels) {
	w.open("memory", '{')
	w.scalar("utilization", l, store.MemoryUtilization)
	w.scalar("used_bytes", l, store.MemoryUsed)
	w.scalar("limit_bytes", l, store.MemoryLimit)
	w.scalar("free_bytes", l, store.MemoryFree)
	w.scalar("swap_used_bytes", l, store.SwapUsed)
	w.scalar("swap_free_bytes", l, store.SwapFree)
	w.end('}')
}

func (w *writer) storage(l *store.Levels) {
	w.open("storage", '{')
	utilization, ok := l.StorageUtilization()
	w.number("utilization", utilization, ok)
	w.scalar("used_bytes", l, store.StorageUsed)
	w.scalar("limit_bytes", l, store.StorageLimit)
	w.open("filesystems", '[')
	for i := range l.Filesystems {
		f := &l.Filesystems[i]
		w.open("", '{')
		w.text("device", f.Device)
		w.text("mountpoint", f.MountPoint)
		w.text("type", f.Type)
		for v, k := range [...]string{"used_bytes", "free_bytes", "reserved_bytes"} {
			n, ok := f.Value(store.FilesystemValue(v)) //nolint:gosec // an index
			w.integer(k, n, ok)
		}
		w.end('}')
	}
	w.end(']')
	w.end('}')
}

func (w *writer) disks(l *store.Levels) {
	w.open("disks", '[')
	for i := range l.Disks {
		d := &l.Disks[i]
		w.open("", '{')
		w.text("device", d.Device)
		for v, k := range [...]string{"read_bytes", "write_bytes", "read_operations", "write_operations"} {
			n, ok := d.Value(store.DiskValue(v)) //nolint:gosec // an index
			w.integer(k, n, ok)
		}
		n, ok := d.Value(store.DiskReadMillis)
		w.seconds("read_seconds", n, ok)
		n, ok = d.Value(store.DiskWriteMillis)
		w.seconds("write_seconds", n, ok)
		n, ok = d.Value(store.DiskReadsMerged)
		w.integer("read_merged", n, ok)
		n, ok = d.Value(store.DiskWritesMerged)
		w.integer("write_merged", n, ok)
		n, ok = d.Value(store.DiskInProgress)
		w.integer("pending_operations", n, ok)
		n, ok = d.Value(store.DiskIOMillis)
		w.seconds("io_seconds", n, ok)
		n, ok = d.Value(store.DiskWeightedMillis)
		w.seconds("weighted_io_seconds", n, ok)
		w.end('}')
	}
	w.end(']')
}

func (w *writer) network(l *store.Levels) {
	w.open("network", '[')
	for i := range l.Interfaces {
		n := &l.Interfaces[i]
		w.open("", '{')
		w.text("interface", n.Name)
		for v, k := range [...]string{
			"transmit_bytes", "receive_bytes", "transmit_packets", "receive_packets",
			"transmit_errors", "receive_errors", "transmit_dropped", "receive_dropped", "speed_bits_per_second",
		} {
			c, ok := n.Value(store.InterfaceValue(v)) //nolint:gosec // an index
			w.integer(k, c, ok)
		}
		w.end('}')
	}
	w.end(']')
}

func (w *writer) gpus(l *store.Levels) {
	w.open("gpus", '[')
	for i := range l.GPUs {
		g := &l.GPUs[i]
		w.open("", '{')
		w.text("id", g.ID)
		w.orNull("name", g.Name)
		w.orNull("model", g.Model)
		for v, k := range [...]string{
			"utilization", "memory_used_bytes", "memory_limit_bytes", "memory_utilization",
			"temperature_celsius", "power_watts", "energy_joules",
		} {
			n, ok := g.Value(store.GPUValue(v)) //nolint:gosec // an index
			w.number(k, n, ok)
		}
		w.end('}')
	}
	w.end(']')
}
