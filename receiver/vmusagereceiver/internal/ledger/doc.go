// Package ledger turns readings into usage periods that add up to the unit.
//
// It is a pure state machine: it reads no clock, starts no goroutine and does no
// I/O. [Ledger.Observe] takes one reading of one instance and adds what was used
// since the last one to the open period; [Ledger.Due] asks for the open periods
// to be closed at the next reading, so that a period always begins and ends at
// measured instants. [Ledger.Take] hands over what was closed.
//
// What makes it conserve:
//
//   - Counters count by difference, in integers. One that was born since the
//     last scan counts from 0, one seen for the first time from its first value.
//   - Levels hold until the next sample. Products of bytes and nanoseconds have
//     128 bits, and what a division leaves over is carried into the next one.
//   - A value below the last one is a reset only where the source is known to
//     reset and the value is plausible for the time passed; otherwise it is
//     held: it counts as an anomaly and never as usage.
//   - Totals and sequence belong to a stream, which outlives owners and flavors
//     but not the loss of the ledger's state.
package ledger
