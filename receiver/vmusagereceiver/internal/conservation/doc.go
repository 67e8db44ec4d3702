// Package conservation proves ledger and outbox together: its tests generate
// histories of machines, readings, crashes, refusals and faults, and compare the
// sum over distinct events with what the counters really counted.
package conservation
