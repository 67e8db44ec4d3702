// Package usage is the domain of the project: which instance was metered, over
// which period, and how much of each thing it used.
//
// It owns the metric contract of usage. [Period] is the one in-memory form that
// the ledger closes, the exporter encodes and every consumer of pmetric reads;
// [AppendPeriod] and [Reader] turn it into pmetric and back without loss.
//
// All amounts are 64-bit integers in the unit of their [Meter]. Nothing here
// reads a clock, a file or a configuration.
package usage
