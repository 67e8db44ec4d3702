package store

// A target is where the points of a metric go.
type target struct {
	kind     kind
	index    uint8 // of the value; the one after it is for the second direction
	directed bool
	seconds  bool // kept in milliseconds
}

type kind uint8

const (
	ofInstance kind = iota
	ofSwap
	ofCPU
	ofDisk
	ofInterface
	ofFilesystem
	ofGPU
)

// levels are the metrics that are levels, see the metric contract. Nobody changes it.
var levels = map[string]target{
	"vm.cpu.utilization":      {kind: ofInstance, index: uint8(CPUUtilization)},
	"vm.cpu.logical.count":    {kind: ofInstance, index: uint8(CPUCount)},
	"vm.cpu.load_average.1m":  {kind: ofInstance, index: uint8(Load1)},
	"vm.cpu.load_average.5m":  {kind: ofInstance, index: uint8(Load5)},
	"vm.cpu.load_average.15m": {kind: ofInstance, index: uint8(Load15)},
	"vm.memory.usage":         {kind: ofInstance, index: uint8(MemoryUsed)},
	"vm.memory.limit":         {kind: ofInstance, index: uint8(MemoryLimit)},
	"vm.memory.free":          {kind: ofInstance, index: uint8(MemoryFree)},
	"vm.memory.utilization":   {kind: ofInstance, index: uint8(MemoryUtilization)},
	"vm.storage.usage":        {kind: ofInstance, index: uint8(StorageUsed)},
	"vm.storage.limit":        {kind: ofInstance, index: uint8(StorageLimit)},
	"vm.process.count":        {kind: ofInstance, index: uint8(ProcessCount)},
	"vm.uptime":               {kind: ofInstance, index: uint8(Uptime)},
	"vm.paging.usage":         {kind: ofSwap},
	"vm.cpu.time":             {kind: ofCPU},

	"vm.disk.io":                 {kind: ofDisk, index: uint8(DiskReadBytes), directed: true},
	"vm.disk.operations":         {kind: ofDisk, index: uint8(DiskReads), directed: true},
	"vm.disk.operation_time":     {kind: ofDisk, index: uint8(DiskReadMillis), directed: true, seconds: true},
	"vm.disk.merged":             {kind: ofDisk, index: uint8(DiskReadsMerged), directed: true},
	"vm.disk.pending_operations": {kind: ofDisk, index: uint8(DiskInProgress)},
	"vm.disk.io_time":            {kind: ofDisk, index: uint8(DiskIOMillis), seconds: true},
	"vm.disk.weighted_io_time":   {kind: ofDisk, index: uint8(DiskWeightedMillis), seconds: true},

	"vm.network.io":             {kind: ofInterface, index: uint8(TransmitBytes), directed: true},
	"vm.network.packet.count":   {kind: ofInterface, index: uint8(TransmitPackets), directed: true},
	"vm.network.errors":         {kind: ofInterface, index: uint8(TransmitErrors), directed: true},
	"vm.network.packet.dropped": {kind: ofInterface, index: uint8(TransmitDropped), directed: true},
	"vm.network.speed":          {kind: ofInterface, index: uint8(Speed)},

	"vm.filesystem.usage": {kind: ofFilesystem},

	"hw.gpu.utilization":        {kind: ofGPU, index: uint8(GPUUtilization)},
	"hw.gpu.memory.usage":       {kind: ofGPU, index: uint8(GPUMemoryUsed)},
	"hw.gpu.memory.limit":       {kind: ofGPU, index: uint8(GPUMemoryLimit)},
	"hw.gpu.memory.utilization": {kind: ofGPU, index: uint8(GPUMemoryUtilization)},
	"hw.temperature":            {kind: ofGPU, index: uint8(GPUTemperature)},
	"hw.power":                  {kind: ofGPU, index: uint8(GPUPower)},
	"hw.energy":                 {kind: ofGPU, index: uint8(GPUEnergy)},
}

func isLevel(name string) bool { _, ok := levels[name]; return ok }
