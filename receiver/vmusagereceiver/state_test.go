package vmusagereceiver

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

var storageID = component.MustNewID("file_storage")

// storageHost has the extensions that a receiver may ask for.
type storageHost struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h storageHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

// withStorage starts a real file_storage on a folder.
func withStorage(t *testing.T, dir string) storageHost {
	t.Helper()
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory, cfg.FSync, cfg.Recreate = dir, false, true
	x, err := f.Create(t.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, x.Shutdown(context.Background())) })
	return storageHost{componenttest.NewNopHost(), map[component.ID]component.Component{storageID: x}}
}

func stored(c *Config) { c.Storage = &storageID }

// life runs a receiver for some time, ends it, and returns what it handed over.
func life(t *testing.T, dir string, length time.Duration, refuse bool) []usage.Period {
	t.Helper()
	p := &pipeline{}
	if refuse {
		p.usage = func(context.Context, *usage.Period) error { return errRefused }
	}
	v := newFake(t, newFakeSource(), p, stored)
	v.newID = uuid.New
	require.NoError(t, v.Start(t.Context(), withStorage(t, dir)))
	time.Sleep(length)
	require.NoError(t, v.Shutdown(t.Context()))
	return p.periods()
}

func TestTheReceiverGoesOnFromItsStorage(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		assert.Empty(t, life(t, dir, time.Minute, true))
		time.Sleep(10 * time.Minute)
		ps := life(t, dir, 30*time.Second, false)
		require.Len(t, ps, 6, "three of the first life, the time between, and two of this one")
		var sum int64
		for i := range ps {
			sum += ps[i].Usage[usage.CPUTime]
			assert.Equal(t, ps[0].Stream.ID, ps[i].Stream.ID)
			assert.EqualValues(t, i+1, ps[i].Sequence)
			assert.Equal(t, sum, ps[i].Totals[usage.CPUTime])
		}
		assert.Equal(t, int64(690_000_000), sum)
		assert.Equal(t, usage.Recovered, ps[3].Quality[usage.CPUTime])
		assert.Equal(t, usage.Gap, ps[3].Quality[usage.Memory])
	})
}

func TestLostStateBeginsWithAGap(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		before := life(t, dir, time.Minute, false)
		require.NoError(t, os.Remove(filepath.Join(dir, "receiver_vm_usage_")))
		after := life(t, dir, time.Minute, false)
		require.NotEqual(t, before[0].Stream.ID, after[0].Stream.ID)
		assert.Zero(t, after[0].Duration)
		assert.Equal(t, usage.Gap, after[0].WorstQuality())
		assert.Equal(t, usage.Measured, after[1].WorstQuality())
	})
}

// damage changes what a storage holds under a key.
func damage(t *testing.T, dir, key string, value []byte) (was []byte) {
	t.Helper()
	h := withStorage(t, dir)
	client, err := h.extensions[storageID].(storage.Extension).GetClient(t.Context(), component.KindReceiver, component.MustNewID("vm_usage"), "")
	require.NoError(t, err)
	was, err = client.Get(t.Context(), key)
	require.NoError(t, err)
	if value != nil {
		require.NoError(t, client.Set(t.Context(), key, value))
	}
	require.NoError(t, client.Close(t.Context()))
	return was
}

func TestDamagedAccountsAreSetAside(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		before := life(t, dir, time.Minute, true)
		assert.Empty(t, before)
		damage(t, dir, "accounts.0", []byte("VMUS and then something else"))
		ps := life(t, dir, time.Minute, false)
		require.Greater(t, len(ps), 4)
		assert.NotEqual(t, ps[0].Stream.ID, ps[3].Stream.ID, "three of the old stream were in the outbox")
		assert.Equal(t, usage.Gap, ps[3].WorstQuality(), "the new one begins with a gap")
		assert.Equal(t, "VMUS and then something else", string(damage(t, dir, "corrupt/accounts.0", nil)))
	})
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) { life(t, dir, time.Minute, false) })
	newer := wire.Begin(nil, wire.KindAccounts)
	newer[len(newer)-1] = wire.Format + 1
	damage(t, dir, "accounts.0", wire.Seal(newer))
	other := component.MustNewID("other")
	for name, tt := range map[string]struct {
		id   component.ID
		says string
	}{
		"a newer format":          {storageID, "newer version"},
		"no such extension":       {component.MustNewID("nothing"), `storage is "nothing"`},
		"an extension that isn't": {other, "stores nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			src := newFakeSource()
			v := newFake(t, src, &pipeline{}, func(c *Config) { c.Storage = &tt.id })
			v.clock = func() reading.Instant { return reading.Instant{Boot: 1, Wall: 1} }
			h := withStorage(t, dir)
			h.extensions[other] = nopExtension{}
			err := v.Start(t.Context(), h)
			require.ErrorContains(t, err, tt.says)
			assert.True(t, src.closed)
			require.NoError(t, v.Shutdown(t.Context()))
		})
	}
}

type nopExtension struct{ component.Component }
