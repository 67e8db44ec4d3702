// Package nvmltest has a libnvidia-ml.so.1 of this project's own for tests: what
// it says about GPUs is scripted, and the program under test loads it as it loads
// the driver's. It needs a C compiler, and no GPU.
//
// A process loads one library and keeps it: the linker binds NVML's functions to
// the first one that was loaded. Another script takes effect at the next nvmlInit,
// which reads the one that NVMLSTUB_SCRIPT names, or nvmlstub.script beside the
// library where the variable is not set. [Start] does this for a test. A script
// is read once; no script is a machine without a driver, and one that is not
// understood is an init that fails with UNKNOWN and says why on stderr.
//
// # Scripts
//
// A script is lines of words; # begins a comment. Times are seconds, or have a
// unit (us, ms, s, m, h), and count from the script's time 0: when it is read,
// unless [Driver] or "epoch" says when. "-" is for ever. Amounts may have a unit
// (KiB, MiB, GiB; W, mW; J, mJ; %; C; MHz). What a device does not mention, it
// does not support; utilization and memory it always has.
//
// Of the driver:
//
//	driver 550.54.15            its version; nvml and cuda likewise
//	epoch 1767225600            the unix time of time 0
//	loaded -1h                  when it was loaded; 0 otherwise
//	unload 30s 45s [RESULT]     not loaded for that time: init fails with
//	                            DRIVER_NOT_LOADED and the rest with UNINITIALIZED, or
//	                            with RESULT; counters begin anew, and nothing but
//	                            shutdown and init makes the library work again
//	enumerate live              devices come and go at once, rather than at an init
//
// Of a device, after a line "gpu", or "mig-device INDEX" or "vgpu INDEX" of the GPU
// before. A level is a time from which on it holds, and how much it is:
//
//	uuid, name, serial, pci, vm TEXT   vm: the machine that has a vGPU
//	memory 80GiB                all of it; "reserved" is what the driver takes of it
//	present 10s 60s             there only then; may be repeated
//	busy 0s 1m 50               for 50 % of the time; 12.5 is fine
//	busy 0s - on=30ms every=1s  for the first 30 ms of every second
//	used 10s 2GiB               memory in use, a level
//	power 0s 350W               a level; energy is what it amounts to since the
//	                            driver was loaded, and "energy 5J" before that
//	power-limit, temperature, memory-busy AT V
//	clock graphics|sm|memory|video AT MHZ
//	pcie tx|rx AT KBS           KB/s, of which the counters are the sum
//	nvlink LINK tx|rx AT KIBS   KiB/s, of which the counters are the sum
//	ecc volatile|aggregate corrected|uncorrected AT COUNT
//	retired single|double AT COUNT     pages
//	remapped AT CORRECTED UNCORRECTED PENDING FAILED
//	xid AT CODE                 an event
//	process PID FROM TO MEMORY SM% MEMORY%
//	mig AT 0|1                  the mode; a GPU in it has no utilization
//	gi, ci, slices N            of a MIG device
//	period 166667us             between two samples, whose timestamps are at whole
//	                            multiples of it, plus "phase", give or take "jitter"
//	buffer 100                  how many samples are kept
//
// Samples are whole percentages of the time since the sample before. What is wrong
// with those whose timestamps are in a span:
//
//	garbage value N FROM TO     the value is N, 4294967295 for one
//	garbage extra N FROM TO     another sample, 1 us younger, says N
//	garbage zero FROM TO        another sample has timestamp 0
//	garbage future FROM TO      another sample is an hour ahead
//	garbage twice FROM TO       every sample is there twice
//	garbage swap FROM TO        every sample trades places with the one before
//
// Of calls, for all devices before the first "gpu" and after "all", else for the
// device and those on it. A function is named without "nvml" and its version, and
// * is every one:
//
//	fail FUNCTION RESULT [from=T] [to=T] [calls=2..5]
//	unsupported FUNCTION
//	delay FUNCTION 5ms [from=T] [to=T] [calls=N]
//	hang FUNCTION [from=T] [to=T] [calls=N]    as long as it is then
//	hang FUNCTION file=NAME [calls=N]          as long as that file is there
//
// Calls are counted from 1 on, for each of these lines. Real time passes in delays
// and in waits for events, whatever the script's clock is.
package nvmltest
