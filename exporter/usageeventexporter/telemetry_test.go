package usageeventexporter

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
)

func byOutcome(values map[string]int64) []metricdata.DataPoint[int64] {
	var dps []metricdata.DataPoint[int64]
	for v, n := range values {
		dps = append(dps, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("outcome", v)), Value: n})
	}
	return dps
}

// sizes are the points of a histogram of batch sizes with the given values.
func sizes(values ...int) []metricdata.HistogramDataPoint[int64] {
	bounds := []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
	p := metricdata.HistogramDataPoint[int64]{Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1)}
	least, most := int64(values[0]), int64(values[0])
	for _, v := range values {
		i := 0
		for i < len(bounds) && float64(v) > bounds[i] {
			i++
		}
		p.BucketCounts[i]++
		p.Count++
		p.Sum += int64(v)
		least, most = min(least, int64(v)), max(most, int64(v))
	}
	p.Min, p.Max = metricdata.NewExtrema(least), metricdata.NewExtrema(most)
	return []metricdata.HistogramDataPoint[int64]{p}
}

func TestAnEventThatIsSentAgainIsCountedSo(t *testing.T) {
	cluster := kafka(t, 1)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.PolicyViolation, Count: 2})
	r := start(t, quick(cluster.ListenAddrs(), nil))
	// sarama may make several requests of a first call; one event is in one.
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(1), ignore...)
	metadatatest.AssertEqualExporterUsageEventEventsFailed(t, r.tel, count(2), ignore...)
	metadatatest.AssertEqualExporterUsageEventEventsResent(t, r.tel, count(2), ignore...)
	metadatatest.AssertEqualExporterUsageEventBatchSize(t, r.tel, sizes(1, 1, 1), ignore...)

	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(7)...)))
	metadatatest.AssertEqualExporterUsageEventEventsResent(t, r.tel, count(2), ignore...)
	metadatatest.AssertEqualExporterUsageEventBatchSize(t, r.tel, sizes(1, 1, 1, 7), ignore...)
}

// What the open breaker answers is no attempt.
func TestWhatIsNotSentIsNotCountedAsSentAgain(t *testing.T) {
	r := start(t, quick([]string{"127.0.0.1:1"}, func(c *Config) {
		c.CircuitBreaker = CircuitBreakerConfig{Enabled: true, ConsecutiveFailures: 2, OpenInterval: time.Hour, HalfOpenRequests: 1}
		noRetry(c)
	}))
	for range 4 {
		require.Error(t, r.ConsumeMetrics(t.Context(), usageOf(instances(3)...)))
	}
	metadatatest.AssertEqualExporterUsageEventBatchSize(t, r.tel, sizes(3, 3), ignore...)
	_, err := r.tel.GetMetric("otelcol_exporter_usage_event_events_resent")
	require.Error(t, err, "there is none")
	_, err = r.tel.GetMetric("otelcol_exporter_usage_event_lag")
	require.Error(t, err)
}

func TestLag(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), nil))
	periods := instances(3)
	now := time.Now()
	for i, age := range []time.Duration{time.Minute, 20 * time.Minute, time.Second} {
		p := periods[i]
		shift := now.Add(-age).UnixNano() - p.End
		p.Start, p.End = p.Start+shift, p.End+shift
	}
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods...)))
	got, err := r.tel.GetMetric("otelcol_exporter_usage_event_lag")
	require.NoError(t, err)
	points := got.Data.(metricdata.Histogram[float64]).DataPoints
	require.Len(t, points, 1)
	require.EqualValues(t, 1, points[0].Count, "one for the attempt")
	assert.GreaterOrEqual(t, points[0].Sum, 20*time.Minute.Seconds(), "that of the oldest")
	assert.Less(t, points[0].Sum, (20*time.Minute + patience).Seconds())
	metadatatest.AssertEqualExporterUsageEventLag(t, r.tel, points, ignore...)
}

func TestTheOldestOfWhatIsAcknowledged(t *testing.T) {
	at := func(ends ...int64) []record {
		var out []record
		for _, end := range ends {
			out = append(out, record{topic: "t", end: end, headers: []sarama.RecordHeader{{}}})
		}
		return out
	}
	e := &usageEvent{letters: &deadLetters{topic: "dlq"}}
	all := at(5, 3, 9)
	letter := at(1)
	letter[0].topic = "dlq"
	for _, tt := range []struct {
		name            string
		records, failed []record
		buried          []record
		want            int64
		ok              bool
	}{
		{"all", all, nil, nil, 3, true},
		{"none", all, all, nil, 0, false},
		{"some", all, all[1:2], nil, 5, true},
		{"some, and a dead one", all, all[1:2], all[:1], 9, true},
		{"nothing left", all, all[:2], all[2:], 0, false},
		{"a dead letter has no lag", append(letter, all...), nil, nil, 3, true},
		{"only a dead letter", letter, nil, nil, 0, false},
		{"nothing", nil, nil, nil, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := e.oldestDone(tt.records, tt.failed, tt.buried)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.ok, ok)
		})
	}
}

// A quota is what a broker tells about with its answers.
func TestThrottleTime(t *testing.T) {
	cluster := kafka(t, 1)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.ProduceResponse)
		resp.ThrottleMillis = 30
		for _, topic := range r.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = topic.Topic
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition = p.Partition
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	r := start(t, quick(cluster.ListenAddrs(), nil))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	metadatatest.AssertEqualExporterUsageEventThrottleTime(t, r.tel, []metricdata.DataPoint[float64]{{Value: 0.03}}, ignore...)
}

func TestConnections(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(append([]string{"127.0.0.1:1"}, cluster.ListenAddrs()...), noRetry))
	for range 3 {
		require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	}
	got, err := r.tel.GetMetric("otelcol_exporter_usage_event_connections")
	require.NoError(t, err)
	for _, p := range got.Data.(metricdata.Sum[int64]).DataPoints {
		if v, _ := p.Attributes.Value("outcome"); v.AsString() == "opened" {
			assert.EqualValues(t, 2, p.Value, "to find the brokers, and to the one; it lasts")
		} else {
			assert.LessOrEqual(t, p.Value, int64(1), "brokers are asked in any order")
		}
	}

	r = start(t, quick([]string{"127.0.0.1:1"}, noRetry))
	require.Error(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	got, err = r.tel.GetMetric("otelcol_exporter_usage_event_connections")
	require.NoError(t, err)
	failed := got.Data.(metricdata.Sum[int64]).DataPoints
	require.Len(t, failed, 1)
	metadatatest.AssertEqualExporterUsageEventConnections(t, r.tel, byOutcome(map[string]int64{"failed": failed[0].Value}), ignore...)
}

func TestSaramaKeepsNoMetrics(t *testing.T) {
	var waited time.Duration
	m := newSaramaMetrics(func(d time.Duration) { waited += d })
	assert.Equal(t, metrics.NilMeter{}, metrics.GetOrRegisterMeter("request-rate", m))
	assert.Equal(t, metrics.NilCounter{}, metrics.GetOrRegisterCounter("requests-in-flight", m))
	assert.Equal(t, metrics.NilHistogram{}, metrics.GetOrRegisterHistogram("request-size", m, nil))
	metrics.GetOrRegisterHistogram("throttle-time-in-ms-for-broker-3", m, nil).Update(1500)
	assert.Equal(t, 1500*time.Millisecond, waited)
	gauge := metrics.GetOrRegisterGauge("something-new", m)
	assert.Same(t, gauge, metrics.GetOrRegisterGauge("something-new", m), "what is not known works as ever")
	m.Each(func(name string, _ any) { assert.Equal(t, "something-new", name) })
}

// Counting costs as much for a thousand events as for one.
func TestMeasuringAllocatesNothingForAnEvent(t *testing.T) {
	tel := telemetry(t)
	builder, err := metadata.NewTelemetryBuilder(metadatatest.NewSettings(tel).TelemetrySettings)
	require.NoError(t, err)
	e := &usageEvent{builder: builder, letters: &deadLetters{topic: "dlq"}}
	allocations := func(n int) float64 {
		a := &attempted{records: numbered(0, n), again: true, took: time.Second}
		return testing.AllocsPerRun(100, func() { e.measure(t.Context(), a) })
	}
	one := allocations(1)
	t.Logf("%v allocations for an attempt", one)
	assert.InDelta(t, one, allocations(1000), 0)
	metadatatest.AssertEqualExporterUsageEventBatchSize(t, tel, []metricdata.HistogramDataPoint[int64]{{}}, append(ignore, metricdatatest.IgnoreValue())...)
}

func BenchmarkMeasure(b *testing.B) {
	builder, err := metadata.NewTelemetryBuilder(metadatatest.NewSettings(telemetry(b)).TelemetrySettings)
	require.NoError(b, err)
	e := &usageEvent{builder: builder, letters: &deadLetters{topic: "dlq"}}
	a := &attempted{records: numbered(0, 1000), again: true, took: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		e.measure(b.Context(), a)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
