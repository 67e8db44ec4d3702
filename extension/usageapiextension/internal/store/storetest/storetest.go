// Package storetest makes metrics of machines for tests.
package storetest

import (
	"fmt"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// A VM is a machine with a disk, an interface, a file system and a GPU.
type VM struct {
	Instance usage.Instance
	CPU      float64 // utilization
	Busy     float64 // s since boot
	Memory   float64 // utilization of 8 GiB
	Received int64   // By
	States   []usage.ThresholdState

	n int
}

// Machine returns the n-th machine. Its owner is user-n of org-0.
func Machine(n int) *VM {
	return &VM{
		Instance: usage.Instance{
			ID: fmt.Sprintf("vm-%05d", n), Name: fmt.Sprintf("web-%d", n), Hypervisor: "qemu",
			HostID: "3d1219c7c4c5404aaa1f6d2a48adfda4", HostName: "rack7-node3",
			UserID: fmt.Sprintf("user-%d", n), OrgID: "org-0", Labels: []usage.Label{{Key: "env", Value: "prod"}},
		},
		CPU: 0.25, Busy: 100, Memory: 0.5, Received: 1 << 20, n: n,
	}
}

// Levels returns its levels at a time in unix ns.
func (m *VM) Levels(at int64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	usage.PutResource(rm.Resource(), &m.Instance)
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	w := writer{ms, pcommon.Timestamp(at)} //nolint:gosec // after 1970
	w.gauge("vm.cpu.utilization", m.CPU)
	w.whole("vm.cpu.logical.count", 4)
	w.gauge("vm.cpu.load_average.1m", 1.25)
	w.gauge("vm.cpu.load_average.5m", 0.5)
	w.gauge("vm.cpu.load_average.15m", 0.1)
	w.gauge("vm.cpu.time", m.Busy, "cpu.mode", "user")
	w.gauge("vm.cpu.time", 1000, "cpu.mode", "idle")
	w.gauge("vm.memory.utilization", m.Memory)
	w.whole("vm.memory.usage", int64(m.Memory*(8<<30)))
	w.whole("vm.memory.limit", 8<<30)
	w.whole("vm.memory.free", 3<<30)
	w.whole("vm.paging.usage", 1<<20, "system.paging.state", "used")
	w.whole("vm.paging.usage", 3<<20, "system.paging.state", "free")
	w.whole("vm.storage.usage", 10<<30)
	w.whole("vm.storage.limit", 40<<30)
	w.whole("vm.process.count", 123)
	w.gauge("vm.uptime", 4567.5)
	for i, direction := range []string{"read", "write"} {
		disk := []string{"system.device", "vda", "disk.io.direction", direction}
		w.whole("vm.disk.io", []int64{454_138 * 512, 66_016 * 512}[i], disk...)
		w.whole("vm.disk.operations", []int64{4824, 357}[i], disk...)
		w.gauge("vm.disk.operation_time", []float64{1.588, 0.275}[i], disk...)
		w.whole("vm.disk.merged", []int64{2830, 3325}[i], disk...)
	}
	w.whole("vm.disk.pending_operations", 2, "system.device", "vda")
	w.gauge("vm.disk.io_time", 0.756, "system.device", "vda")
	w.gauge("vm.disk.weighted_io_time", 2.011, "system.device", "vda")
	for i, direction := range []string{"transmit", "receive"} {
		nic := []string{"network.interface.name", "eth0", "network.io.direction", direction}
		w.whole("vm.network.io", []int64{14_385, m.Received}[i], nic...)
		w.whole("vm.network.packet.count", []int64{166, 228}[i], nic...)
		w.whole("vm.network.errors", []int64{1, 2}[i], nic...)
		w.whole("vm.network.packet.dropped", []int64{3, 4}[i], nic...)
	}
	w.whole("vm.network.speed", 10_000_000_000, "network.interface.name", "eth0")
	for i, state := range []string{"used", "free", "reserved"} {
		w.whole("vm.filesystem.usage", []int64{10 << 30, 28 << 30, 2 << 30}[i], "system.device", "vda1",
			"system.filesystem.mountpoint", "/", "system.filesystem.type", "ext4", "system.filesystem.state", state)
	}
	gpu := []string{"hw.id", "GPU-8c9f2d1e-0000-4000-8000-000000000001", "hw.type", "gpu", "hw.model", "NVIDIA H100", "hw.name", "GPU 3"}
	w.gauge("hw.gpu.utilization", 0.75, gpu...)
	w.whole("hw.gpu.memory.usage", 20<<30, gpu...)
	w.whole("hw.gpu.memory.limit", 80<<30, gpu...)
	w.gauge("hw.gpu.memory.utilization", 0.25, gpu...)
	w.gauge("hw.temperature", 61.5, gpu...)
	w.gauge("hw.power", 312.25, gpu...)
	w.gauge("hw.energy", 1234.5, gpu...)
	usage.AppendThresholdStates(ms, m.States)
	return md
}

// Period returns a period of it.
func (m *VM) Period(sequence uint64, start, end int64) *usage.Period {
	p := usagetest.Host(uint64(m.n)) //nolint:gosec // not negative
	p.Instance = m.Instance
	p.Instance.Labels = append([]usage.Label(nil), m.Instance.Labels...)
	p.Stream.ID = uuid.NewSHA1(uuid.Nil, []byte(m.Instance.ID))
	p.Stream.Start = 0
	p.Sequence, p.Start, p.End, p.Duration = sequence, start, end, end-start
	return p
}

type writer struct {
	metrics pmetric.MetricSlice
	at      pcommon.Timestamp
}

func (w writer) gauge(name string, v float64, attrs ...string) {
	w.point(name, attrs).SetDoubleValue(v)
}

func (w writer) whole(name string, v int64, attrs ...string) { w.point(name, attrs).SetIntValue(v) }

func (w writer) point(name string, attrs []string) pmetric.NumberDataPoint {
	n := w.metrics.Len()
	if n == 0 || w.metrics.At(n-1).Name() != name {
		m := w.metrics.AppendEmpty()
		m.SetName(name)
		m.SetEmptyGauge()
		n++
	}
	dp := w.metrics.At(n - 1).Gauge().DataPoints().AppendEmpty()
	dp.SetTimestamp(w.at)
	for i := 0; i < len(attrs); i += 2 {
		dp.Attributes().PutStr(attrs[i], attrs[i+1])
	}
	return dp
}
