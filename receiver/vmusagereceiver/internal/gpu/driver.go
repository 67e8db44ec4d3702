package gpu

// driver is what of NVML concerns the machine. Any call may block for long or
// for ever; its errors are of type [*CallError].
type driver interface {
	// Open loads the library and initializes it. Each Open that succeeded is
	// followed by one Close, unless a call still hangs.
	Open() error
	Close() error
	// Load identifies this loading of the driver: another value says that its
	// counters began anew. 0 where nobody knows. It makes no NVML call.
	Load() uint64
	Count() (int, error)
	// Device returns the device with that index. Its handle is valid until Close.
	Device(index int) (device, error)
}

// An Identity is what does not change of a GPU or MIG instance while it is there.
type Identity struct {
	UUID        string // GPU-... or MIG-...
	Model       string // NVIDIA H100 80GB HBM3
	Name        string // for people: GPU 0, or GPU 0 MIG 1
	Index       int    // of the GPU; of a MIG instance, within its GPU
	Parent      string // UUID of the GPU whose MIG instance it is
	ParentIndex int    // and its index
	MIG         bool   // a GPU that is divided: its instances are what is allotted
}

// device is one GPU or MIG instance. One goroutine at a time calls it. What it
// does not offer is answered with [NotSupported] or [FunctionNotFound].
type device interface {
	// Renew returns another handle of the same device, for another goroutine. It
	// makes no call.
	Renew() device
	Identify() (Identity, error)
	// Instances returns the MIG instances of a GPU that is divided.
	Instances() ([]device, error)

	// Samples appends the utilization samples that are newer than since (unix us).
	Samples(since uint64, into []Sample) ([]Sample, error)
	// Utilization returns the percentage of the driver's last sample window.
	Utilization() (uint32, error)
	Memory() (used, total uint64, err error) // bytes
	Energy() (uint64, error)                 // mJ since the driver was loaded

	Power() (uint32, error)       // mW
	Temperature() (uint32, error) // degrees Celsius
	// ECC returns the errors over the lifetime of the GPU.
	ECC() (corrected, uncorrected uint64, err error)
	// Retired returns how many pages were retired, or rows remapped.
	Retired() (corrected, uncorrected uint64, err error)
	// Xid returns the errors that the driver has reported since the last call, at
	// most a few; the first call arms it.
	Xid() ([]uint64, error)

	Clocks() (sm, memory uint32, err error)        // MHz
	PCIe() (transmit, receive uint64, err error)   // bytes; the driver wraps them
	NVLink() (transmit, receive uint64, err error) // bytes since the driver was loaded, all links together
	Processes(into []Process) ([]Process, error)   // with memory, and utilization since the last call where offered
	VGPUs(into []VGPU) ([]VGPU, error)
}

// A Sample is one of the driver's: the percentage of the time up to its
// timestamp in which a kernel ran.
type Sample struct {
	At    uint64 // unix us
	Value uint64 // 0..100; anything else is garbage
}

// A Process uses a GPU.
type Process struct {
	PID            uint32
	Memory         uint64 // bytes
	HasMemory      bool
	Utilization    uint32 // percent
	HasUtilization bool
}

// A VGPU is a virtual GPU that the host gave to a guest.
type VGPU struct {
	UUID           string
	Memory         uint64 // bytes of frame buffer in use
	HasMemory      bool
	Utilization    uint32 // percent
	HasUtilization bool
}
