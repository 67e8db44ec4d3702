package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	"go.opentelemetry.io/collector/exporter"
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
	said []string // by signals
}

func (t *told) Published(exporter component.ID, _ time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = append(t.from, exporter)
}

func (t *told) PipelineSignal(source component.ID, signal string, active bool, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	reason, _, _ := strings.Cut(detail, ":")
	t.said = append(t.said, fmt.Sprint(source, " ", signal, " ", active, " ", reason))
}

func startWatched(t *testing.T, cfg *Config, o *told) (component.ID, exporter.Metrics) {
	t.Helper()
	set := exportertest.NewNopSettings(metadata.Type)
	e, err := NewFactory().CreateMetrics(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), extensions{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("usage_api"): o}}))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	return set.ID, e
}

// Letters are told when they are acknowledged, each time; without any nothing is.
func TestExtensionsAreToldOfDeadLetters(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	poisonous(cluster)
	o := &told{}
	id, e := startWatched(t, quick(cluster.ListenAddrs(), noRetry), o)
	require.NoError(t, e.ConsumeMetrics(t.Context(), usageOf(withPoison(5)...)))
	assert.Empty(t, o.said)
	require.NoError(t, e.ConsumeMetrics(t.Context(), usageOf(withPoison(50, 7, 31)...)))
	require.NoError(t, e.ConsumeMetrics(t.Context(), usageOf(withPoison(50, 1)...)))
	want := id.String() + " dead_letters true invalid_record"
	assert.Equal(t, []string{want, want}, o.said)
}

// The breaker tells when it opens and when it is closed again.
func TestExtensionsAreToldOfTheBreaker(t *testing.T) {
	cluster := kafka(t, 1)
	var down atomic.Bool
	down.Store(true)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("gone"), down.Load()
	})
	o := &told{}
	id, e := startWatched(t, quick(cluster.ListenAddrs(), func(c *Config) {
		noRetry(c)
		breaks(1, time.Nanosecond)(c)
	}), o)
	for range 2 {
		require.Error(t, e.ConsumeMetrics(t.Context(), usageOf(withPoison(1)...)))
	}
	down.Store(false)
	require.NoError(t, e.ConsumeMetrics(t.Context(), usageOf(withPoison(1)...)))
	require.Len(t, o.said, 2)
	assert.Contains(t, o.said[0], id.String()+" breaker_open true")
	assert.Equal(t, id.String()+" breaker_open false ", o.said[1])
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
	o := &told{}
	id, e := startWatched(t, quick(cluster.ListenAddrs(), noRetry), o)

	md := pmetric.NewMetrics()
	usage.AppendPeriod(md.ResourceMetrics(), usagetest.Host(1))
	require.Error(t, e.ConsumeMetrics(t.Context(), md))
	assert.Empty(t, o.from)
	refuse.Store(false)
	require.NoError(t, e.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, []component.ID{id}, o.from)
}
