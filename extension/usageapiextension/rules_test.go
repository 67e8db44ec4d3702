package usageapiextension

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

var storageID = component.MustNewID("file_storage")

// disk returns a host with a storage in a folder.
func disk(t *testing.T, dir string) asHost {
	t.Helper()
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	x, err := f.Create(t.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, x.Shutdown(context.Background())) })
	return asHost{storageID: x}
}

func kept(c *Config) { c.Storage = &storageID }

// openClient opens the storage as the extension does.
func openClient(t *testing.T, host asHost, id component.ID) storage.Client {
	t.Helper()
	c, err := host[storageID].(storage.Extension).GetClient(t.Context(), component.KindExtension, id, rulesStorage)
	require.NoError(t, err)
	return c
}

const cpuHigh = `{"id":"cpu-high","resource":"cpu","type":"percentage","warning":80}`

func TestRulesSurviveARestart(t *testing.T) {
	host := disk(t, t.TempDir())
	set := extensiontest.NewNopSettings(metadata.Type)
	var etag string
	t.Run("first", func(t *testing.T) {
		s := serveOn(t, host, set, kept)
		_, changed := s.ThresholdRules()
		a := s.send(t, http.MethodPost, "/api/v1/thresholds", cpuHigh)
		require.Equal(t, 201, a.StatusCode)
		<-changed
		etag = a.Header.Get("ETag")
		for i := range 20 {
			require.Equal(t, 201, s.send(t, http.MethodPost, "/api/v1/thresholds", fmt.Sprintf(`{"id":"r%d",%s`, i, cpuHigh[len(`{"id":"cpu-high",`):])).StatusCode)
		}
		require.Equal(t, 204, s.ask(t, http.MethodDelete, "/api/v1/thresholds/r7", "If-Match", "*").StatusCode)
	})
	t.Run("second", func(t *testing.T) {
		s := serveOn(t, host, set, kept)
		rules, _ := s.ThresholdRules()
		assert.Len(t, rules, 20)
		a := s.get(t, "/api/v1/thresholds/cpu-high")
		assert.Equal(t, etag, a.Header.Get("ETag"))
		assert.JSONEq(t, cpuHigh, string(a.body))
		assert.Equal(t, []component.ID{storageID}, s.Dependencies())
	})
	core, logs := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	t.Run("damaged", func(t *testing.T) {
		c := openClient(t, host, set.ID)
		require.NoError(t, c.Set(t.Context(), rulestore.Keys()[0], []byte("nonsense")))
		require.NoError(t, c.Close(t.Context()))
		s := serveOn(t, host, set, kept)
		assert.Less(t, len(s.rules.All()), 21)
		require.Len(t, logs.FilterMessageSnippet("cannot be used").All(), 1)
	})
	c := openClient(t, host, set.ID)
	aside, err := c.Get(t.Context(), "corrupt/"+rulestore.Keys()[0])
	require.NoError(t, err)
	assert.Equal(t, "nonsense", string(aside))
	newer := wire.Begin(nil, wire.KindRules)
	wire.Need(newer, wire.Format+1)
	require.NoError(t, c.Set(t.Context(), rulestore.Keys()[0], wire.Seal(newer)))
	require.NoError(t, c.Close(t.Context()))
	assert.Len(t, logs.FilterMessageSnippet("cannot be used").All(), 1)

	cfg := createDefaultConfig().(*Config)
	kept(cfg)
	e, err := newExtension(set, cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), host), "start that version again")
	require.NoError(t, e.Shutdown(t.Context()))
}

// full is a storage that takes nothing more.
type full struct {
	storage.Client
	err error
}

func (f *full) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if f.err != nil {
		return f.err
	}
	return f.Client.Batch(ctx, ops...)
}

func TestAFullDiskRefusesRules(t *testing.T) {
	s := serveOn(t, disk(t, t.TempDir()), extensiontest.NewNopSettings(metadata.Type), kept)
	f := &full{s.storage, errors.New("no space left on device")}
	s.storage = f
	a := s.send(t, http.MethodPost, "/api/v1/thresholds", cpuHigh)
	assert.Equal(t, 503, a.StatusCode)
	assert.Equal(t, "5", a.Header.Get("Retry-After"))
	assert.True(t, s.health.Failing("writing threshold rules"))
	f.err = nil
	assert.Equal(t, 201, s.send(t, http.MethodPost, "/api/v1/thresholds", cpuHigh).StatusCode)
	assert.False(t, s.health.Failing("writing threshold rules"))
}

// Without a storage rules are in force all the same, and that they will not last is said.
func TestRulesInMemory(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	set := extensiontest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	s := serveOn(t, componenttest.NewNopHost(), set)
	assert.Equal(t, 201, s.send(t, http.MethodPost, "/api/v1/thresholds", cpuHigh).StatusCode)
	assert.Len(t, logs.FilterMessageSnippet("no storage is configured").All(), 1)
}

func TestStorageThatIsNone(t *testing.T) {
	for name, tt := range map[string]struct {
		host asHost
		want string
	}{
		"missing":    {asHost{}, `storage is "file_storage": there is no such extension; name one that is listed in service::extensions`},
		"other kind": {asHost{storageID: tickets{}}, `storage is "file_storage": that extension stores nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
			kept(cfg)
			e, err := newExtension(extensiontest.NewNopSettings(metadata.Type), cfg)
			require.NoError(t, err)
			require.ErrorContains(t, e.Start(t.Context(), tt.host), tt.want)
			require.NoError(t, e.Shutdown(t.Context()))
		})
	}
}
