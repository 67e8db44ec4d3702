package outbox

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// A Store is the part of a storage client that is used. Batch does all of its
// operations or none.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Batch(ctx context.Context, ops ...*storage.Operation) error
}

// Keys. The index is there twice: without it nobody knows the rest.
const (
	keyIndex     = "index"
	keyIndexCopy = "index.copy"
	keyMarker    = "installed"
	asidePrefix  = "corrupt/"
)

func keyOfShard(i int) string     { return "accounts." + strconv.Itoa(i) }
func keyOfChunk(id uint64) string { return "periods." + strconv.FormatUint(id, 10) }

// An index says what else the storage holds.
type index struct {
	next   uint64
	shards int
	chunks []descriptor
}

func (x *index) seal(dst []byte) []byte {
	b := wire.Begin(dst, wire.KindIndex)
	b = binary.AppendUvarint(b, x.next)
	b = binary.AppendUvarint(b, uint64(x.shards)) //nolint:gosec // a length
	b = binary.AppendUvarint(b, uint64(len(x.chunks)))
	for i := range x.chunks {
		c := &x.chunks[i]
		b = binary.AppendUvarint(b, c.id)
		b = binary.AppendUvarint(b, uint64(c.periods)) //nolint:gosec // a length
		b = binary.AppendVarint(b, c.bytes)
		b = binary.AppendVarint(b, c.start)
		b = binary.AppendVarint(b, c.end)
		b = wire.AppendBool(wire.AppendBool(b, c.parked), c.joined)
	}
	return wire.Seal(b)
}

func openIndex(value []byte) (*index, error) {
	payload, err := wire.Open(value, wire.KindIndex)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	x := &index{next: d.Uint(), shards: int(d.Uint())} //nolint:gosec // checked below
	if x.shards < 0 || x.shards > 1<<20 {
		return nil, fmt.Errorf("%w: %d shards", wire.ErrCorrupt, x.shards)
	}
	for range d.Count() {
		x.chunks = append(x.chunks, descriptor{
			id: d.Uint(), periods: int(d.Uint()), bytes: d.Int(), start: d.Int(), end: d.Int(), parked: d.Bool(), joined: d.Bool(), //nolint:gosec // a length
		})
	}
	return x, d.End()
}

func sealPeriods(dst []byte, periods []usage.Period) []byte {
	b := wire.Begin(dst, wire.KindChunk)
	b = binary.AppendUvarint(b, uint64(len(periods)))
	for i := range periods {
		b = wire.AppendPeriod(b, &periods[i])
	}
	return wire.Seal(b)
}

func openPeriods(value []byte) ([]usage.Period, error) {
	payload, err := wire.Open(value, wire.KindChunk)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	periods := make([]usage.Period, d.Count())
	for i := range periods {
		d.Period(&periods[i])
	}
	return periods, d.End()
}
