// Package wire is how components' state lies in a storage: values that say
// what they are, which format they have, and whether they are still what was
// written.
//
// A value is
//
//	"VMUS" kind(1) format(1) payload CRC-32C(4, little endian, of all before it)
//
// and a payload is a sequence of varints and of strings with their length before
// them. A reader knows every format up to its own; what a newer program wrote is
// refused rather than guessed at.
package wire
