//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package usageapiexporter is the collector exporter usage_api: it hands metrics to
// the extension of the same name. It never refuses any: usage that is on its way to
// Kafka must not wait for somebody who looks at it.
package usageapiexporter
