package event

import (
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// samples are the periods of the golden files.
func samples() map[string]*usage.Period {
	return map[string]*usage.Period{
		"host":      hostPeriod(),
		"gpu":       gpuPeriod(),
		"gap":       gapPeriod(),
		"recovered": recoveredPeriod(),
		"bare":      barePeriod(),
		"joined":    joinedPeriod(),
		"lost":      lostPeriod(),
		"ended":     endedPeriod(),
	}
}

// hostPeriod is the typical one: a machine with two disks and one interface.
func hostPeriod() *usage.Period {
	p := &usage.Period{
		Instance: usage.Instance{
			ID:         "6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11",
			Name:       "web-1",
			Hypervisor: "none",
			HostID:     "0c52f4b8d3a14b0e9b2f6f7a1c9d8e70",
			HostName:   "rack4-node7",
			UserID:     "3b0f8f0e-6a53-4a57-8f5a-5b1b7c0e4d21",
			OrgID:      "9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0",
			Labels:     []usage.Label{{Key: "region", Value: "eu-1"}, {Key: "plan", Value: "small"}},
		},
		Flavor: usage.Flavor{VCPUs: 8, MemoryBytes: 8 << 30, StorageBytes: 107374182400},
		Stream: usage.Stream{
			ID:     uuid.MustParse("a3c6c1a0-52c5-4d8f-8a35-2b7f6a1d9e04"),
			Source: "host",
			HostID: "0c52f4b8d3a14b0e9b2f6f7a1c9d8e70",
			Run:    "5f2b8f4e-7d0a-4b52-9a3e-1c6d7e8f9a0b",
			Start:  1626346800004113000,
		},
		Sequence: 120,
		Start:    1626350400002345678,
		End:      1626350430001234567,
		Duration: 29998889012,
	}
	for m := range usage.GPUActive {
		p.Metered.Add(m)
		p.Coverage[m] = usage.FullCoverage
	}
	fillCoverage(p)
	p.Usage = usage.Amounts{
		usage.Running:            29998889,
		usage.CPUTime:            29998889,
		usage.CPUSteal:           1200,
		usage.VCPUProvisioned:    239991112,
		usage.Memory:             129020,
		usage.MemoryProvisioned:  245751,
		usage.Storage:            789475,
		usage.StorageProvisioned: 3071886,
	}
	p.Devices = []usage.DeviceUsage{
		{Class: usage.Disk, ID: "nvme0n1", Amounts: [usage.DeviceMeters]int64{40960, 7340032, 3, 212}},
		{Class: usage.Disk, ID: "sda", Amounts: [usage.DeviceMeters]int64{1048576, 524288, 17, 44}},
		{Class: usage.Interface, ID: "eth0", Amounts: [usage.DeviceMeters]int64{15938355, 9122611, 14001, 12977}},
	}
	p.Stats[usage.CPUUtilization] = usage.Statistic{Avg: 125000, Max: 371093, Valid: true}
	p.Stats[usage.MemoryUtilization] = usage.Statistic{Avg: 525004, Max: 530000, Valid: true}
	p.Stats[usage.StorageUtilization] = usage.Statistic{Avg: 257000, Max: 257001, Valid: true}
	sumDevices(p)
	for m := range p.Metered.All() {
		p.Totals[m] = 119*p.Usage[m] + p.Usage[m]/3 + 700_000
	}
	return p
}

// fillCoverage sets the coverage of the meters that p does not have, as both
// readers do.
func fillCoverage(p *usage.Period) {
	for m := range usage.NumMeters {
		if !p.Metered.Has(m) {
			p.Coverage[m] = usage.FullCoverage
		}
	}
}

// sumDevices sets the amounts of the meters of devices from the devices.
func sumDevices(p *usage.Period) {
	for _, d := range p.Devices {
		for i, v := range d.Amounts {
			p.Usage[d.Class.Meter(i)] += v
		}
	}
}

// gpuPeriod is a guest with two GPUs and no disk, without an organization.
func gpuPeriod() *usage.Period {
	p := hostPeriod()
	p.Instance.Hypervisor, p.Instance.Name, p.Instance.OrgID = "qemu", "train-7", ""
	p.Stream.Source, p.Flavor.GPUs = "qemu", 2
	p.Metered.AddClass(usage.GPU)
	p.Devices = append(p.Devices[2:],
		usage.DeviceUsage{
			Class: usage.GPU, ID: "GPU-5a1c0a5e-1c9f-6d3e-8b7a-0e1f2d3c4b5a", Model: "NVIDIA H100 80GB HBM3",
			Amounts: [usage.DeviceMeters]int64{21500000, 29998889, 1966010, 12345678},
		},
		usage.DeviceUsage{
			Class: usage.GPU, ID: "MIG-1b2c3d4e-5f60-5172-8394-a5b6c7d8e9f0", Model: "NVIDIA H100 80GB HBM3",
			Amounts: [usage.DeviceMeters]int64{0, 29998889, 512, 0},
		})
	for m := usage.DiskReadBytes; m < usage.NumMeters; m++ {
		p.Usage[m] = 0
	}
	sumDevices(p)
	for m := range p.Metered.All() {
		p.Totals[m] = p.Usage[m] + 1
	}
	p.Stats[usage.GPUUtilization] = usage.Statistic{Avg: 358346, Max: 1000000, Valid: true}
	return p
}

// gapPeriod does not know its memory, and was not sampled all the time.
func gapPeriod() *usage.Period {
	p := hostPeriod()
	p.Sequence, p.Instance.UserID, p.Instance.OrgID, p.Instance.Labels = 121, "", "", nil
	for _, m := range []usage.Meter{usage.Memory, usage.MemoryProvisioned} {
		p.Totals[m] -= p.Usage[m]
		p.Usage[m], p.Quality[m], p.Coverage[m] = 0, usage.Gap, 0
	}
	p.Quality[usage.CPUTime], p.Coverage[usage.CPUTime] = usage.Recovered, 333333
	p.Coverage[usage.Storage] = 999_900
	p.Stats[usage.MemoryUtilization] = usage.Statistic{}
	p.ClockStepped = true
	return p
}

// recoveredPeriod is bridged over an outage, and the last of its stream.
func recoveredPeriod() *usage.Period {
	p := hostPeriod()
	p.Final = true
	p.End += 3600e9
	p.Duration += 3600e9
	for m := range p.Metered.All() {
		p.Quality[m], p.Coverage[m] = usage.Recovered, 8264
	}
	return p
}

// joinedPeriod is an hour for which the outbox had no room left.
func joinedPeriod() *usage.Period {
	p := hostPeriod()
	p.Joined = 118
	p.Start -= 117 * 30e9
	p.Duration += 117 * 30e9
	for m := range p.Metered.All() {
		p.Usage[m] *= 118
	}
	for i := range p.Devices {
		for k := range p.Devices[i].Amounts {
			p.Devices[i].Amounts[k] *= 118
		}
	}
	return p
}

// lostPeriod begins the stream that replaces lost state: nothing is known, and
// no time passes.
func lostPeriod() *usage.Period {
	p := hostPeriod()
	p.Sequence, p.Stream.Start, p.End, p.Duration = 1, p.Start, p.Start, 0
	p.Usage, p.Totals, p.Devices = usage.Amounts{}, usage.Amounts{}, nil
	for m := range p.Metered.All() {
		p.Quality[m], p.Coverage[m] = usage.Gap, 0
	}
	p.Stats = [usage.NumUtilizations]usage.Statistic{}
	return p
}

// endedPeriod is the end of an instance that went away with its last period.
func endedPeriod() *usage.Period {
	p := hostPeriod()
	p.Final, p.Start, p.Duration = true, p.End, 0
	p.Usage, p.Devices = usage.Amounts{}, nil
	p.Stats = [usage.NumUtilizations]usage.Statistic{}
	return p
}

// barePeriod has nothing that can be left out, and strings that need escaping.
func barePeriod() *usage.Period {
	p := &usage.Period{
		Instance: usage.Instance{ID: "vm \"1\"\n<&>\u2028\x7f\xff", Labels: []usage.Label{{Key: "ключ\\", Value: "\x00"}}},
		Stream:   usage.Stream{ID: uuid.MustParse("00000000-0000-4000-8000-000000000001")},
		Sequence: 1,
	}
	p.Metered.Add(usage.Running)
	fillCoverage(p)
	p.Coverage[usage.Running] = usage.FullCoverage
	return p
}
