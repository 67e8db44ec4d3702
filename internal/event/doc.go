// Package event turns usage periods into the JSON events that consumers bill
// from, and back.
//
// The contract has versions, major.minor, and a minor only adds. docs/events.md
// is the reader's side of it, [Schema] its JSON Schema. [AppendUsage] encodes,
// [Decode] is for consumers, [ID] is the identity by which they drop repeats.
//
// Encoding does not allocate beyond the buffer and uses no floating point: all
// decimals are exact integer divisions, rounded half up at the sixth place.
package event
