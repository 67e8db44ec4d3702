package usageeventexporter

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// told is an extension that wants to know what got through.
type told struct {
	component.StartFunc
	component.ShutdownFunc
	mu   sync.Mutex
	from []component.ID
}

func (t *told) Published(exporter component.ID, _ time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = append(t.from, exporter)
}

// Only what was acknowledged is told.
func TestExtensionsAreToldWhatGotThrough(t *testing.T) {
	cluster := kafka(t, 1)
	var refuse atomic.Bool
	refuse.Store(true)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !refuse.Load() {
			return nil, nil, false
		}
		res := r.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range r.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	set := exportertest.NewNopSettings(metadata.Type)
	e, err := NewFactory().CreateMetrics(t.Context(), set, quick(cluster.ListenAddrs(), func(c *Config) { c.RetryOnFailure.Enabled = false }))
	require.NoError(t, err)
	o := &told{}
	require.NoError(t, e.Start(t.Context(), extensions{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("usage_api"): o}}))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })

	md := pmetric.NewMetrics()
	usage.AppendPeriod(md.ResourceMetrics(), usagetest.Host(1))
	require.Error(t, e.ConsumeMetrics(t.Context(), md))
	assert.Empty(t, o.from)
	refuse.Store(false)
	require.NoError(t, e.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, []component.ID{set.ID}, o.from)
}
