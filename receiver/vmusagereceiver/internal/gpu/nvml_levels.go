//go:build cgo && linux

package gpu

import (
	"cmp"
	"math"
	"reflect"
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const (
	// maxXids bounds how many events one call takes; the rest comes with the next.
	maxXids = 32
	// notAvailable is what NVML says of a value that it does not know.
	notAvailable = math.MaxUint64
)

func (d *nvmlDevice) Power() (uint32, error) {
	if err := d.lib.lacks("DeviceGetPowerUsage"); err != nil {
		return 0, err
	}
	n, ret := d.dev.GetPowerUsage()
	return n, failure("DeviceGetPowerUsage", ret)
}

func (d *nvmlDevice) Temperature() (uint32, error) {
	if err := d.lib.lacks("DeviceGetTemperature"); err != nil {
		return 0, err
	}
	n, ret := d.dev.GetTemperature(nvml.TEMPERATURE_GPU)
	return n, failure("DeviceGetTemperature", ret)
}

func (d *nvmlDevice) ECC() (corrected, uncorrected uint64, err error) {
	if err := d.lib.lacks("DeviceGetTotalEccErrors"); err != nil {
		return 0, 0, err
	}
	corrected, ret := d.dev.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.AGGREGATE_ECC)
	if ret == nvml.SUCCESS {
		uncorrected, ret = d.dev.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.AGGREGATE_ECC)
	}
	return corrected, uncorrected, failure("DeviceGetTotalEccErrors", ret)
}

// Retired counts retired pages, or on GPUs since Ampere, which have none,
// remapped rows.
func (d *nvmlDevice) Retired() (corrected, uncorrected uint64, err error) {
	if d.lib.lacks("DeviceGetRemappedRows") == nil {
		c, u, _, _, ret := d.dev.GetRemappedRows()
		if ret != nvml.ERROR_NOT_SUPPORTED && ret != nvml.ERROR_FUNCTION_NOT_FOUND {
			return uint64(c), uint64(u), failure("DeviceGetRemappedRows", ret) //nolint:gosec // 32 bits without a sign
		}
	}
	if err := d.lib.lacks("DeviceGetRetiredPages"); err != nil {
		return 0, 0, err
	}
	single, ret := d.dev.GetRetiredPages(nvml.PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS)
	if ret != nvml.SUCCESS {
		return 0, 0, failure("DeviceGetRetiredPages", ret)
	}
	double, ret := d.dev.GetRetiredPages(nvml.PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR)
	return uint64(len(single)), uint64(len(double)), failure("DeviceGetRetiredPages", ret)
}

func (d *nvmlDevice) Xid() (xids []uint64, err error) {
	if d.events == nil {
		for _, f := range [...]string{"EventSetCreate", "DeviceRegisterEvents", "EventSetWait", "EventSetFree"} {
			if err := d.lib.lacks(f); err != nil {
				return nil, err
			}
		}
		set, ret := d.lib.nvml.EventSetCreate()
		if ret != nvml.SUCCESS {
			return nil, failure("EventSetCreate", ret)
		}
		if ret := d.dev.RegisterEvents(nvml.EventTypeXidCriticalError, set); ret != nvml.SUCCESS {
			_ = set.Free() // the other error says more
			return nil, failure("DeviceRegisterEvents", ret)
		}
		d.events = set // freed with the driver's Close
	}
	for len(xids) < maxXids {
		e, ret := d.events.Wait(0)
		if ret == nvml.ERROR_TIMEOUT {
			break
		}
		if ret != nvml.SUCCESS {
			return xids, failure("EventSetWait", ret)
		}
		xids = append(xids, e.EventData)
	}
	return xids, nil
}

func (d *nvmlDevice) Clocks() (sm, memory uint32, err error) {
	if err := d.lib.lacks("DeviceGetClockInfo"); err != nil {
		return 0, 0, err
	}
	sm, ret := d.dev.GetClockInfo(nvml.CLOCK_SM)
	if ret == nvml.SUCCESS {
		memory, ret = d.dev.GetClockInfo(nvml.CLOCK_MEM)
	}
	return sm, memory, failure("DeviceGetClockInfo", ret)
}

func (d *nvmlDevice) PCIe() (transmit, receive uint64, err error) {
	return d.fields(nvml.FI_DEV_PCIE_COUNT_TX_BYTES, nvml.FI_DEV_PCIE_COUNT_RX_BYTES, 0)
}

// NVLink asks for all links together, which the scope says.
func (d *nvmlDevice) NVLink() (transmit, receive uint64, err error) {
	tx, rx, err := d.fields(nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, math.MaxUint32)
	return tx << 10, rx << 10, err // KiB
}

func (d *nvmlDevice) fields(tx, rx, scope uint32) (uint64, uint64, error) {
	const function = "DeviceGetFieldValues"
	if err := d.lib.lacks(function); err != nil {
		return 0, 0, err
	}
	values := []nvml.FieldValue{{FieldId: tx, ScopeId: scope}, {FieldId: rx, ScopeId: scope}}
	if ret := d.dev.GetFieldValues(values); ret != nvml.SUCCESS {
		return 0, 0, failure(function, ret)
	}
	for i := range values {
		if ret := nvml.Return(values[i].NvmlReturn); ret != nvml.SUCCESS { //nolint:gosec // nvmlReturn_t
			return 0, 0, failure(function, ret)
		}
	}
	return number(nvml.ValueType(values[0].ValueType), values[0].Value), number(nvml.ValueType(values[1].ValueType), values[1].Value), nil //nolint:gosec // an enumeration
}

// Processes lists compute and graphics processes, each once.
func (d *nvmlDevice) Processes(into []Process) ([]Process, error) {
	for _, list := range [...]struct {
		function string
		get      func() ([]nvml.ProcessInfo, nvml.Return)
	}{
		{"DeviceGetComputeRunningProcesses", d.dev.GetComputeRunningProcesses},
		{"DeviceGetGraphicsRunningProcesses", d.dev.GetGraphicsRunningProcesses},
	} {
		if err := d.lib.lacks(list.function); err != nil {
			return into, err
		}
		infos, ret := list.get()
		if ret == nvml.ERROR_NOT_SUPPORTED {
			continue
		}
		if ret != nvml.SUCCESS {
			return into, failure(list.function, ret)
		}
		for _, p := range infos {
			if place(into, p.Pid) < 0 {
				into = append(into, Process{PID: p.Pid, Memory: p.UsedGpuMemory, HasMemory: p.UsedGpuMemory != notAvailable})
			}
		}
	}
	into, err := d.utilizations(into)
	slices.SortFunc(into, func(x, y Process) int { return cmp.Compare(x.PID, y.PID) })
	return into, err
}

func place(in []Process, pid uint32) int {
	return slices.IndexFunc(in, func(p Process) bool { return p.PID == pid })
}

// utilizations adds what the processes did since the last call. Some values that
// drivers return are garbage: they are left out.
func (d *nvmlDevice) utilizations(into []Process) ([]Process, error) {
	if d.lib.lacks("DeviceGetProcessUtilization") != nil {
		return into, nil
	}
	samples, ret := d.dev.GetProcessUtilization(d.lastProc)
	switch ret {
	case nvml.SUCCESS:
	case nvml.ERROR_NOT_FOUND, nvml.ERROR_NOT_SUPPORTED:
		return into, nil
	default:
		return into, failure("DeviceGetProcessUtilization", ret)
	}
	for _, s := range samples {
		d.lastProc = max(d.lastProc, s.TimeStamp)
		if i := place(into, s.Pid); i >= 0 && s.SmUtil <= 100 {
			into[i].Utilization, into[i].HasUtilization = s.SmUtil, true
		}
	}
	return into, nil
}

func (d *nvmlDevice) VGPUs(into []VGPU) ([]VGPU, error) {
	for _, f := range [...]string{"DeviceGetActiveVgpus", "DeviceGetVgpuUtilization", "VgpuInstanceGetUUID", "VgpuInstanceGetFbUsage"} {
		if err := d.lib.lacks(f); err != nil {
			return into, err
		}
	}
	active, ret := d.dev.GetActiveVgpus()
	if ret != nvml.SUCCESS || len(active) == 0 {
		return into, failure("DeviceGetActiveVgpus", ret)
	}
	kind, samples, ret := d.dev.GetVgpuUtilization(d.lastVGPU)
	if ret != nvml.SUCCESS && ret != nvml.ERROR_NOT_FOUND && ret != nvml.ERROR_NOT_SUPPORTED {
		return into, failure("DeviceGetVgpuUtilization", ret)
	}
	for _, v := range active {
		uuid, ret := v.GetUUID()
		if ret != nvml.SUCCESS {
			continue // it ended just now
		}
		g := VGPU{UUID: uuid}
		var memory nvml.Return
		g.Memory, memory = v.GetFbUsage()
		g.HasMemory = memory == nvml.SUCCESS
		for i := range samples {
			s := &samples[i]
			d.lastVGPU = max(d.lastVGPU, s.TimeStamp)
			if n := number(kind, s.SmUtil); n <= 100 && handle(v) == uint64(s.VgpuInstance) {
				g.Utilization, g.HasUtilization = uint32(n), true //nolint:gosec // at most 100
			}
		}
		into = append(into, g)
	}
	return into, nil
}

// handle is the number by which samples name a vGPU: the binding has it in a type
// that it does not export.
func handle(v nvml.VgpuInstance) uint64 { return reflect.ValueOf(v).Uint() }
