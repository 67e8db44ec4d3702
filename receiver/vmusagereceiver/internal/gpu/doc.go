// Package gpu meters NVIDIA GPUs through NVML: active time, allotted time, memory
// over time and energy of each GPU and MIG instance, and the levels of the moment.
//
// NVML calls may take seconds or never return. So each physical GPU has a worker,
// a goroutine that makes all calls about it, and one more goroutine initializes
// and enumerates. Whoever samples asks the workers and waits for them no longer
// than a deadline; a GPU whose worker has not answered is left out of that sample
// and asked again when its call has returned.
//
//	supervisor --(open, enumerate, close)--> calls on a goroutine of their own
//	     |
//	     +--(starts, stops)--> worker of GPU 0 --(poll_interval)--> NVML
//	                           worker of GPU 1 ...
//	                                ^   |
//	             Ask ---------------+   +-----> Collect, within timeout
//
// The arithmetic (activity, integral) and the goroutines know NVML only as the
// interfaces driver and device. The binding needs cgo; without it everything
// compiles, and [Config.Validate] says what is missing.
package gpu
