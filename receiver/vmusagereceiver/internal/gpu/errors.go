package gpu

import (
	"errors"
	"fmt"
)

// A Code is what an NVML function returned (nvmlReturn_t).
type Code int32

// The codes that are told apart here.
const (
	Uninitialized      Code = 1
	NotSupported       Code = 3
	NoPermission       Code = 4
	NotFound           Code = 6
	DriverNotLoaded    Code = 9
	TimedOut           Code = 10
	LibraryNotFound    Code = 12
	FunctionNotFound   Code = 13
	GPUIsLost          Code = 15
	ResetRequired      Code = 16
	LibVersionMismatch Code = 18
	NoData             Code = 21
	GPUNotFound        Code = 28
	Unknown            Code = 999
)

var codeNames = map[Code]string{
	Uninitialized: "uninitialized", 2: "invalid_argument", NotSupported: "not_supported", NoPermission: "no_permission",
	NotFound: "not_found", 7: "insufficient_size", 8: "insufficient_power", DriverNotLoaded: "driver_not_loaded",
	TimedOut: "timeout", 11: "irq_issue", LibraryNotFound: "library_not_found", FunctionNotFound: "function_not_found",
	14: "corrupted_inforom", GPUIsLost: "gpu_is_lost", ResetRequired: "reset_required", 17: "operating_system",
	LibVersionMismatch: "lib_rm_version_mismatch", 19: "in_use", 20: "memory", NoData: "no_data",
	23: "insufficient_resources", 25: "argument_version_mismatch", 27: "not_ready", GPUNotFound: "gpu_not_found",
	29: "invalid_state", Unknown: "unknown",
}

// String returns the code's name, such as gpu_is_lost; codes without one are "other".
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "other"
}

// A CallError is a call of NVML that did not succeed.
type CallError struct {
	Func string // without its prefix: DeviceGetSamples
	Code Code
}

func (e *CallError) Error() string {
	return fmt.Sprintf("nvml%s: %s (%d)", e.Func, e.Code, e.Code)
}

// codeOf returns the code of an error of a call; 0 is success.
func codeOf(err error) Code {
	if err == nil {
		return 0
	}
	if call, ok := errors.AsType[*CallError](err); ok {
		return call.Code
	}
	return Unknown
}

// absent reports whether the thing asked for is not offered here, which no
// repetition changes before the driver is initialized anew.
func (c Code) absent() bool {
	return c == NotSupported || c == FunctionNotFound || c == NoPermission
}

// driverGone reports whether no call can succeed before NVML is initialized anew.
func (c Code) driverGone() bool {
	return c == Uninitialized || c == DriverNotLoaded || c == LibVersionMismatch
}

// gpuGone reports whether the GPU answers no call before NVML is initialized anew.
func (c Code) gpuGone() bool {
	return c == GPUIsLost || c == ResetRequired || c == GPUNotFound
}

// noDriver reports whether an initialization failed since there is nothing here
// to initialize: a machine without a GPU.
func noDriver(err error) bool {
	c := codeOf(err)
	return c == LibraryNotFound || c == DriverNotLoaded
}
