//go:build cgo && linux

package gpu

import (
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"golang.org/x/sys/unix"
)

// Built reports whether this binary can load NVML.
const Built = true

// modulePath is the driver's folder in sysfs. The kernel numbers such folders
// anew each time one is made, so that the number tells one loading of the driver
// from another. It cannot be unloaded while NVML is initialized.
const modulePath = "/sys/module/nvidia"

// A library is libnvidia-ml.so.1, loaded at run time. The linker binds each
// function when it is first called, for as long as the process lives, and a
// function that the library does not have would end the process: so each is
// looked up before.
type library struct {
	nvml nvml.Interface
	has  map[string]bool // functions that were looked up, without "nvml"; written by Open alone
	load uint64
}

func newDriver(path string) driver {
	if path == "" {
		return &library{nvml: nvml.New()}
	}
	return &library{nvml: nvml.New(nvml.WithLibraryPath(path))}
}

// functions are all that are called and that a library may lack; of several
// versions one is enough, since the binding calls the newest there is.
var functions = [...][]string{
	{"nvmlInit_v2", "nvmlInit"},
	{"nvmlShutdown"},
	{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
	{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	{"nvmlDeviceGetUUID"},
	{"nvmlDeviceGetName"},
	{"nvmlDeviceGetMigMode"},
	{"nvmlDeviceGetMaxMigDeviceCount"},
	{"nvmlDeviceGetMigDeviceHandleByIndex"},
	{"nvmlDeviceGetSamples"},
	{"nvmlDeviceGetUtilizationRates"},
	{"nvmlDeviceGetMemoryInfo"},
	{"nvmlDeviceGetMemoryInfo_v2"},
	{"nvmlDeviceGetTotalEnergyConsumption"},
	{"nvmlDeviceGetPowerUsage"},
	{"nvmlDeviceGetTemperature"},
	{"nvmlDeviceGetTotalEccErrors"},
	{"nvmlDeviceGetRetiredPages"},
	{"nvmlDeviceGetRemappedRows"},
	{"nvmlEventSetCreate"},
	{"nvmlDeviceRegisterEvents"},
	{"nvmlEventSetWait_v2", "nvmlEventSetWait"},
	{"nvmlEventSetFree"},
	{"nvmlDeviceGetClockInfo"},
	{"nvmlDeviceGetFieldValues"},
	{"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses"},
	{"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses"},
	{"nvmlDeviceGetProcessUtilization"},
	{"nvmlDeviceGetActiveVgpus"},
	{"nvmlDeviceGetVgpuUtilization"},
	{"nvmlVgpuInstanceGetUUID"},
	{"nvmlVgpuInstanceGetFbUsage"},
}

func (l *library) Open() error {
	ret := l.nvml.Init()
	if ret != nvml.SUCCESS {
		return failure("Init", ret)
	}
	if l.has == nil {
		// The library stays loaded once one of its functions was bound, so that this
		// holds for ever, and nobody who hangs in a call sees it change.
		has := map[string]bool{}
		for _, versions := range functions {
			for _, f := range versions {
				if l.nvml.Extensions().LookupSymbol(f) == nil {
					has[strings.TrimPrefix(versions[len(versions)-1], "nvml")] = true
					break
				}
			}
		}
		l.has = has
	}
	l.load = 0
	var st unix.Stat_t
	if unix.Stat(modulePath, &st) == nil {
		l.load = st.Ino
	}
	return nil
}

func (l *library) Close() error { return failure("Shutdown", l.nvml.Shutdown()) }

func (l *library) Load() uint64 { return l.load }

func (l *library) Count() (int, error) {
	n, ret := l.nvml.DeviceGetCount()
	return n, failure("DeviceGetCount", ret)
}

func (l *library) Device(i int) (device, error) {
	d, ret := l.nvml.DeviceGetHandleByIndex(i)
	if ret != nvml.SUCCESS {
		return nil, failure("DeviceGetHandleByIndex", ret)
	}
	return &nvmlDevice{lib: l, dev: d}, nil
}

// failure is nil where a call succeeded.
func failure(function string, ret nvml.Return) error {
	if ret == nvml.SUCCESS {
		return nil
	}
	return &CallError{Func: function, Code: Code(ret)}
}

// lacks says that the library does not have a function.
func (l *library) lacks(function string) error {
	if l.has[function] {
		return nil
	}
	return &CallError{Func: function, Code: FunctionNotFound}
}
