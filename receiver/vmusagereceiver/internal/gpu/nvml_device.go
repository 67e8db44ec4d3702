//go:build cgo && linux

package gpu

import (
	"encoding/binary"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// An nvmlDevice is the handle of a GPU or MIG instance.
type nvmlDevice struct {
	lib *library
	dev nvml.Device

	events   nvml.EventSet // nil where errors are not watched yet
	lastProc uint64        // unix us of the last utilization of processes
	lastVGPU uint64
}

func (d *nvmlDevice) Renew() device { return &nvmlDevice{lib: d.lib, dev: d.dev} }

func (d *nvmlDevice) Identify() (id Identity, err error) {
	var ret nvml.Return
	if id.UUID, ret = d.dev.GetUUID(); ret != nvml.SUCCESS {
		return id, failure("DeviceGetUUID", ret)
	}
	if id.Model, ret = d.dev.GetName(); ret != nvml.SUCCESS {
		return id, failure("DeviceGetName", ret)
	}
	if d.lib.lacks("DeviceGetMigMode") != nil {
		return id, nil
	}
	switch mode, _, ret := d.dev.GetMigMode(); ret {
	case nvml.SUCCESS:
		id.MIG = mode == nvml.DEVICE_MIG_ENABLE
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_INVALID_ARGUMENT: // a MIG instance, or a GPU without MIG
	default:
		return id, failure("DeviceGetMigMode", ret)
	}
	return id, nil
}

func (d *nvmlDevice) Instances() ([]device, error) {
	for _, f := range [...]string{"DeviceGetMaxMigDeviceCount", "DeviceGetMigDeviceHandleByIndex"} {
		if err := d.lib.lacks(f); err != nil {
			return nil, err
		}
	}
	n, ret := d.dev.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return nil, failure("DeviceGetMaxMigDeviceCount", ret)
	}
	var list []device
	for i := range n {
		dev, ret := d.dev.GetMigDeviceHandleByIndex(i)
		switch ret {
		case nvml.SUCCESS:
			list = append(list, &nvmlDevice{lib: d.lib, dev: dev})
		case nvml.ERROR_NOT_FOUND, nvml.ERROR_INVALID_ARGUMENT: // no instance has that number now
		default:
			return nil, failure("DeviceGetMigDeviceHandleByIndex", ret)
		}
	}
	return list, nil
}

func (d *nvmlDevice) Samples(since uint64, into []Sample) ([]Sample, error) {
	if err := d.lib.lacks("DeviceGetSamples"); err != nil {
		return into, err
	}
	kind, samples, ret := d.dev.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, since)
	if ret != nvml.SUCCESS {
		return into, failure("DeviceGetSamples", ret)
	}
	for i := range samples {
		into = append(into, Sample{At: samples[i].TimeStamp, Value: number(kind, samples[i].SampleValue)})
	}
	return into, nil
}

// number returns a value of a union as what it is said to be; what is no whole
// number of 32 or 64 bits without a sign does not occur here, and is garbage.
func number(kind nvml.ValueType, b [8]byte) uint64 {
	switch kind {
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		return uint64(binary.NativeEndian.Uint32(b[:4]))
	case nvml.VALUE_TYPE_UNSIGNED_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG_LONG:
		return binary.NativeEndian.Uint64(b[:])
	default:
		return 1<<64 - 1
	}
}

func (d *nvmlDevice) Utilization() (uint32, error) {
	if err := d.lib.lacks("DeviceGetUtilizationRates"); err != nil {
		return 0, err
	}
	u, ret := d.dev.GetUtilizationRates()
	return u.Gpu, failure("DeviceGetUtilizationRates", ret)
}

// Memory prefers the second version, whose used memory leaves out what the
// driver keeps for itself.
func (d *nvmlDevice) Memory() (used, total uint64, err error) {
	if d.lib.lacks("DeviceGetMemoryInfo_v2") == nil {
		m, ret := d.dev.GetMemoryInfo_v2()
		if ret != nvml.ERROR_NOT_SUPPORTED && ret != nvml.ERROR_FUNCTION_NOT_FOUND && ret != nvml.ERROR_ARGUMENT_VERSION_MISMATCH {
			return m.Used, m.Total, failure("DeviceGetMemoryInfo_v2", ret)
		}
	}
	if err := d.lib.lacks("DeviceGetMemoryInfo"); err != nil {
		return 0, 0, err
	}
	m, ret := d.dev.GetMemoryInfo()
	return m.Used, m.Total, failure("DeviceGetMemoryInfo", ret)
}

func (d *nvmlDevice) Energy() (uint64, error) {
	if err := d.lib.lacks("DeviceGetTotalEnergyConsumption"); err != nil {
		return 0, err
	}
	n, ret := d.dev.GetTotalEnergyConsumption()
	return n, failure("DeviceGetTotalEnergyConsumption", ret)
}
