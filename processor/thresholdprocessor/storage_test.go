package thresholdprocessor

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// brokenStorage is a storage that fails while it is told to.
type brokenStorage struct {
	component.Component
	noClient bool
	fails    atomic.Bool
}

// GetClient returns a client that fails, or none.
func (b *brokenStorage) GetClient(ctx context.Context, k component.Kind, id component.ID, name string) (storage.Client, error) {
	if b.noClient {
		return nil, errors.New("locked")
	}
	c, err := b.Component.(storage.Extension).GetClient(ctx, k, id, name)
	return &brokenClient{c, b}, err
}

type brokenClient struct {
	storage.Client
	of *brokenStorage
}

// Batch fails where the storage does.
func (c *brokenClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if c.of.fails.Load() {
		return errNoSpace
	}
	return c.Client.Batch(ctx, ops...)
}

// client opens the values of a processor whose collector has ended.
func client(t testing.TB, dir string, do func(storage.Client)) {
	t.Helper()
	x, end := fileStorage(t, dir)
	defer end()
	c, err := x.(storage.Extension).GetClient(t.Context(), component.KindProcessor, component.MustNewID("threshold"), "")
	require.NoError(t, err)
	do(c)
	require.NoError(t, c.Close(t.Context()))
}

// storedValue returns the one value of episodes that there is.
func storedValue(t testing.TB, dir string) (key string, value []byte) {
	t.Helper()
	client(t, dir, func(c storage.Client) {
		for _, k := range threshold.Keys() {
			v, err := c.Get(t.Context(), k)
			require.NoError(t, err)
			if v != nil {
				key, value = k, v
			}
		}
	})
	return key, value
}

func storeValue(t testing.TB, dir, key string, value []byte) {
	t.Helper()
	client(t, dir, func(c storage.Client) { require.NoError(t, c.Set(t.Context(), key, value)) })
}

func load(t testing.TB, dir, key string) (value []byte) {
	t.Helper()
	client(t, dir, func(c storage.Client) {
		v, err := c.Get(t.Context(), key)
		require.NoError(t, err)
		value = v
	})
	return value
}

func clone(b []byte) []byte { return slices.Clone(b) }

// newer returns a value as of a format that is not known yet.
func newer(value []byte) []byte {
	b := clone(value[:len(value)-crc32.Size])
	b[5] = 99
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func zapKey(key string) zap.Field { return zap.String("key", key) }

func newStore() *rulestore.Store { return rulestore.New(rulestore.Options{Limit: 10}) }

func put(t testing.TB, a *api, rule *threshold.Rule) {
	t.Helper()
	if _, err := a.Put(t.Context(), rule, rulestore.Absent, rulestore.Author{}); err != nil {
		_, err = a.Put(t.Context(), rule, rulestore.Any, rulestore.Author{})
		assert.NoError(t, err)
	}
}

// The copy of a document is that of its URL, and what was written.
func TestDocumentCopy(t *testing.T) {
	dir := t.TempDir()
	client(t, dir, func(c storage.Client) {
		s := store{client: c}
		ours := s.copy("https://rules.example.com/?token=secret")
		got, err := ours.Load(t.Context())
		require.NoError(t, err)
		assert.Nil(t, got)
		require.NoError(t, ours.Save(t.Context(), []byte("rules: []")))
		got, err = ours.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "rules: []", string(got))
		other, err := s.copy("https://other.example.com/").Load(t.Context())
		require.NoError(t, err)
		assert.Nil(t, other, "of another place")

		raw, err := c.Get(t.Context(), keyDocument)
		require.NoError(t, err)
		assert.NotContains(t, string(raw), "secret")
		raw[len(raw)-6] ^= 1
		require.NoError(t, c.Set(t.Context(), keyDocument, raw))
		_, err = ours.Load(t.Context())
		require.ErrorContains(t, err, "it is under corrupt/rules.http")
		aside, err := c.Get(t.Context(), corruptPrefix+keyDocument)
		require.NoError(t, err)
		assert.Equal(t, raw, aside)
		got, err = ours.Load(t.Context())
		require.NoError(t, err)
		assert.Nil(t, got)

		require.NoError(t, ours.Save(t.Context(), []byte("rules: []")))
		raw, err = c.Get(t.Context(), keyDocument)
		require.NoError(t, err)
		require.NoError(t, c.Set(t.Context(), keyDocument, newer(raw)))
		_, err = ours.Load(t.Context())
		require.ErrorContains(t, err, "newer version")
	})
	assert.Nil(t, (&store{}).copy("x"))
}
