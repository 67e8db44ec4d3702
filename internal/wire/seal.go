package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The formats of payloads. A value says which is the oldest that can say what is
// in it, so that a program goes back to the one before where nothing is lost.
const (
	Format        = FormatSampled // the newest
	FormatBase    = 1
	FormatSampled = 2 // accounts may have counters that are integrals of samples
)

// A Kind says what a value is, so that one under the wrong key is noticed.
type Kind byte

// The kinds.
const (
	KindIndex    Kind = 'I' // what else there is
	KindAccounts Kind = 'A' // of the ledger
	KindChunk    Kind = 'C' // closed periods
	KindMarker   Kind = 'M' // that there was state
	KindEpisodes Kind = 'E' // what the engine of thresholds remembers
	KindRules    Kind = 'R' // threshold rules that were written over an API
	KindDocument Kind = 'D' // of rules, as it was fetched
	KindHooks    Kind = 'H' // who wants to hear of what
	KindMessage  Kind = 'P' // an event, and the hooks that it is for
	KindBody     Kind = 'B' // what is sent of it
	KindMarks    Kind = 'K' // which events are known
	KindAlerts   Kind = 'L' // what is wrong with metering or delivery
)

// What is wrong with a value.
var (
	ErrForeign = errors.New("it was not written by vm_usage")
	ErrCorrupt = errors.New("it is not what was written")
	ErrNewer   = errors.New("it was written by a newer version")
)

const (
	magic    = "VMUS"
	overhead = len(magic) + 2 + crc32.Size
)

// Begin appends the head of a value to dst; the payload comes next, then Seal.
func Begin(dst []byte, k Kind) []byte {
	return append(append(dst, magic...), byte(k), FormatBase)
}

// Need says that the value that began at dst[0] cannot be read by who does not
// know that format.
func Need(dst []byte, format byte) {
	f := &dst[len(magic)+1]
	*f = max(*f, format)
}

// Seal ends the value that began at dst[0].
func Seal(dst []byte) []byte {
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli()))
}

// Open returns the payload of a value. The error wraps one of those above.
func Open(value []byte, k Kind) ([]byte, error) {
	if len(value) < overhead || string(value[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: %d bytes that do not begin with %s", ErrForeign, len(value), magic)
	}
	end := len(value) - crc32.Size
	if got, want := crc32.Checksum(value[:end], castagnoli()), binary.LittleEndian.Uint32(value[end:]); got != want {
		return nil, fmt.Errorf("%w: the checksum is %08x, want %08x", ErrCorrupt, got, want)
	}
	if got := Kind(value[len(magic)]); got != k {
		return nil, fmt.Errorf("%w: it is of kind %q, want %q", ErrForeign, got, k)
	}
	if f := value[len(magic)+1]; f > Format {
		return nil, fmt.Errorf("%w: its format is %d and this one knows up to %d", ErrNewer, f, Format)
	}
	return value[len(magic)+2 : end], nil
}

// castagnoli is made once by the package that has it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
