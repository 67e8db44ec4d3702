package thresholdtest

import (
	"encoding/binary"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Periods returns the usage of n instances, the first of which has a number, in the
// period of 30 s with a sequence, which starts at a time: one disk and one interface each.
func Periods(first, n int, sequence uint64, start int64) pmetric.Metrics {
	const length = int64(30e9)
	md := pmetric.NewMetrics()
	for i := first; i < first+n; i++ {
		p := usage.Period{
			Instance: usage.Instance{
				ID: fmt.Sprintf("vm-%d", i), Name: fmt.Sprintf("web-%d", i), Hypervisor: "qemu",
				UserID: fmt.Sprintf("user-%d", i), OrgID: fmt.Sprintf("org-%d", i%1000),
				Labels: []usage.Label{{Key: "env", Value: "prod"}, {Key: "zone", Value: "a"}},
			},
			Flavor:   usage.Flavor{VCPUs: 4, MemoryBytes: 8 << 30},
			Stream:   usage.Stream{Source: "qemu", Run: "boot", Start: start - int64(sequence-1)*length}, //nolint:gosec // small
			Sequence: sequence, Start: start, End: start + length, Duration: length,
			Devices: []usage.DeviceUsage{
				{Class: usage.Disk, ID: "vda", Amounts: [usage.DeviceMeters]int64{1 << 20, 1 << 20, 100, 100}},
				{Class: usage.Interface, ID: "eth0", Amounts: [usage.DeviceMeters]int64{1 << 20, 1 << 20, 100, 100}},
			},
		}
		binary.BigEndian.PutUint64(p.Stream.ID[8:], uint64(i)) //nolint:gosec // a number
		for m := range usage.DiskReadBytes {
			if m != usage.GPUActive {
				p.Metered.Add(m)
				p.Usage[m], p.Totals[m] = 1e6, int64(sequence)*1e6 //nolint:gosec // small
			}
		}
		for _, d := range p.Devices {
			p.Metered.AddClass(d.Class)
			for k, amount := range d.Amounts {
				p.Usage[d.Class.Meter(k)] = amount
				p.Totals[d.Class.Meter(k)] = amount * int64(sequence) //nolint:gosec // small
			}
		}
		for m := range p.Coverage {
			p.Coverage[m] = usage.FullCoverage
		}
		usage.AppendPeriod(md.ResourceMetrics(), &p)
	}
	return md
}
