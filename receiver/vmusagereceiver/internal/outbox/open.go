package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// Found is what a storage held.
type Found struct {
	Shards []Shard // of the newest checkpoint
	Chunks int
	// Lost says that there was state and its index is gone: the marker is there
	// and the index is not, or cannot be read.
	Lost bool
	// Damaged are the values that could not be used, and why; they were set aside.
	Damaged []error
}

// A Shard is a value of the checkpoint, under its key.
type Shard struct {
	Key   string
	Value []byte
}

// Open returns an outbox with all that store holds. marker is another storage,
// which survives the loss of store; it knows whether there ever was something.
// The error says that the storage cannot be used, or that a newer version wrote
// it; values that are damaged are no error.
func Open(ctx context.Context, s Settings, store, marker Store) (*Outbox, *Found, error) {
	o := New(s)
	o.store = store
	f := &Found{}
	x, err := o.findIndex(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	if x == nil {
		installed, err := marker.Get(ctx, keyMarker)
		if err != nil {
			return nil, nil, fmt.Errorf("read the marker: %w", err)
		}
		f.Lost = installed != nil || len(f.Damaged) > 0
		// Ids of chunks go on from where no lost one can have been.
		o.next = uint64(s.Clock().UnixNano()) //nolint:gosec // after 1970
		return o, f, nil
	}
	o.next, o.stored, o.indexed = x.next, x.shards, true
	for i := range x.shards {
		key := keyOfShard(i)
		value, err := store.Get(ctx, key)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", key, err)
		}
		f.Shards = append(f.Shards, Shard{key, value})
	}
	for _, d := range x.chunks {
		o.chunks = append(o.chunks, &Chunk{descriptor: d, estimate: d.bytes, written: true, durable: true})
	}
	f.Chunks = len(x.chunks)
	if len(f.Damaged) > 0 {
		o.unwritten = true // the copy that was damaged is mended
		notify(o.dirty)
	}
	return o, f, nil
}

// findIndex returns the index, or nil where there is none that can be read.
func (o *Outbox) findIndex(ctx context.Context, f *Found) (*index, error) {
	var found *index
	for _, key := range []string{keyIndex, keyIndexCopy} {
		value, err := o.store.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		if value == nil {
			continue
		}
		x, err := openIndex(value)
		switch {
		case errors.Is(err, wire.ErrNewer):
			return nil, fmt.Errorf("%s: %w: start that version again, or give vm_usage another storage", key, err)
		case err != nil:
			f.Damaged = append(f.Damaged, fmt.Errorf("%s: %w", key, err))
			if err := o.SetAside(ctx, key, value); err != nil {
				return nil, fmt.Errorf("set %s aside: %w", key, err)
			}
		case found == nil:
			found = x
		}
	}
	return found, nil
}

// Mark leaves in marker that there is state, once there is, and reports whether
// there is. A crash before that is a first start again.
func (o *Outbox) Mark(ctx context.Context, marker Store, now time.Time) (marked bool, err error) {
	o.mu.Lock()
	indexed := o.indexed
	o.mu.Unlock()
	if !indexed {
		return false, nil
	}
	if was, err := marker.Get(ctx, keyMarker); err != nil || was != nil {
		return err == nil, err
	}
	value := wire.Seal(wire.AppendString(wire.Begin(nil, wire.KindMarker), now.UTC().Format(time.RFC3339)))
	err = marker.Batch(ctx, storage.SetOperation(keyMarker, value))
	return err == nil, err
}
