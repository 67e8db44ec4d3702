// Package usagetest makes periods for tests.
package usagetest

import (
	"math/rand/v2"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Host returns the period of a small machine with one disk and one interface:
// what a typical event is made from. Equal seeds give equal periods.
func Host(seed uint64) *usage.Period {
	r := rand.New(rand.NewPCG(seed, seed))
	const start, length = 1_626_350_400_000_000_000, 30_000_000_000
	p := &usage.Period{
		Instance: usage.Instance{
			ID: "6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77", Name: "web-1", Hypervisor: "none",
			HostID: "3d1219c7c4c5404aaa1f6d2a48adfda4", HostName: "rack7-node3",
			UserID: "user-42", OrgID: "org-7",
			Labels: []usage.Label{{Key: "env", Value: "prod"}, {Key: "team", Value: "web"}},
		},
		Flavor: usage.Flavor{VCPUs: 4, MemoryBytes: 8 << 30, StorageBytes: 80 << 30},
		Stream: usage.Stream{
			ID: uuid.UUID{15: byte(seed), 6: 0x40, 8: 0x80}, Source: "host",
			HostID: "3d1219c7c4c5404aaa1f6d2a48adfda4", Run: "672672b0-f7cf-41a4-9906-8798cc7d0a40", Start: start - 10*length,
		},
		Sequence: 11, Start: start, End: start + length, Duration: length,
		Devices: []usage.DeviceUsage{
			{Class: usage.Disk, ID: "vda"},
			{Class: usage.Interface, ID: "eth0"},
		},
	}
	for m := range usage.DiskReadBytes {
		p.Metered.Add(m)
		p.Usage[m] = r.Int64N(1 << 24)
	}
	p.Usage[usage.Running] = length / 1000
	p.Usage[usage.VCPUProvisioned] = 4 * length / 1000
	p.Usage[usage.CPUTime] = 15_230_000
	p.Usage[usage.Memory] = 4300 * 30
	p.Usage[usage.MemoryProvisioned] = 8192 * 30
	p.Usage[usage.Storage] = 26317 * 30
	p.Usage[usage.StorageProvisioned] = 81920 * 30
	Fill(r, p)
	p.Stats[usage.CPUUtilization] = usage.Statistic{Avg: 126_917, Max: 501_250, Valid: true}
	p.Stats[usage.MemoryUtilization] = usage.Statistic{Avg: 524_902, Max: 530_000, Valid: true}
	p.Stats[usage.StorageUtilization] = usage.Statistic{Avg: 321_252, Max: 321_300, Valid: true}
	return p
}

// Fill gives every device of p amounts, sums them up, and makes totals, full
// coverage and the set of metered meters fit.
func Fill(r *rand.Rand, p *usage.Period) {
	for i := range p.Devices {
		d := &p.Devices[i]
		p.Metered.AddClass(d.Class)
		for k := range usage.DeviceMeters {
			d.Amounts[k] = r.Int64N(1 << 28)
			p.Usage[d.Class.Meter(k)] += d.Amounts[k]
		}
	}
	for m := range p.Metered.All() {
		p.Totals[m] = p.Usage[m] + r.Int64N(1<<40)
	}
	for m := range p.Coverage {
		p.Coverage[m] = usage.FullCoverage
	}
}
