// Package e2e runs the built binaries as a user does and looks at what comes
// out: events on an embedded Kafka, a Prometheus scrape, logs and exit codes.
//
// The tests take the binaries from the folder in VMUSAGE_BIN, else from bin/ of
// the repository, and skip where they are not built; `make test` builds them.
//
// The outage of ten hours is in receiver/vmusagereceiver, since its instances are
// synthetic: TestTenHoursOfOutage.
package e2e
