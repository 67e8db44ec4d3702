package host

import (
	"errors"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A Snapshot is what one sample saw. A part that could not be read is absent,
// which its Has field says, and Err says why.
type Snapshot struct {
	At     reading.Instant
	BootID string

	CPU        Ticks
	CPUs       int // online
	HasLoad    bool
	Load       [3]float64 // threads that ran or waited, over 1, 5 and 15 minutes
	Runnable   uint64     // threads that run or could, now
	Threads    uint64     // that exist
	HasMemory  bool
	Memory     Memory
	HasProcs   bool
	Processes  int64
	HasDisks   bool
	Disks      []Disk
	HasNetwork bool
	Interfaces []Interface

	HasFilesystems bool // all that count answered; those that did are listed anyway
	Filesystems    []Filesystem

	Errors []error // what could not be read

	flavor usage.Flavor // of the last samples that saw it
}

// A Disk is a block device that counts.
type Disk struct {
	Name  string
	Birth uint64 // differs when another device has the name; the same across boots
	DiskStats
}

// An Interface is a network interface that counts.
type Interface struct {
	Name     string
	Birth    uint64 // differs when another interface has the name; the same across boots
	Speed    int64  // of the link, bit/s
	HasSpeed bool   // virtual devices and links that are down have none
	InterfaceStats
}

// Err joins what could not be read, or is nil.
func (s *Snapshot) Err() error { return errors.Join(s.Errors...) }

// Uptime is the time since boot in seconds.
func (s *Snapshot) Uptime() float64 { return float64(s.At.Boot) / 1e9 }

// BootTime is the wall clock's time of boot, in unix ns. It moves when that
// clock is set.
func (s *Snapshot) BootTime() int64 { return s.At.Wall - s.At.Boot }

// Reading fills r, except for its Instance, and uses its slices again.
func (s *Snapshot) Reading(r *reading.Reading) {
	r.At, r.Source, r.Run = s.At, "host", s.BootID
	r.At.BootID = s.BootID
	r.RunAt = 0 // a machine runs from its boot on
	r.Flavor = s.flavor
	r.Metered, r.Scanned = 0, 0
	for m := range usage.DiskReadBytes {
		r.Metered.Add(m)
	}
	r.Metered.AddClass(usage.Disk)
	r.Metered.AddClass(usage.Interface)
	r.Scanned.Add(usage.CPUTime)
	r.Scanned.Add(usage.CPUSteal)

	boot := hash(s.BootID)
	r.Counters = append(r.Counters[:0], reading.Counters{
		First: usage.CPUTime, N: 2, ID: "cpu", Birth: boot,
		Values: [usage.DeviceMeters]uint64{s.CPU.BusyMicros(), s.CPU.StealMicros()},
	})
	if s.HasMemory {
		r.Scanned.Add(usage.Memory)
		r.Scanned.Add(usage.MemoryProvisioned)
	}
	if s.HasFilesystems {
		r.Scanned.Add(usage.Storage)
		r.Scanned.Add(usage.StorageProvisioned)
	}
	if s.HasDisks {
		r.Scanned.AddClass(usage.Disk)
		for i := range s.Disks {
			d := &s.Disks[i]
			r.Counters = append(r.Counters, reading.Counters{
				First: usage.DiskReadBytes, N: 4, ID: d.Name, Birth: d.Birth ^ boot,
				Values: [usage.DeviceMeters]uint64{d.ReadBytes(), d.WriteBytes(), d.Reads, d.Writes},
			})
		}
	}
	if s.HasNetwork {
		r.Scanned.AddClass(usage.Interface)
		for i := range s.Interfaces {
			n := &s.Interfaces[i]
			r.Counters = append(r.Counters, reading.Counters{
				First: usage.NetworkTransmitBytes, N: 4, ID: n.Name, Birth: n.Birth ^ boot,
				Resets: true, // some drivers do on ifdown
				Values: [usage.DeviceMeters]uint64{n.TxBytes, n.RxBytes, n.TxPackets, n.RxPackets},
			})
		}
	}
	s.levels(r)
}

func (s *Snapshot) levels(r *reading.Reading) {
	level := func(n uint64, ok bool) reading.Level {
		return reading.Level{Bytes: int64(n), Valid: ok} //nolint:gosec // bytes of a machine fit into 63 bits
	}
	used, total := s.Storage()
	r.Levels[reading.MemoryUsed] = level(s.Memory.Used(), s.HasMemory)
	r.Levels[reading.MemoryLimit] = level(s.Memory.Total, s.HasMemory)
	r.Levels[reading.StorageUsed] = level(used, s.HasFilesystems)
	r.Levels[reading.StorageLimit] = level(total, s.HasFilesystems)
}

// allot takes over what the machine has, as far as this sample saw it: what it
// did not see is not gone.
func (s *Snapshot) allot(f *usage.Flavor) {
	f.VCPUs = int64(s.CPUs)
	if s.HasMemory {
		f.MemoryBytes = int64(s.Memory.Total) //nolint:gosec // parsed to fit
	}
	if s.HasFilesystems {
		_, total := s.Storage()
		f.StorageBytes = int64(total) //nolint:gosec // bytes of a machine fit into 63 bits
	}
	s.flavor = *f
}
