//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package usageapiextension is the collector extension usage_api: an HTTP API that
// says what each instance uses now and whether metering works. The exporter
// usage_api feeds it; it asks nobody and refuses nothing.
//
//	exporter -> store (what is known of each instance) -> views -> HTTP
//	component status, last data -> vitals -> health
//
// All endpoints are in one table, see routes.go: the router, the OpenAPI document and the
// tests of who may do what are made from it.
package usageapiextension
