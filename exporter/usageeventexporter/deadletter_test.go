package usageeventexporter

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const dlq = "usage_events_dlq"

// kafkaWithDLQ starts a broker with both topics; limits are their
// max.message.bytes, "" for the default.
func kafkaWithDLQ(t *testing.T, limit, dlqLimit string) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for topic, limit := range map[string]string{"usage_events": limit, dlq: dlqLimit} {
		var configs map[string]string
		if limit != "" {
			configs = map[string]string{"max.message.bytes": limit}
		}
		require.NoError(t, c.CreateTopic(topic, 1, configs))
	}
	return c
}

func letterHeaders(r *kgo.Record) map[string]string {
	out := map[string]string{}
	for _, h := range r.Headers {
		out[h.Key] = string(h.Value)
	}
	return out
}

// lettersOf returns what the dead-letter topic has.
func lettersOf(t *testing.T, c *kfake.Cluster) []*kgo.Record {
	t.Helper()
	return consumeFrom(t, c, dlq, storedIn(c, dlq))
}

func TestPoisonIsDeadLetteredAndTheRestGoesOn(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	periods := withPoison(50, 7, 31)
	before := time.Now()
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods...)))
	assert.Len(t, ids(t, cluster), 48)
	require.Equal(t, 48, stored(cluster))
	require.Equal(t, 2, storedIn(cluster, dlq), "there when it says yes")

	size := 0
	for i, got := range lettersOf(t, cluster) {
		p := periods[[]int{7, 31}[i]]
		original := converted(t, r.cfg, usageOf(p)).records[0]
		assert.Equal(t, p.Instance.ID, string(got.Key))
		assert.Equal(t, string(original.value), string(got.Value), "the bytes as they were")
		for k, h := range original.headers {
			assert.Equal(t, string(h.Key), got.Headers[k].Key, "its own headers come first")
			assert.Equal(t, string(h.Value), string(got.Headers[k].Value))
		}
		h := letterHeaders(got)
		at, err := time.Parse(time.RFC3339Nano, h["dlq-time"])
		require.NoError(t, err)
		assert.WithinRange(t, at, before, time.Now())
		assert.Equal(t, at.UnixMilli(), got.Timestamp.UnixMilli(), "kept as long as other letters of today")
		assert.Contains(t, h["dlq-error"], sarama.ErrInvalidRecord.Error())
		delete(h, "dlq-time")
		delete(h, "dlq-error")
		want := headersOf(original)
		want["dlq-reason"], want["dlq-topic"], want["dlq-attempts"] = "invalid_record", "usage_events", "1"
		want["dlq-content"] = "event"
		assert.True(t, strings.HasPrefix(h["dlq-source"], "usage_event/"), "%s", h["dlq-source"])
		delete(h, "dlq-source")
		assert.Equal(t, want, h)
		size += len(got.Value)
	}
	assert.Equal(t, []string{deadLettered + "; more of this kind within a minute is only counted"}, r.lines())
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, r.host.statuses())
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(48), ignore...)
	metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"invalid_record": 2}), ignore...)
	metadatatest.AssertEqualExporterUsageEventBytesDeadLettered(t, r.tel, byReason(map[string]int64{"invalid_record": int64(size)}), ignore...)
	_, err := r.tel.GetMetric("otelcol_exporter_usage_event_events_failed")
	require.Error(t, err, "nothing is to be sent again")
}

// A letter is longer than its event, and its topic has a limit too.
func TestALetterIsCutUntilItFits(t *testing.T) {
	for name, tt := range map[string]struct{ limit, dlqLimit string }{
		"the same limit":     {"10000", "10000"},
		"a much lower limit": {"10000", "2500"},
		"the producer's":     {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := kafkaWithDLQ(t, tt.limit, tt.dlqLimit)
			r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
				noRetry(c)
				c.Producer.MaxMessageBytes = 30_000
			}))
			periods := instances(10)
			periods[3].Instance.Name = incompressible(40_000)
			whole := converted(t, r.cfg, usageOf(periods[3])).records[0]
			require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods...)))
			assert.Len(t, ids(t, cluster), 9)
			letters := lettersOf(t, cluster)
			require.Len(t, letters, 1)
			h := letterHeaders(letters[0])
			assert.Equal(t, "message_too_large", h["dlq-reason"])
			assert.Equal(t, strconv.Itoa(len(whole.value)), h["dlq-truncated"])
			assert.NotEmpty(t, h["event-id"], "the identity is whole")
			assert.True(t, strings.HasPrefix(string(whole.value), string(letters[0].Value)))
			if limit, err := strconv.Atoi(tt.dlqLimit); err == nil {
				assert.Greater(t, len(letters[0].Value), limit/10, "no more is cut than halves do")
			} else {
				assert.Greater(t, len(letters[0].Value), 28_000)
			}
			metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"message_too_large": 1}), ignore...)
		})
	}
}

// While the letter cannot be written the input is not confirmed, and what is
// then offered again is only the poison.
func TestWithoutItsLetterPoisonStaysUnconfirmed(t *testing.T) {
	cluster := kafka(t, 1)
	poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), nil))
	done := make(chan error, 1)
	go func() { done <- r.ConsumeMetrics(t.Context(), usageOf(withPoison(20, 5)...)) }()
	require.Eventually(t, func() bool { return r.failing() }, patience, time.Millisecond)
	select {
	case err := <-done:
		t.Fatalf("confirmed without a letter: %v", err)
	default:
	}
	fails := r.logs.All()[0].ContextMap()["error"]
	assert.Contains(t, fails, `no dead letter in topic "usage_events_dlq": topic "usage_events_dlq" does not exist: create it`)
	assert.Contains(t, fails, "the event ")
	require.NoError(t, cluster.CreateTopic(dlq, 1, nil))
	require.NoError(t, <-done)
	assert.Equal(t, 19, stored(cluster), "each once")
	assert.Len(t, ids(t, cluster), 19)
	assert.Equal(t, 1, storedIn(cluster, dlq))
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(19), ignore...)
}

// torn returns a period that is none, beside one that is, and what of the first
// arrived.
func torn() (md pmetric.Metrics, json string) {
	md = usageOf(usagetest.Host(1), usagetest.Host(2))
	rm := md.ResourceMetrics().At(1)
	rm.ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() == usage.MetricPrefix+"cpu.time" })
	alone := pmetric.NewMetrics()
	rm.CopyTo(alone.ResourceMetrics().AppendEmpty())
	text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(alone)
	if err != nil {
		panic(err)
	}
	return md, string(text)
}

func TestInputThatIsNoEventIsDeadLettered(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md, want := torn()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, stored(cluster))
	letters := lettersOf(t, cluster)
	require.Len(t, letters, 1)
	assert.Equal(t, want, string(letters[0].Value), "as it came")
	assert.Equal(t, usagetest.Host(2).Instance.ID, string(letters[0].Key))
	h := letterHeaders(letters[0])
	assert.Equal(t, "torn", h["dlq-reason"])
	assert.Equal(t, "otlp_json", h["dlq-content"])
	assert.Equal(t, "usage_events", h["dlq-topic"])
	assert.Equal(t, "1", h["dlq-attempts"])
	assert.NotContains(t, h, "dlq-truncated")
	assert.NotContains(t, h, "event-id")
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(1), ignore...)
	metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"torn": 1}), ignore...)
	_, err := r.tel.GetMetric("otelcol_exporter_usage_event_records_refused")
	require.Error(t, err, "nothing is dropped")

	nobody := usageOf(usagetest.Host(3))
	nobody.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
	require.NoError(t, r.ConsumeMetrics(t.Context(), nobody))
	last := lettersOf(t, cluster)[1]
	assert.Empty(t, last.Key)
	assert.Equal(t, "no_instance", letterHeaders(last)["dlq-reason"])
}

func TestInputIsConfirmedOnlyWithItsLetter(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: dlq, Err: kerr.TopicAuthorizationFailed, Count: -1})
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md, _ := torn()
	err := r.ConsumeMetrics(t.Context(), md)
	require.ErrorIs(t, err, sarama.ErrTopicAuthorizationFailed)
	require.ErrorContains(t, err, `topic "usage_events_dlq": allow this user to write`)
	assert.Equal(t, 1, stored(cluster))
	fault.Remove()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, storedIn(cluster, dlq))
}

func TestInputOverTheLimitIsCut(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "4000")
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md, want := torn()
	require.Greater(t, len(want), 4000)
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	letter := lettersOf(t, cluster)[0]
	h := letterHeaders(letter)
	assert.Equal(t, strconv.Itoa(len(want)), h["dlq-truncated"])
	assert.True(t, strings.HasPrefix(want, string(letter.Value)))
	assert.Equal(t, "torn", h["dlq-reason"])
	metadatatest.AssertEqualExporterUsageEventBytesDeadLettered(t, r.tel, byReason(map[string]int64{"torn": int64(len(letter.Value))}), ignore...)
}

func TestLetters(t *testing.T) {
	d := &deadLetters{topic: dlq, source: "usage_event/a", most: 2000}
	value := []byte(strings.Repeat("v", 3000))
	p := &poison{record{topic: "t", key: []byte("k"), value: value, headers: []sarama.RecordHeader{
		header("event-id", "1"), header("dlq-attempts", "4"), header("dlq-truncated", "7"), header("own", "2"),
	}}, reasonTooLarge, errors.New(strings.Repeat("ü", 2000) + "\n")}
	r := d.ofRecord(p)
	assert.Equal(t, "5", string(r.headerValue("dlq-attempts")), "it was one before")
	assert.Equal(t, "3000", string(r.headerValue("dlq-truncated")))
	assert.Equal(t, "event-id", string(r.headers[0].Key))
	assert.Equal(t, "own", string(r.headers[1].Key), "without what an earlier letter said")
	assert.LessOrEqual(t, r.produceSize(), 2000)
	assert.LessOrEqual(t, len(r.headerValue("dlq-error")), letterErrorLimit)
	assert.True(t, utf8.Valid(r.headerValue("dlq-error")))
	assert.Len(t, p.value, 3000, "the original is as it was")
	assert.Len(t, p.headers, 4)

	n := 0
	for short, ok := d.shorter(&r); ok; short, ok = d.shorter(&short) {
		n++
		assert.Equal(t, "3000", string(short.headerValue("dlq-truncated")))
	}
	assert.Equal(t, 11, n, "the last is stripped")
}

func TestAStrippedLetterSaysWhichEventItIsOf(t *testing.T) {
	long := strings.Repeat("ü", 50_000)
	id := "11111111-2222-5333-8444-555555555555"
	d := &deadLetters{topic: dlq, source: "usage_event/" + long, most: 2000}
	r := d.ofRecord(&poison{record{topic: strings.Repeat("t", 249), key: []byte(long), value: []byte(long), headers: []sarama.RecordHeader{
		header("event-id", id), header("ce_subject", long), header("own", long),
	}}, reasonTooLarge, errors.New(long)})
	assert.LessOrEqual(t, r.produceSize(), 1024)
	assert.Empty(t, r.value)
	assert.Equal(t, "event-id", string(r.headers[0].Key))
	assert.Equal(t, id, string(r.headers[0].Value))
	assert.Equal(t, strings.Repeat("ü", 64), string(r.key))
	h := headersOf(r)
	assert.Equal(t, "100000", h["dlq-truncated"])
	assert.Equal(t, "message_too_large", h["dlq-reason"])
	assert.Equal(t, "1", h["dlq-attempts"])
	assert.Len(t, h["dlq-topic"], 249)
	assert.NotContains(t, h, "own")
	before, err := strconv.Atoi(h["dlq-stripped"])
	require.NoError(t, err)
	assert.Greater(t, before, 300_000)
	_, ok := d.shorter(&r)
	assert.False(t, ok)
}

func TestWithoutADeadLetterTopicInputIsDropped(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), noDeadLetters))
	md, _ := torn()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, stored(cluster))
	metadatatest.AssertEqualExporterUsageEventRecordsRefused(t, r.tel, byReason(map[string]int64{"torn": 1}), ignore...)
	assert.Equal(t, 1, r.logs.FilterMessageSnippet(dropped).Len())
}

func TestEachKindOfNewsIsSaidByItself(t *testing.T) {
	tel := telemetry(t)
	builder, err := metadata.NewTelemetryBuilder(tel.NewTelemetrySettings())
	require.NoError(t, err)
	r := newRefusals(zap.NewNop(), builder)
	r.say(dropped, "torn", "", 1)
	r.say(deadLettered, "torn", "", 3)
	r.say(deadLettered, "torn", "", 3)
	assert.Len(t, r.logged, 2)
	assert.Equal(t, 3, r.logged[saying{deadLettered, "torn"}].unsaid)
}

// Batches share one sarama producer: the poison of one is no verdict on another.
func TestPoisonAmongConcurrentBatches(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), nil))
	const batches, size = 6, 20
	all := withPoison(batches*size, 5, 25, 26, 70, 119)
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() {
			assert.NoError(t, r.ConsumeMetrics(context.Background(), usageOf(all[i*size:(i+1)*size]...)))
		})
	}
	wg.Wait()
	assert.Len(t, ids(t, cluster), batches*size-5)
	dead := map[string]bool{}
	for _, l := range lettersOf(t, cluster) {
		dead[string(l.Key)] = true
	}
	assert.Equal(t, map[string]bool{"poison-5": true, "poison-25": true, "poison-26": true, "poison-70": true, "poison-119": true}, dead)
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(batches*size-5), ignore...)
}
