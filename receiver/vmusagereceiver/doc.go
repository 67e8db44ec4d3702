//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package vmusagereceiver is the collector receiver vm_usage: it samples the
// counters of the machine it runs on, closes usage periods that add up to the
// unit, and emits levels and usage as metrics.
package vmusagereceiver
