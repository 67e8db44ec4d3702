package outbox_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// values is a storage in memory.
type values map[string][]byte

func (v values) Get(_ context.Context, key string) ([]byte, error) { return v[key], nil }

func (v values) Batch(_ context.Context, ops ...*storage.Operation) error {
	for _, op := range ops {
		switch op.Type {
		case storage.Set:
			v[op.Key] = slices.Clone(op.Value)
		case storage.Delete:
			delete(v, op.Key)
		}
	}
	return nil
}

func settings() outbox.Settings {
	return outbox.Settings{MaxBytes: 1 << 30, Clock: func() time.Time { return now }}
}

// stored is what an outbox with two chunks and a checkpoint leaves.
func stored(t *testing.T) (store, marker values) {
	t.Helper()
	store, marker = values{}, values{}
	o, found, err := outbox.Open(t.Context(), settings(), store, marker)
	require.NoError(t, err)
	assert.False(t, found.Lost, "a first start")
	shard := wire.Seal(wire.Begin(nil, wire.KindAccounts))
	o.Put([]usage.Period{period("a", 30)}, [][]byte{shard})
	require.NoError(t, o.Flush(t.Context()))
	o.Put([]usage.Period{period("a", 60), period("b", 60)}, [][]byte{shard})
	require.NoError(t, o.Flush(t.Context()))
	marked, err := o.Mark(t.Context(), marker, now)
	require.NoError(t, err)
	require.True(t, marked)
	return store, marker
}

// damages visits a value cut at each byte and with each bit flipped.
func damages(value []byte, visit func([]byte)) {
	for i := range value {
		visit(value[:i])
		for bit := range 8 {
			b := slices.Clone(value)
			b[i] ^= 1 << bit
			visit(b)
		}
	}
}

func TestDamagedValues(t *testing.T) {
	store, marker := stored(t)
	require.Len(t, store, 5, "two chunks, a shard, and the index twice")
	for _, key := range slices.Sorted(maps.Keys(store)) {
		if strings.HasPrefix(key, "accounts.") {
			continue // the ledger's: see there
		}
		t.Run(key, func(t *testing.T) {
			damages(store[key], func(bad []byte) {
				s := maps.Clone(store)
				s[key] = bad
				o, found, err := outbox.Open(t.Context(), settings(), s, marker)
				require.NoError(t, err)
				assert.False(t, found.Lost)
				assert.Len(t, found.Shards, 1)
				got, lost := drain(t, o)
				assert.Equal(t, bad, s["corrupt/"+key], "it is set aside as it was")
				if strings.HasPrefix(key, "index") {
					assert.Equal(t, 3, got, "the other copy of the index is enough")
					assert.Len(t, found.Damaged, 1)
					return
				}
				assert.Equal(t, 3, got+lost, "one damaged chunk costs no other")
				assert.Positive(t, lost)
				assert.EqualValues(t, lost, o.State().Damaged)
			})
		})
	}
}

// drain takes all that an outbox has, and returns how many periods were there
// and how many could not be read.
func drain(t *testing.T, o *outbox.Outbox) (got, lost int) {
	t.Helper()
	for {
		c, _ := o.Next(now)
		if c == nil {
			return got, lost
		}
		periods, err := o.Load(t.Context(), c)
		if errors.Is(err, outbox.ErrDamaged) {
			lost += c.Periods()
			continue
		}
		require.NoError(t, err)
		got += len(periods)
		o.Confirm(c)
	}
}

func TestStateThatIsLost(t *testing.T) {
	t.Run("an empty storage beside the marker", func(t *testing.T) {
		_, marker := stored(t)
		_, found, err := outbox.Open(t.Context(), settings(), values{}, marker)
		require.NoError(t, err)
		assert.True(t, found.Lost)
	})
	t.Run("an empty storage without one", func(t *testing.T) {
		_, found, err := outbox.Open(t.Context(), settings(), values{}, values{})
		require.NoError(t, err)
		assert.False(t, found.Lost)
	})
	t.Run("both copies of the index", func(t *testing.T) {
		store, marker := stored(t)
		store["index"], store["index.copy"] = []byte("foreign"), store["index.copy"][1:]
		later := settings()
		later.Clock = func() time.Time { return now.Add(time.Second) }
		o, found, err := outbox.Open(t.Context(), later, store, marker)
		require.NoError(t, err)
		assert.True(t, found.Lost)
		assert.Len(t, found.Damaged, 2)
		// What is put now must not be found under a key of old.
		o.Put([]usage.Period{period("a", 90)}, [][]byte{{}})
		before := maps.Clone(store)
		require.NoError(t, o.Flush(t.Context()))
		for key := range before {
			if strings.HasPrefix(key, "periods.") {
				assert.Equal(t, before[key], store[key])
			}
		}
	})
	t.Run("a chunk that is missing", func(t *testing.T) {
		store, marker := stored(t)
		for key := range store {
			if strings.HasPrefix(key, "periods.") {
				delete(store, key)
				break
			}
		}
		o, _, err := outbox.Open(t.Context(), settings(), store, marker)
		require.NoError(t, err)
		got, lost := drain(t, o)
		assert.Equal(t, 3, got+lost)
		assert.Positive(t, lost)
	})
}

func TestANewerFormatIsAnError(t *testing.T) {
	store, marker := stored(t)
	newer := func(k wire.Kind) []byte {
		b := wire.Begin(nil, k)
		b[len(b)-1] = wire.Format + 1
		return wire.Seal(b)
	}
	index := maps.Clone(store)
	index["index"] = newer(wire.KindIndex)
	_, _, err := outbox.Open(t.Context(), settings(), index, marker)
	require.ErrorIs(t, err, wire.ErrNewer)
	require.ErrorContains(t, err, "another storage")

	chunk := maps.Clone(store)
	for key := range chunk {
		if strings.HasPrefix(key, "periods.") {
			chunk[key] = newer(wire.KindChunk)
		}
	}
	o, _, err := outbox.Open(t.Context(), settings(), chunk, marker)
	require.NoError(t, err)
	c, _ := o.Next(now)
	_, err = o.Load(t.Context(), c)
	require.ErrorIs(t, err, wire.ErrNewer)
	assert.Equal(t, 3, o.State().Periods, "it is not given up")
}

// TestPeriodsAreReadAsWritten reads back what was written, byte for byte the
// same when offered.
func TestPeriodsAreReadAsWritten(t *testing.T) {
	store, marker := stored(t)
	o, found, err := outbox.Open(t.Context(), settings(), store, marker)
	require.NoError(t, err)
	assert.Equal(t, 2, found.Chunks)
	c, _ := o.Next(now)
	got, err := o.Load(t.Context(), c)
	require.NoError(t, err)
	want := period("a", 30)
	for m := range want.Metered.All() {
		assert.Equal(t, want.Usage[m], got[0].Usage[m])
	}
	want.Instance.Labels, got[0].Instance.Labels = nil, nil
	assert.Equal(t, want, got[0])
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("index"), []byte("periods"))
	f.Fuzz(func(t *testing.T, index, chunk []byte) {
		store := values{
			"index":      wire.Seal(append(wire.Begin(nil, wire.KindIndex), index...)),
			"index.copy": index,
		}
		for _, key := range []string{"periods.0", "periods.1", "periods.2"} {
			store[key] = wire.Seal(append(wire.Begin(nil, wire.KindChunk), chunk...))
		}
		o, _, err := outbox.Open(t.Context(), settings(), store, values{})
		if err != nil {
			return
		}
		for range 10 {
			if c, _ := o.Next(now); c != nil {
				if _, err := o.Load(t.Context(), c); err == nil {
					o.Confirm(c)
				}
			}
		}
		_ = o.Flush(t.Context())
	})
}
