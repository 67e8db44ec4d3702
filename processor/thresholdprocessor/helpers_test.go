package thresholdprocessor

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/metadatatest"
)

// parseConfig returns a configuration as the collector makes it.
func parseConfig(t testing.TB, yaml string) (*Config, error) {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate()
}

// host has the extensions that a processor may ask for, and keeps what it reports.
type host struct {
	component.Host
	extensions map[component.ID]component.Component

	mu     sync.Mutex
	events []*componentstatus.Event
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// Report keeps a status.
func (h *host) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *host) status() []*componentstatus.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events
}

// fileStorage starts a real file_storage on a folder, which end ends.
func fileStorage(t testing.TB, dir string) (x component.Component, end func()) {
	t.Helper()
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory, cfg.FSync = dir, false
	x, err := f.Create(t.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context(), componenttest.NewNopHost()))
	return x, func() { require.NoError(t, x.Shutdown(context.Background())) }
}

// snapshot copies a folder as it is: what a crash at this instant leaves.
func snapshot(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(to))
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

// api is an extension that rules are written to while the collector runs.
type api struct {
	component.StartFunc
	component.ShutdownFunc
	*rulestore.Store
}

// errRefused is what a next consumer says that does not take a batch.
var errRefused = errors.New("not now")

// A deployment is the processors of one configuration and what is around them.
type deployment struct {
	cfg        *Config
	processors []processor.Metrics
	telemetry  *componenttest.Telemetry
	logs       *observer.ObservedLogs
	host       *host
	state      string // the folder of the storage
	closeState func()
}

// deploy starts a processor for each of the next consumers. state is the folder of
// its storage; "" where it has none.
func deploy(t *testing.T, cfg *Config, state string, extensions map[component.ID]component.Component, next ...consumer.ConsumeMetricsFunc) *deployment {
	t.Helper()
	d := create(t, cfg, state, extensions, next...)
	for _, p := range d.processors {
		require.NoError(t, p.Start(t.Context(), d.host))
	}
	return d
}

func create(t *testing.T, cfg *Config, state string, extensions map[component.ID]component.Component, next ...consumer.ConsumeMetricsFunc) *deployment {
	t.Helper()
	d := &deployment{
		cfg: cfg, telemetry: componenttest.NewTelemetry(), state: state, closeState: func() {},
		host: &host{Host: componenttest.NewNopHost(), extensions: map[component.ID]component.Component{}},
	}
	maps.Copy(d.host.extensions, extensions)
	if state != "" {
		d.host.extensions[component.MustNewID("file_storage")], d.closeState = fileStorage(t, state)
	}
	core, logs := observer.New(zap.InfoLevel)
	d.logs = logs
	f := NewFactory()
	for _, n := range next {
		set := metadatatest.NewSettings(d.telemetry)
		set.Logger = zap.New(core)
		to, err := consumer.NewMetrics(n)
		require.NoError(t, err)
		p, err := f.CreateMetrics(t.Context(), set, cfg, to)
		require.NoError(t, err)
		d.processors = append(d.processors, p)
	}
	return d
}

// stop ends all in an orderly way.
func (d *deployment) stop(t *testing.T) {
	t.Helper()
	for _, p := range d.processors {
		require.NoError(t, p.Shutdown(context.Background()))
	}
	d.closeState()
	require.NoError(t, d.telemetry.Shutdown(context.Background()))
}

// sink keeps what it takes.
type sink struct {
	mu    sync.Mutex
	taken []pmetric.Metrics
}

func (s *sink) consume(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := pmetric.NewMetrics()
	md.CopyTo(kept)
	s.taken = append(s.taken, kept)
	return nil
}

func (s *sink) all() []pmetric.Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func write(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}
