package usageeventexporter

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// patience is how long a test waits for what should come; only a failure takes it.
const patience = 20 * time.Second

// ignore is what differs from run to run.
var ignore = []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}

func byReason(values map[string]int64) []metricdata.DataPoint[int64] {
	var dps []metricdata.DataPoint[int64]
	for v, n := range values {
		dps = append(dps, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("reason", v)), Value: n})
	}
	return dps
}

func count(n int64) []metricdata.DataPoint[int64] { return []metricdata.DataPoint[int64]{{Value: n}} }

// usageSent is the points of a counter of which all is about usage.
func usageSent(n int64) []metricdata.DataPoint[int64] { return byType(n, 0) }

func byType(usages, violations int64) []metricdata.DataPoint[int64] {
	var dps []metricdata.DataPoint[int64]
	for kind, n := range map[string]int64{event.TypeResourceUsage: usages, event.TypeThresholdViolation: violations} {
		if n > 0 {
			dps = append(dps, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("event_type", kind)), Value: n})
		}
	}
	return dps
}

// kafka starts a broker with the topic usage_events.
func kafka(t testing.TB, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, "usage_events")}, opts...)
	c, err := kfake.NewCluster(opts...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// freePort returns a port on which nothing listens.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().(*net.TCPAddr).Port
}

// consume returns n records of usage_events as an independent client reads them.
func consume(t testing.TB, c *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	return consumeFrom(t, c, "usage_events", n)
}

func consumeFrom(t testing.TB, c *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics(), kgo.FetchMaxWait(100*time.Millisecond),
	)
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "%d of %d records came", len(records), n)
		require.Empty(t, fetches.Errors())
		records = append(records, fetches.Records()...)
	}
	return records
}

// stored returns how many records all partitions have together.
func stored(c *kfake.Cluster) int { return storedIn(c, "usage_events") }

func storedIn(c *kfake.Cluster, topic string) int {
	n := 0
	for _, p := range c.PartitionInfos(topic) {
		n += int(p.HighWatermark)
	}
	return n
}

// statusHost remembers what the component reported.
type statusHost struct {
	component.Host
	mu     sync.Mutex
	events []*componentstatus.Event
}

func (h *statusHost) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *statusHost) statuses() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []componentstatus.Status
	for _, e := range h.events {
		out = append(out, e.Status())
	}
	return out
}

// last returns the status that holds.
func (h *statusHost) last() componentstatus.Status {
	all := h.statuses()
	return all[len(all)-1]
}

// rig is an exporter under test with all that can be seen of it.
type rig struct {
	*usageEvent
	host *statusHost
	logs *observer.ObservedLogs // after the start
	said []observer.LoggedEntry // at the start
	tel  *componenttest.Telemetry
}

// quick is a configuration with short waits.
func quick(addrs []string, change func(*Config)) *Config {
	return defaults(func(c *Config) {
		c.Brokers = addrs
		c.Timeout = 5 * time.Second
		c.CircuitBreaker.Enabled = false // TestTheCircuit* turn it on
		c.Metadata.Retry = MetadataRetryConfig{Max: 1, Backoff: 10 * time.Millisecond}
		c.RetryOnFailure.InitialInterval = 10 * time.Millisecond
		c.RetryOnFailure.MaxInterval = 50 * time.Millisecond
		c.RetryOnFailure.MaxElapsedTime = patience
		if change != nil {
			change(c)
		}
	})
}

func start(t testing.TB, c *Config) *rig {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{host: &statusHost{Host: componenttest.NewNopHost()}, logs: logs, tel: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(r.tel)
	set.Logger = zap.New(core)
	require.NoError(t, c.Validate())
	e, err := NewFactory().CreateMetrics(context.Background(), set, c)
	require.NoError(t, err)
	r.usageEvent = e.(*usageEvent)
	require.NoError(t, e.Start(context.Background(), r.host))
	r.said = logs.TakeAll()
	t.Cleanup(func() {
		require.NoError(t, e.Shutdown(context.Background()))
		require.NoError(t, r.tel.Shutdown(context.Background()))
	})
	return r
}

// lines returns the messages of level info and above.
func (r *rig) lines() []string {
	var out []string
	for _, e := range r.logs.All() {
		if e.Level >= zap.InfoLevel {
			out = append(out, e.Message)
		}
	}
	return out
}

func telemetry(t testing.TB) *componenttest.Telemetry {
	t.Helper()
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	return tel
}
