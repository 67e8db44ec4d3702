package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// ErrDamaged is what Load returns for a chunk that cannot be read back. Its
// value was set aside, and the chunk is gone.
var ErrDamaged = errors.New("periods cannot be read back from the storage")

// keptValues is how many buffers of chunks are used again: a period has few
// chunks, a backlog after a full disk has many.
const keptValues = 8

// Flush makes room where the outbox is full, and writes what is new in one
// batch. After an error nothing of it is lost: the next Flush writes it.
func (o *Outbox) Flush(ctx context.Context) error {
	errRoom := o.makeRoom(ctx)
	if o.store == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, c := range o.chunks {
			c.durable = true
		}
		o.gone = nil
		notify(o.wake)
		return errRoom
	}
	b, ok := o.begin()
	if !ok {
		return errRoom
	}
	err := o.store.Batch(ctx, b.operations(o)...)
	o.end(b, err)
	o.values = slices.Clip(o.values[:min(len(o.values), keptValues)])
	return errors.Join(errRoom, err)
}

// A batch is what one Flush writes.
type batch struct {
	chunks []*Chunk // whose periods are written
	all    []*Chunk // that the index names
	gone   []uint64
	shards [][]byte // nil: those in the storage stay
	stored int      // how many shards are in the storage
	index  index
}

func (o *Outbox) begin() (*batch, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.unwritten {
		return nil, false
	}
	o.unwritten = false
	b := &batch{gone: o.gone, shards: o.shards, stored: o.stored}
	o.gone, o.shards = nil, nil
	b.all = append(b.all, o.chunks...)
	for _, c := range b.all {
		if !c.written {
			b.chunks = append(b.chunks, c)
		}
	}
	b.index.next, b.index.shards = o.next, o.stored
	if b.shards != nil {
		b.index.shards = len(b.shards)
	}
	return b, true
}

// operations encodes the batch. The periods of a chunk that is not written never
// change, and nobody else sets its size.
func (b *batch) operations(o *Outbox) []*storage.Operation {
	var ops []*storage.Operation
	for i, c := range b.chunks {
		if i == len(o.values) {
			o.values = append(o.values, nil)
		}
		o.values[i] = sealPeriods(o.values[i][:0], c.held)
		o.mu.Lock()
		c.bytes = int64(len(o.values[i]))
		o.mu.Unlock()
		ops = append(ops, storage.SetOperation(keyOfChunk(c.id), o.values[i]))
	}
	for _, id := range b.gone {
		ops = append(ops, storage.DeleteOperation(keyOfChunk(id)))
	}
	if b.shards != nil {
		for i, shard := range b.shards {
			ops = append(ops, storage.SetOperation(keyOfShard(i), shard))
		}
		for i := len(b.shards); i < b.stored; i++ {
			ops = append(ops, storage.DeleteOperation(keyOfShard(i)))
		}
	}
	o.mu.Lock()
	for _, c := range b.all {
		b.index.chunks = append(b.index.chunks, c.descriptor)
	}
	o.mu.Unlock()
	value := b.index.seal(nil)
	return append(ops, storage.SetOperation(keyIndex, value), storage.SetOperation(keyIndexCopy, value))
}

func (o *Outbox) end(b *batch, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.unwritten = true
		o.gone = append(b.gone, o.gone...)
		if o.shards == nil {
			o.shards = b.shards // unless there are newer ones by now
		}
		return
	}
	o.indexed = true
	if b.shards != nil {
		o.stored = len(b.shards)
		o.spare = b.shards
	}
	for _, c := range b.chunks {
		c.written = true
	}
	for i, c := range b.all {
		c.durable = b.index.chunks[i].parked == c.parked
		if !c.durable {
			o.unwritten = true // unparked in between
			notify(o.dirty)
		}
	}
	// The newest are released first: the oldest are offered next.
	held := int64(0)
	for _, c := range o.chunks {
		if held += c.estimate; c.held != nil && c.written && held > heldBytes {
			c.held = nil
		}
	}
	notify(o.wake)
}

// Load returns the periods of a chunk that Next returned.
func (o *Outbox) Load(ctx context.Context, c *Chunk) ([]usage.Period, error) {
	o.mu.Lock()
	held := c.held
	o.mu.Unlock()
	if held != nil || o.store == nil {
		return held, nil
	}
	key := keyOfChunk(c.id)
	value, err := o.store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	periods, err := openPeriods(value)
	if err == nil {
		return periods, nil
	}
	if errors.Is(err, wire.ErrNewer) {
		return nil, err
	}
	err = fmt.Errorf("%w: %d periods under the key %s: %w", ErrDamaged, c.periods, key, err)
	if value != nil {
		if errAside := o.SetAside(ctx, key, value); errAside != nil {
			return nil, errors.Join(err, errAside)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts.Damaged += int64(c.periods)
	o.removeLocked(c)
	notify(o.dirty)
	return nil, err
}

// SetAside keeps a copy of a value that cannot be used under a name that says
// so, for whoever wants to look at it.
func (o *Outbox) SetAside(ctx context.Context, key string, value []byte) error {
	return o.store.Batch(ctx, storage.SetOperation(asidePrefix+key, value))
}
