package usage

import "iter"

// A Meter is one thing that is counted over a period. Its amounts are integers
// in its own unit and never negative.
type Meter uint8

// The meters. Every class of device has exactly [DeviceMeters] of them, in the
// order in which [DeviceUsage.Amounts] holds them.
const (
	Running            Meter = iota // time that the instance provably ran, us
	CPUTime                         // time that its CPUs worked for it, us; idle, iowait and steal are not in it
	CPUSteal                        // time that its CPUs were ready but not run, us
	VCPUProvisioned                 // allotted CPUs over time, us
	Memory                          // memory in use over time, MiBy.s
	MemoryProvisioned               // allotted memory over time, MiBy.s
	Storage                         // storage in use over time, MiBy.s
	StorageProvisioned              // allotted storage over time, MiBy.s

	DiskReadBytes       // By
	DiskWriteBytes      // By
	DiskReadOperations  // completed
	DiskWriteOperations // completed

	NetworkTransmitBytes   // By sent by the instance
	NetworkReceiveBytes    // By received by the instance
	NetworkTransmitPackets // sent by the instance
	NetworkReceivePackets  // received by the instance

	GPUActive      // time in which at least one kernel ran, us
	GPUProvisioned // time in which the instance had the GPU, us
	GPUMemory      // GPU memory in use over time, MiBy.s
	GPUEnergy      // mJ

	NumMeters // how many there are; not a meter
)

// DeviceMeters is how many meters each [Class] of device has.
const DeviceMeters = 4

// A Class is a kind of device that is metered one by one.
type Class uint8

// The classes of devices.
const (
	Disk Class = iota
	Interface
	GPU
	NumClasses // how many there are; not a class
)

// Meter returns the i-th meter of the class, 0 <= i < DeviceMeters.
func (c Class) Meter(i int) Meter {
	return DiskReadBytes + Meter(int(c)*DeviceMeters+i)
}

// String returns the word used in metric names and events: disk, network, gpu.
func (c Class) String() string {
	switch c {
	case Disk:
		return "disk"
	case Interface:
		return "network"
	default:
		return "gpu"
	}
}

// Device returns the class that m belongs to and its place in the amounts of a
// device; ok is false for a meter of the instance as a whole.
func (m Meter) Device() (c Class, i int, ok bool) {
	if m < DiskReadBytes || m >= NumMeters {
		return 0, 0, false
	}
	n := int(m - DiskReadBytes)
	return Class(n / DeviceMeters), n % DeviceMeters, true
}

// A MeterInfo says how a meter is written down.
type MeterInfo struct {
	Key       string // in attributes and messages: "cpu.time", "disk.io.read"
	Metric    string // the part of the metric's name after "vm.usage.": "cpu.time", "disk.io"
	Direction string // "read", "write", "transmit", "receive", or "" where there is none
	Unit      string // UCUM
	Field     string // in events: "cpu_time_us"
	Describe  string // one phrase for people; the same for all meters of a metric
}

// Info returns how m is written down. It panics where m is not a meter.
func (m Meter) Info() MeterInfo { return meterInfos[m] }

// String returns the meter's key.
func (m Meter) String() string {
	if m >= NumMeters {
		return "unknown"
	}
	return meterInfos[m].Key
}

var meterInfos = [NumMeters]MeterInfo{
	Running:                {"running", "running", "", "us", "running_us", "Time that the instance provably ran"},
	CPUTime:                {"cpu.time", "cpu.time", "", "us", "cpu_time_us", "Time that the CPUs of the instance worked"},
	CPUSteal:               {"cpu.steal", "cpu.steal", "", "us", "cpu_steal_us", "Time that the CPUs of the instance were ready but not run"},
	VCPUProvisioned:        {"vcpu.provisioned", "vcpu.provisioned", "", "us", "vcpu_provisioned_us", "Allotted CPUs over time"},
	Memory:                 {"memory", "memory", "", "MiBy.s", "memory_mib_s", "Memory in use over time"},
	MemoryProvisioned:      {"memory.provisioned", "memory.provisioned", "", "MiBy.s", "memory_provisioned_mib_s", "Allotted memory over time"},
	Storage:                {"storage", "storage", "", "MiBy.s", "storage_mib_s", "Storage in use over time"},
	StorageProvisioned:     {"storage.provisioned", "storage.provisioned", "", "MiBy.s", "storage_provisioned_mib_s", "Allotted storage over time"},
	DiskReadBytes:          {"disk.io.read", "disk.io", "read", "By", "disk_read_bytes", "Bytes read from or written to disks"},
	DiskWriteBytes:         {"disk.io.write", "disk.io", "write", "By", "disk_write_bytes", "Bytes read from or written to disks"},
	DiskReadOperations:     {"disk.operations.read", "disk.operations", "read", "{operation}", "disk_read_operations", "Completed disk operations"},
	DiskWriteOperations:    {"disk.operations.write", "disk.operations", "write", "{operation}", "disk_write_operations", "Completed disk operations"},
	NetworkTransmitBytes:   {"network.io.transmit", "network.io", "transmit", "By", "network_transmit_bytes", "Bytes sent or received by the instance"},
	NetworkReceiveBytes:    {"network.io.receive", "network.io", "receive", "By", "network_receive_bytes", "Bytes sent or received by the instance"},
	NetworkTransmitPackets: {"network.packets.transmit", "network.packets", "transmit", "{packet}", "network_transmit_packets", "Packets sent or received by the instance"},
	NetworkReceivePackets:  {"network.packets.receive", "network.packets", "receive", "{packet}", "network_receive_packets", "Packets sent or received by the instance"},
	GPUActive:              {"gpu.active", "gpu.active", "", "us", "gpu_active_us", "Time in which at least one kernel ran on a GPU"},
	GPUProvisioned:         {"gpu.provisioned", "gpu.provisioned", "", "us", "gpu_provisioned_us", "Time in which the instance had a GPU"},
	GPUMemory:              {"gpu.memory", "gpu.memory", "", "MiBy.s", "gpu_memory_mib_s", "GPU memory in use over time"},
	GPUEnergy:              {"gpu.energy", "gpu.energy", "", "mJ", "gpu_energy_mj", "Energy used by GPUs"},
}

// Amounts holds one amount for each meter, indexed by [Meter].
type Amounts [NumMeters]int64

// A MeterSet is a set of meters: those that an instance has. A machine without
// a GPU has no GPU meters, which is not the same as zero.
type MeterSet uint32

// Has reports whether m is in the set.
func (s MeterSet) Has(m Meter) bool { return s&(1<<m) != 0 }

// Add puts m into the set.
func (s *MeterSet) Add(m Meter) { *s |= 1 << m }

// AddClass puts the meters of a class of devices into the set.
func (s *MeterSet) AddClass(c Class) { *s |= c.meters() }

// HasClass reports whether the set has any meter of a class of devices: not every
// device offers all of them.
func (s MeterSet) HasClass(c Class) bool { return s&c.meters() != 0 }

func (c Class) meters() MeterSet { return (1<<DeviceMeters - 1) << c.Meter(0) }

// All visits the meters of the set in ascending order.
func (s MeterSet) All() iter.Seq[Meter] {
	return func(yield func(Meter) bool) {
		for m := range NumMeters {
			if s.Has(m) && !yield(m) {
				return
			}
		}
	}
}
