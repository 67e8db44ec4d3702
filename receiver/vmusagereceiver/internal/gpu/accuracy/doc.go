// Package accuracy compares what the GPU meter and the ledger say with what is
// known to be true: with scripts on the stub of NVML, which every test run does,
// and with a load of its own on a real GPU, which `make test-gpu` does. See
// docs/accuracy.md.
package accuracy
