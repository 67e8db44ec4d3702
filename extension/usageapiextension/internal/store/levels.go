package store

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// A Scalar is one level of an instance as a whole.
type Scalar uint8

// The scalars.
const (
	CPUUtilization Scalar = iota // 0..1 of what is allotted
	CPUCount
	Load1 // threads
	Load5
	Load15
	MemoryUsed // By
	MemoryLimit
	MemoryFree
	MemoryUtilization // 0..1
	SwapUsed          // By
	SwapFree
	StorageUsed // By
	StorageLimit
	ProcessCount
	Uptime // s
	NumScalars
)

// Levels are what an instance uses now. What is not there is not known.
type Levels struct {
	At       int64 // unix ns of the newest; 0 where there are none
	previous int64 // At of the levels before
	scalars  [NumScalars]float64
	has      uint32

	// cpu is the time that CPUs worked since boot, us; marked is what it was at the
	// end of the last closed period, and -1 where that is not known.
	cpu, marked int64

	Disks       []Disk
	Interfaces  []Interface
	Filesystems []Filesystem
	GPUs        []GPU
}

// Scalar returns a scalar, and whether it is known; 0 where it is not.
func (l *Levels) Scalar(s Scalar) (float64, bool) { return value(l.scalars[:], l.has, uint8(s)) }

// value is the i-th of values that are written over in place, if it is one of those said
// last: where it is not, there is an older one.
func value[T int64 | float64](values []T, has uint32, i uint8) (T, bool) {
	if has&(1<<i) == 0 {
		return 0, false
	}
	return values[i], true
}

func (l *Levels) set(s Scalar, v float64) {
	l.scalars[s] = v
	l.has |= 1 << s
}

// StorageUtilization is the share of the storage that is in use, 0..1.
func (l *Levels) StorageUtilization() (float64, bool) {
	used, ok := l.Scalar(StorageUsed)
	limit, ok2 := l.Scalar(StorageLimit)
	if !ok || !ok2 || limit <= 0 {
		return 0, false
	}
	return used / limit, true
}

// GPUUtilization is the highest utilization of its GPUs, 0..1.
func (l *Levels) GPUUtilization() (highest float64, ok bool) {
	for i := range l.GPUs {
		if v, has := l.GPUs[i].Value(GPUUtilization); has {
			highest, ok = max(highest, v), true
		}
	}
	return highest, ok
}

// A DiskValue is a counter or a level of a disk.
type DiskValue uint8

// The values of a disk: counters since boot, but DiskInProgress.
const (
	DiskReadBytes DiskValue = iota
	DiskWriteBytes
	DiskReads
	DiskWrites
	DiskReadMillis
	DiskWriteMillis
	DiskReadsMerged
	DiskWritesMerged
	DiskInProgress // operations under way now
	DiskIOMillis
	DiskWeightedMillis
	numDiskValues
)

// A Disk is a block device.
type Disk struct {
	Device string
	values [numDiskValues]int64
	has    uint16
	mark   mark
}

// Value returns a value, and whether it is known; 0 where it is not.
func (d *Disk) Value(v DiskValue) (int64, bool) {
	return value(d.values[:], uint32(d.has), uint8(v))
}

// An InterfaceValue is a counter or a level of a network interface.
type InterfaceValue uint8

// The values of an interface: counters since it appeared, but the speed.
const (
	TransmitBytes InterfaceValue = iota
	ReceiveBytes
	TransmitPackets
	ReceivePackets
	TransmitErrors
	ReceiveErrors
	TransmitDropped
	ReceiveDropped
	Speed // bit/s
	numInterfaceValues
)

// An Interface is a network interface.
type Interface struct {
	Name   string
	values [numInterfaceValues]int64
	has    uint16
	mark   mark
}

// A mark is what the first counters of a device, those that are metered, were at the
// end of the last closed period.
type mark struct {
	values [usage.DeviceMeters]int64
	known  bool
}

// Value returns a value, and whether it is known; 0 where it is not.
func (i *Interface) Value(v InterfaceValue) (int64, bool) {
	return value(i.values[:], uint32(i.has), uint8(v))
}

// A FilesystemValue is a level of a file system.
type FilesystemValue uint8

// The values of a file system, By.
const (
	FilesystemUsed FilesystemValue = iota
	FilesystemFree
	FilesystemReserved
	numFilesystemValues
)

// A Filesystem is a mounted file system.
type Filesystem struct {
	Device, MountPoint, Type string
	values                   [numFilesystemValues]int64
	has                      uint16
}

// Value returns a value, and whether it is known; 0 where it is not.
func (f *Filesystem) Value(v FilesystemValue) (int64, bool) {
	return value(f.values[:], uint32(f.has), uint8(v))
}

// A GPUValue is a level of a GPU.
type GPUValue uint8

// The values of a GPU.
const (
	GPUUtilization       GPUValue = iota // 0..1
	GPUMemoryUsed                        // By
	GPUMemoryLimit                       // By
	GPUMemoryUtilization                 // 0..1
	GPUTemperature                       // Cel
	GPUPower                             // W
	GPUEnergy                            // J since the driver was loaded
	numGPUValues
)

// A GPU is a GPU or a MIG instance.
type GPU struct {
	ID, Model string
	Name      string // "GPU 0", "GPU 0 MIG 1"
	values    [numGPUValues]float64
	has       uint16
}

// Value returns a value, and whether it is known; 0 where it is not.
func (g *GPU) Value(v GPUValue) (float64, bool) {
	return value(g.values[:], uint32(g.has), uint8(v))
}

// A Closed is a closed period.
type Closed struct {
	UserID, OrgID string // whose it is, which may be another owner than the present one
	Flavor        usage.Flavor
	StreamID      [16]byte
	StreamStart   int64
	Sequence      uint64
	Joined        uint32
	Start, End    int64 // unix ns
	Duration      int64 // ns
	Metered       usage.MeterSet
	Usage, Totals usage.Amounts
	Quality       [usage.NumMeters]usage.Quality
	Coverage      int32 // the least of its meters, in millionths
	Stats         [usage.NumUtilizations]usage.Statistic
	ClockStepped  bool
}

// A State is where an instance stands with a rule.
type State struct {
	Rule, Series string
	Level        usage.ThresholdLevel
	At           int64 // unix ns
	// What was said of the violation that there is, if anything.
	Announced        bool
	Since            int64 // unix ns
	Value, Threshold float64
}
