package view

import (
	"math"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
)

// AppendLegacy appends an instance in the shape of the service before this one:
// integers in fixed units, and 0 where something is not known.
func AppendLegacy(b []byte, id string, d *store.Data) []byte {
	w := writer{append(b, '{')}
	l := &d.Levels
	w.integer("timestamp", l.At/1e9, true)
	w.text("instance_id", id)
	account := d.Instance.UserID
	if account == "" {
		account = d.Instance.OrgID
	}
	w.orNull("account_id", account)
	w.open("cpu", '{')
	cpu, _ := l.Scalar(store.CPUUtilization)
	w.number("usage_pct", cpu*100, true)
	w.count("process_count", l, store.ProcessCount)
	w.end('}')
	w.legacyMemory(l)
	w.legacyDisks(l)
	w.legacyNetwork(l)
	w.legacyGPUs(l)
	w.open("load", '{')
	for i, k := range [...]string{"load1", "load5", "load15"} {
		v, _ := l.Scalar(store.Load1 + store.Scalar(i)) //nolint:gosec // an index
		w.integer(k, int64(math.Round(v*100)), true)
	}
	w.end('}')
	w.end('}')
	return w.b
}

func (w *writer) count(k string, l *store.Levels, s store.Scalar) {
	v, _ := l.Scalar(s)
	w.integer(k, int64(v), true)
}

func (w *writer) legacyMemory(l *store.Levels) {
	used, _ := l.Scalar(store.MemoryUsed)
	limit, _ := l.Scalar(store.MemoryLimit)
	available := max(limit-used, 0)
	free, _ := l.Scalar(store.MemoryFree)
	swapUsed, _ := l.Scalar(store.SwapUsed)
	swapFree, _ := l.Scalar(store.SwapFree)
	w.open("memory", '{')
	for _, v := range [...]struct {
		k string
		n float64
	}{
		{"total", limit},
		{"free", free},
		{"available", available},
		{"used", used},
		{"total_swap", swapUsed + swapFree},
		{"used_swap", swapUsed},
	} {
		w.integer(v.k, int64(v.n), true)
	}
	w.end('}')
}

// sector is 512 bytes in /proc/diskstats, whatever the device's own.
const sector = 512

func (w *writer) legacyDisks(l *store.Levels) {
	w.open("disks", '[')
	for i := range l.Disks {
		d := &l.Disks[i]
		w.open("", '{')
		w.text("device_name", d.Device)
		for _, v := range [...]struct {
			k     string
			value store.DiskValue
			unit  int64
		}{
			{"reads_completed", store.DiskReads, 1},
			{"reads_merged", store.DiskReadsMerged, 1},
			{"sectors_read", store.DiskReadBytes, sector},
			{"time_reading", store.DiskReadMillis, 1},
			{"writes_completed", store.DiskWrites, 1},
			{"writes_merged", store.DiskWritesMerged, 1},
			{"sectors_written", store.DiskWriteBytes, sector},
			{"time_writing", store.DiskWriteMillis, 1},
			{"io_in_progress", store.DiskInProgress, 1},
			{"time_doing_io", store.DiskIOMillis, 1},
			{"weighted_time_doing_io", store.DiskWeightedMillis, 1},
		} {
			n, _ := d.Value(v.value)
			w.integer(v.k, n/v.unit, true)
		}
		w.end('}')
	}
	w.end(']')
}

func (w *writer) legacyNetwork(l *store.Levels) {
	w.open("network", '{')
	w.open("interfaces", '[')
	for i := range l.Interfaces {
		n := &l.Interfaces[i]
		w.open("", '{')
		w.text("name", n.Name)
		for _, v := range [...]struct {
			k     string
			value store.InterfaceValue
		}{
			{"bytes_sent", store.TransmitBytes},
			{"bytes_received", store.ReceiveBytes},
			{"packets_sent", store.TransmitPackets},
			{"packets_received", store.ReceivePackets},
			{"errors_in", store.ReceiveErrors},
			{"errors_out", store.TransmitErrors},
			{"drops_in", store.ReceiveDropped},
			{"drops_out", store.TransmitDropped},
		} {
			c, _ := n.Value(v.value)
			w.integer(v.k, c, true)
		}
		speed, _ := n.Value(store.Speed)
		w.integer("speed", speed/1_000_000, true) // Mbit/s, as /sys/class/net has it
		w.end('}')
	}
	w.end(']')
	w.end('}')
}

func (w *writer) legacyGPUs(l *store.Levels) {
	w.open("gpus", '[')
	for i := range l.GPUs {
		g := &l.GPUs[i]
		w.open("", '{')
		w.integer("index", gpuIndex(g.Name, i), true)
		w.text("model", g.Model)
		for _, v := range [...]struct {
			k     string
			value store.GPUValue
			times float64
		}{
			{"utilization_bps", store.GPUUtilization, 10_000},
			{"memory_usage_bps", store.GPUMemoryUtilization, 10_000},
			{"temperature_deci_c", store.GPUTemperature, 10},
			{"power_draw_deci_w", store.GPUPower, 10},
		} {
			n, _ := g.Value(v.value)
			w.integer(v.k, int64(math.Round(n*v.times)), true)
		}
		w.end('}')
	}
	w.end(']')
}

// gpuIndex is the number in "GPU 3" or "GPU 3 MIG 1", and the place in the list where there is
// none.
func gpuIndex(name string, place int) int64 {
	rest, _ := strings.CutPrefix(name, "GPU ")
	number, _, _ := strings.Cut(rest, " ")
	if n, err := strconv.ParseUint(number, 10, 32); err == nil {
		return int64(n) //nolint:gosec // 32 bits
	}
	return int64(place)
}
