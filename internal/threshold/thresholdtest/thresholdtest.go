// Package thresholdtest makes rules and metrics for benchmarks and tests.
package thresholdtest

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Fleet is for how many instances rules are written. The first of them are there.
const Fleet = 40_000

// Document returns n rules as a hosting company may have them: ten are for every
// owned instance, ten have patterns, a tenth of the others is for an organization
// and a label, the rest for one instance or one user each. A third of them are
// quotas. Nothing of [Batch] violates them.
func Document(n int) []byte {
	var b strings.Builder
	b.WriteString("[\n")
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"id": "rule-%d", %s, "selector": %s}`, i, what(i), selector(i))
	}
	b.WriteString("\n]\n")
	return []byte(b.String())
}

func what(i int) string {
	switch i % 3 {
	case 0:
		return `"resource": "cpu", "type": "percentage", "warning": 80, "critical": 95, "clear": 70, "for": "1m"`
	case 1:
		return `"resource": "memory", "type": "absolute", "unit": "GiBy", "warning": 80`
	default:
		return `"resource": "network_egress", "type": "percentage", "limit": 1, "unit": "PBy", "window": "month", "timezone": "Europe/Berlin", "warning": 80`
	}
}

func selector(i int) string {
	switch {
	case i < 10:
		return `{"user_id": "*"}`
	case i < 20:
		return fmt.Sprintf(`{"instance_id": "other-*-%d"}`, i)
	case i%10 == 0:
		return fmt.Sprintf(`{"org_id": "org-%d", "labels": {"env": "prod"}}`, i/10)
	case i%2 == 0:
		return fmt.Sprintf(`{"user_id": "user-%d"}`, i%Fleet)
	default:
		return fmt.Sprintf(`{"instance_id": "vm-%d"}`, i%Fleet)
	}
}

// PointsPerInstance is how many [Batch] has.
const PointsPerInstance = 40

// Batch returns the levels of n instances, the first of which has a number, at a
// time: what a vm_usage receiver sends of each, 40 points in 23 metrics.
func Batch(first, n int, at int64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	md.ResourceMetrics().EnsureCapacity(n)
	for i := range n {
		rm := md.ResourceMetrics().AppendEmpty()
		Resource(rm.Resource(), first+i)
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName(usage.Scope)
		levels(sm.Metrics(), pcommon.Timestamp(at)) //nolint:gosec // a time
	}
	return md
}

// Resource makes a resource that of an instance.
func Resource(res pcommon.Resource, i int) {
	usage.PutResource(res, &usage.Instance{
		ID: fmt.Sprintf("vm-%d", i), Name: fmt.Sprintf("web-%d", i), Hypervisor: "qemu", HostID: "3d1219c7c4c5404aaa1f6d2a48adfda4", HostName: "rack7-node3",
		UserID: fmt.Sprintf("user-%d", i), OrgID: fmt.Sprintf("org-%d", i%1000),
		Labels: []usage.Label{{Key: "env", Value: "prod"}, {Key: "zone", Value: "a"}},
	})
}

func levels(ms pmetric.MetricSlice, at pcommon.Timestamp) {
	metric := func(name, unit string, sum bool, attribute string, values ...string) {
		m := ms.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		var dps pmetric.NumberDataPointSlice
		if sum {
			s := m.SetEmptySum()
			s.SetIsMonotonic(true)
			s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			dps = s.DataPoints()
		} else {
			dps = m.SetEmptyGauge().DataPoints()
		}
		for _, v := range values {
			dp := dps.AppendEmpty()
			dp.SetTimestamp(at)
			if unit == "1" {
				dp.SetDoubleValue(0.5)
			} else {
				dp.SetIntValue(1 << 30)
			}
			if attribute != "" {
				dp.Attributes().PutStr(attribute, v)
			}
		}
	}
	metric("vm.cpu.time", "s", true, "cpu.mode", "user", "system", "nice", "idle", "iowait", "interrupt", "steal")
	metric("vm.cpu.utilization", "1", false, "", "")
	metric("vm.cpu.logical.count", "{cpu}", false, "", "")
	metric("vm.cpu.load_average.1m", "1", false, "", "")
	metric("vm.cpu.load_average.5m", "1", false, "", "")
	metric("vm.cpu.load_average.15m", "1", false, "", "")
	metric("vm.memory.usage", "By", false, "", "")
	metric("vm.memory.limit", "By", false, "", "")
	metric("vm.memory.utilization", "1", false, "", "")
	metric("vm.paging.usage", "By", false, "system.paging.state", "used", "free")
	metric("vm.disk.io", "By", true, usage.AttrDiskDirection, "read", "write")
	metric("vm.disk.operations", "{operation}", true, usage.AttrDiskDirection, "read", "write")
	metric("vm.disk.operation_time", "s", true, usage.AttrDiskDirection, "read", "write")
	metric("vm.filesystem.usage", "By", false, "system.filesystem.state", "used", "free", "reserved")
	metric("vm.filesystem.utilization", "1", false, "system.filesystem.mountpoint", "/")
	metric("vm.storage.usage", "By", false, "", "")
	metric("vm.storage.limit", "By", false, "", "")
	metric("vm.network.io", "By", true, usage.AttrNetworkDirection, "transmit", "receive")
	metric("vm.network.packet.count", "{packet}", true, usage.AttrNetworkDirection, "transmit", "receive")
	metric("vm.network.packet.dropped", "{packet}", true, usage.AttrNetworkDirection, "transmit", "receive")
	metric("vm.network.errors", "{error}", true, usage.AttrNetworkDirection, "transmit", "receive")
	metric("vm.process.count", "{process}", false, "process.state", "running", "sleeping")
	metric("vm.uptime", "s", false, "", "")
}

// Violate makes the CPUs of every k-th instance of a batch busy.
func Violate(md pmetric.Metrics, k int) {
	for i := 0; i < md.ResourceMetrics().Len(); i += k {
		for _, m := range md.ResourceMetrics().At(i).ScopeMetrics().At(0).Metrics().All() {
			if m.Name() == "vm.cpu.utilization" {
				m.Gauge().DataPoints().At(0).SetDoubleValue(0.99)
			}
		}
	}
}

// Stamp gives all points of a batch another time.
func Stamp(md pmetric.Metrics, at int64) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, dp := range points(m).All() {
					dp.SetTimestamp(pcommon.Timestamp(at)) //nolint:gosec // a time
				}
			}
		}
	}
}

func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}

// Condition returns the i-th rule of [Document] as a condition of OTTL on a data
// point, as near as it comes: without time, hysteresis and two levels, and with the
// amount of one period where a quota adds them up.
func Condition(i int) string {
	where := fmt.Sprintf(`resource.attributes["vm.id"] == "vm-%d"`, i%Fleet)
	switch {
	case i < 10:
		where = `resource.attributes["user.id"] != nil`
	case i < 20:
		where = fmt.Sprintf(`IsMatch(resource.attributes["vm.id"], "^other-.*-%d$")`, i)
	case i%10 == 0:
		where = fmt.Sprintf(`resource.attributes["org.id"] == "org-%d" and resource.attributes["env"] == "prod"`, i/10)
	case i%2 == 0:
		where = fmt.Sprintf(`resource.attributes["user.id"] == "user-%d"`, i%Fleet)
	}
	what := [...]string{
		`metric.name == "vm.cpu.utilization" and value_double >= 0.8`,
		`metric.name == "vm.memory.usage" and value_int >= 85899345920`,
		`metric.name == "vm.usage.network.io" and attributes["network.io.direction"] == "transmit" and value_int >= 800000000000000`,
	}[i%3]
	return what + " and " + where
}
