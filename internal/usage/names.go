package usage

// Names of the contract: metrics, resource attributes and point attributes.
// Where the semantic conventions have a name, it is theirs.
const (
	// Scope is the instrumentation scope of everything this package writes.
	Scope = "github.com/vmusage/otelcol-vmusage"

	// MetricPrefix begins the name of every usage metric; whatever starts with
	// it belongs on the billing path and nowhere else.
	MetricPrefix = "vm.usage."
	// MeteredPrefix begins the names of the running totals.
	MeteredPrefix = "vm.metered."

	// MetricSequence is the metric whose one point says which period this is.
	MetricSequence = MetricPrefix + "sequence"
	// MetricStatistics is the metric with averages and maxima of utilizations.
	MetricStatistics = MetricPrefix + "statistics"

	// Resource attributes.
	AttrVMID       = "vm.id"
	AttrVMName     = "vm.name"
	AttrHypervisor = "vm.hypervisor"
	AttrHostID     = "host.id"
	AttrHostName   = "host.name"
	AttrUserID     = "user.id"
	AttrOrgID      = "org.id"

	// Point attributes of devices.
	AttrDevice           = "system.device"
	AttrDiskDirection    = "disk.io.direction"
	AttrInterface        = "network.interface.name"
	AttrNetworkDirection = "network.io.direction"
	AttrHardwareID       = "hw.id"
	AttrHardwareModel    = "hw.model"
)

// ContractVersion is the version of the metric contract that [AppendPeriod]
// writes and [Reader] reads. What only adds (metrics, meters, attributes) leaves
// it: a reader passes over what it does not know. It is raised where a reader of
// the version before would misread what is written.
const ContractVersion = 1

// Point attributes of vm.usage.sequence.
const (
	attrVersion      = "vm.usage.version"       // int: ContractVersion; absent is 1
	attrStream       = "vm.usage.stream"        // string: UUID
	attrStreamStart  = "vm.usage.stream.start"  // int: unix ns
	attrSource       = "vm.usage.source"        // string
	attrStreamHost   = "vm.usage.host"          // string: host.id of the ledger
	attrRun          = "vm.usage.run"           // string
	attrDuration     = "vm.usage.duration"      // int: ns of CLOCK_BOOTTIME
	attrPoints       = "vm.usage.points"        // int: data points of vm.usage.* besides this one
	attrTotals       = "vm.usage.totals"        // map: meter key to int, every metered meter
	attrQuality      = "vm.usage.quality"       // map: meter key to string, only what is not measured
	attrCoverage     = "vm.usage.coverage"      // map: meter key to int millionths, only what is below full
	attrFlavor       = "vm.usage.flavor"        // map: see flavorKeys
	attrClockStepped = "vm.usage.clock_stepped" // bool, only when true
	attrFinal        = "vm.usage.final"         // bool, only when true
	attrJoined       = "vm.usage.joined"        // int: how many periods it was joined from, only when more than one

	flavorVCPUs   = "vcpus"
	flavorMemory  = "memory"
	flavorStorage = "storage"
	flavorGPUs    = "gpus"
)

// Point attributes of vm.usage.statistics.
const (
	attrUtilization = "vm.usage.utilization" // cpu.utilization, ...
	attrStatistic   = "vm.usage.statistic"   // avg or max
	statisticAvg    = "avg"
	statisticMax    = "max"
)

// DeviceAttributes returns the names of the attributes that hold the device and the
// direction of a point of class c; GPUs have no direction.
func (c Class) DeviceAttributes() (device, direction string) {
	switch c {
	case Disk:
		return AttrDevice, AttrDiskDirection
	case Interface:
		return AttrInterface, AttrNetworkDirection
	default:
		return AttrHardwareID, ""
	}
}
