//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package thresholdprocessor holds current metrics against rules, tags what
// violates them, and announces each violation once.
package thresholdprocessor
