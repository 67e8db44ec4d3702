package usageeventexporter

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// memory is a storage extension that keeps what it has over restarts of its users.
type memory struct {
	component.StartFunc
	component.ShutdownFunc
	storage.Client
	mu   sync.Mutex
	data map[string][]byte
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	return op.Value, m.Batch(ctx, op)
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m.data[op.Key]
		case storage.Set:
			m.data[op.Key] = op.Value
		case storage.Delete:
			delete(m.data, op.Key)
		}
	}
	return nil
}

func (m *memory) Close(context.Context) error { return nil }

type storageHost struct {
	statusHost
	id component.ID
	m  *memory
}

func (h *storageHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{h.id: h.m}
}

var _ componentstatus.Reporter = (*storageHost)(nil)

// Not what billing wants (see the README), but who chooses it gets what it does.
func TestAPersistentQueueSurvivesARestart(t *testing.T) {
	port := freePort(t)
	host := &storageHost{id: component.MustNewID("memory"), m: &memory{data: map[string][]byte{}}}
	cfg := quick([]string{fmt.Sprintf("127.0.0.1:%d", port)}, func(c *Config) {
		c.RetryOnFailure.MaxElapsedTime = 0
		q := c.SendingQueue.Get()
		q.WaitForResult, q.StorageID = false, &host.id
	})
	require.NoError(t, confmap.Validate(cfg))
	periods := instances(5)
	for _, offered := range []bool{true, false} {
		e, err := newExporter(context.Background(), metadatatest.NewSettings(telemetry(t)), cfg)
		require.NoError(t, err)
		require.NoError(t, e.Start(context.Background(), host))
		if offered {
			require.NoError(t, e.ConsumeMetrics(context.Background(), usageOf(periods...)), "Kafka is down; the disk is not")
			require.NoError(t, e.Shutdown(context.Background()))
			continue
		}
		cluster := kafka(t, 1, kfake.Ports(port))
		got := map[string]bool{}
		for _, r := range consume(t, cluster, len(periods)) {
			got[string(r.Headers[0].Value)] = true
		}
		for _, p := range periods {
			assert.True(t, got[event.ID(p).String()])
		}
		require.NoError(t, e.Shutdown(context.Background()))
	}
}

func TestBatchesAreMergedAndSplit(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		b := exporterhelper.NewDefaultBatchConfig()
		b.MinSize, b.MaxSize, b.FlushTimeout = 10, 10, 10*time.Millisecond
		c.SendingQueue.Get().Batch = configoptional.Some(b)
	}))
	var wg sync.WaitGroup
	for _, p := range instances(25) {
		wg.Go(func() { assert.NoError(t, r.ConsumeMetrics(context.Background(), usageOf(p))) })
	}
	wg.Go(func() { assert.NoError(t, r.ConsumeMetrics(context.Background(), usageOf(instances(25)...))) })
	wg.Wait()
	assert.Equal(t, 50, stored(cluster), "each once, and there when it says yes")
}
