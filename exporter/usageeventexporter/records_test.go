package usageeventexporter

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

var update = flag.Bool("update", false, "write the golden files of this package")

func structured(c *Config) { c.CloudEvents = cloudEventsStructured }

// TestStructured compares with files that are indented for readers.
func TestStructured(t *testing.T) {
	for _, v := range []event.Version{event.V1_0, event.V1_1} {
		t.Run(v.String(), func(t *testing.T) {
			p := usagetest.Host(1)
			p.Instance.ID, p.Stream.HostID = `vm "2"/ü`, "host/2"
			p.End += 1500
			r := converted(t, defaults(func(c *Config) { structured(c); c.SchemaVersion = v.String() }), usageOf(p)).records[0]
			assert.Equal(t, p.Instance.ID, string(r.key))
			assert.Equal(t, map[string]string{"event-id": event.ID(p).String(), "content-type": "application/cloudevents+json"}, headersOf(r))
			assert.Contains(t, string(r.value), `"data":`+string(event.AppendUsage(nil, v, p))+"}", "the event as it is in the other modes")

			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, r.value, "", "  "))
			got.WriteByte('\n')
			path := filepath.Join("testdata", "structured-"+v.String()+".json")
			if *update {
				require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

// The modes are two ways to write one CloudEvent.
func TestBothModesHaveTheSameAttributes(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"default": func(*Config) {},
		"own":     func(c *Config) { c.Source, c.TypePrefix = "https://metering.example.com/hosts", "com.example" },
		"no host": nil,
	} {
		t.Run(name, func(t *testing.T) {
			p, q := usagetest.Host(1), usagetest.Host(2)
			q.Instance.ID, q.Stream.HostID = "vm\n\xff2", "host 2"
			if change == nil {
				p.Stream.HostID, q.Stream.HostID, change = "", "", func(*Config) {}
			}
			binary := converted(t, defaults(change), usageOf(p, q)).records
			for i, r := range converted(t, defaults(func(c *Config) { structured(c); change(c) }), usageOf(p, q)).records {
				var attributes map[string]json.RawMessage
				require.NoError(t, json.Unmarshal(r.value, &attributes))
				got := map[string]string{"event-id": headersOf(r)["event-id"]}
				for name, raw := range attributes {
					var text string
					switch name {
					case "data":
						assert.Equal(t, string(binary[i].value), string(raw))
						continue
					case "datacontenttype":
						name = "content-type"
					default:
						name = "ce_" + name
					}
					require.NoError(t, json.Unmarshal(raw, &text))
					got[name] = text
				}
				want := headersOf(binary[i])
				want["ce_subject"] = string(bytes.ToValidUTF8([]byte(want["ce_subject"]), []byte("\ufffd")))
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestSourceAndType(t *testing.T) {
	for _, tt := range []struct{ source, host, want string }{
		{"urn:vmusage:host", "h", "urn:vmusage:host:h"},
		{"URN:x:y", "h", "URN:x:y:h"},
		{"urn:x:", "h", "urn:x:h"},
		{"https://m.example.com", "h 1", "https://m.example.com/h%201"},
		{"https://m.example.com/", "h", "https://m.example.com/h"},
		{"/meters/host=", "a/b", "/meters/host=a%2Fb"},
		{"meters", "h", "meters/h"},
		{"meters", "", "meters"},
	} {
		f := newForm(&RecordConfig{Source: tt.source, TypePrefix: "com.example"}, event.TypeResourceUsage, event.V1_1)
		assert.Equal(t, tt.want, f.sourceOf(tt.host))
		assert.Equal(t, "com.example.resource_usage.v1", f.kind)
	}
}

func TestRecordHeaders(t *testing.T) {
	own := func(mode string) *Config {
		return defaults(func(c *Config) {
			c.CloudEvents, c.RecordHeaders = mode, map[string]string{"x-region": "eu-1", "a": ""}
		})
	}
	for mode, at := range map[string]int{cloudEventsBinary: 9, cloudEventsStructured: 2, cloudEventsNone: 1} {
		r := converted(t, own(mode), usageOf(usagetest.Host(1), usagetest.Host(2)))
		for _, r := range r.records {
			require.Len(t, r.headers, at+2)
			assert.Equal(t, "a", string(r.headers[at].Key), "after the exporter's own, in order of their names")
			assert.Equal(t, "x-region", string(r.headers[at+1].Key))
			assert.Equal(t, "eu-1", string(r.headers[at+1].Value))
		}
	}
	cluster := kafkaWithDLQ(t, "", "")
	poisonous(cluster)
	c := quick(cluster.ListenAddrs(), noRetry)
	c.RecordHeaders = own("").RecordHeaders
	r := start(t, c)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(withPoison(3, 1)...)))
	md, _ := torn()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	for _, letter := range lettersOf(t, cluster) {
		assert.Equal(t, "eu-1", letterHeaders(letter)["x-region"])
	}
	for _, r := range consume(t, cluster, 3) {
		assert.Equal(t, "eu-1", letterHeaders(r)["x-region"])
	}
}

// named returns usage of one instance, whose resource has an attribute.
func named(n int, topic string) pmetric.Metrics {
	md := usageOf(instances(n + 1)[n])
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("kafka.topic", topic)
	return md
}

func TestTopicFromAttribute(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	require.NoError(t, cluster.CreateTopic("tenant-1", 1, nil))
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { noRetry(c); c.TopicFromAttribute = "kafka.topic" }))
	md := named(0, "tenant-1")
	for i, topic := range []string{"tenant/2", dlq, ""} {
		named(i+1, topic).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	}
	usageOf(instances(5)[4]).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	broken := named(5, "tenant-1")
	broken.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
	broken.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))

	got := consumeFrom(t, cluster, "tenant-1", 1)
	assert.Equal(t, "vm-0", string(got[0].Key))
	assert.Equal(t, 1, storedIn(cluster, "tenant-1"))
	assert.Equal(t, 4, stored(cluster), "what names no topic goes to the default one, and is billed")
	assert.Equal(t, "tenant-1", letterHeaders(lettersOf(t, cluster)[0])["dlq-topic"])
	lines := r.logs.FilterMessageSnippet("topic_from_attribute").All()
	require.Len(t, lines, 1, "once a minute")
	assert.Equal(t, "invalid_topic", lines[0].ContextMap()["reason"])
	assert.Contains(t, lines[0].ContextMap()["detail"], "kafka.topic is tenant/2")
}

func TestAttributesNameSoManyTopicsOnly(t *testing.T) {
	said := map[string]int{}
	c := defaults(func(c *Config) { c.TopicFromAttribute = "kafka.topic" })
	topics := newTopics(c, func(_, reason, _ string, n int) { said[reason] += n })
	for range 2 {
		for i := range topicLimit + 2 {
			name := "t" + strconv.Itoa(i)
			want := name
			if i >= topicLimit {
				want = "usage_events"
			}
			assert.Equal(t, want, topics.of(named(0, name).ResourceMetrics().At(0)))
		}
	}
	assert.Equal(t, map[string]int{"too_many_topics": 4}, said)
	assert.Equal(t, "usage_events", topics.of(usageOf(usagetest.Host(1)).ResourceMetrics().At(0)))
}

func TestRoundRobin(t *testing.T) {
	cluster := kafka(t, 3)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.Partitioner = partitionerRoundRobin }))
	var periods []*usage.Period
	for i := range 9 {
		p := usagetest.Host(uint64(i + 1))
		periods = append(periods, p)
	}
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods...)))
	for _, p := range cluster.PartitionInfos("usage_events") {
		assert.EqualValues(t, 3, p.HighWatermark, "one instance, all partitions")
	}
	for _, got := range consume(t, cluster, 9) {
		assert.Equal(t, periods[0].Instance.ID, string(got.Key), "the key is there nevertheless")
	}
}

// unowned returns usage that belongs to nobody.
func unowned() *usage.Period {
	p := usagetest.Host(1)
	p.Instance.UserID, p.Instance.OrgID = "", ""
	return p
}

func TestRequireOwner(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { noRetry(c); c.RequireOwner = true }))
	user, org := usagetest.Host(2), usagetest.Host(3)
	user.Instance.OrgID, org.Instance.UserID = "", ""
	md := usageOf(unowned(), user, org)
	want, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(usageOf(unowned()))
	require.NoError(t, err)
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 2, stored(cluster), "a user or an organization owns it")
	letters := lettersOf(t, cluster)
	require.Len(t, letters, 1)
	assert.JSONEq(t, string(want), string(letters[0].Value))
	h := letterHeaders(letters[0])
	assert.Equal(t, "no_owner", h["dlq-reason"])
	assert.Equal(t, "otlp_json", h["dlq-content"])
	assert.Contains(t, h["dlq-error"], "require_owner")
	metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"no_owner": 1}), ignore...)
}

func TestUnownedUsageIsAnEventUnlessAnOwnerIsRequired(t *testing.T) {
	require.Len(t, converted(t, defaults(nil), usageOf(unowned())).records, 1)

	refused := map[string]int{}
	c := defaults(func(c *Config) { c.RequireOwner = true; c.DeadLetter.Topic = "" })
	cv, err := newConverter(c, nil, newTopics(c, nil), func(_ context.Context, reason, _ string) { refused[reason]++ })
	require.NoError(t, err)
	first, second := unowned(), unowned()
	second.Sequence, second.Start, second.End = first.Sequence+1, first.End, first.End+first.Duration
	md := usageOf(first, second)
	md.ResourceMetrics().At(1).ScopeMetrics().MoveAndAppendTo(md.ResourceMetrics().At(0).ScopeMetrics())
	r, err := cv.convert(t.Context(), md)
	require.NoError(t, err)
	assert.Zero(t, r.ItemsCount())
	assert.Equal(t, map[string]int{"no_owner": 2}, refused, "each period is counted")
}

// A newer agent's usage must neither be misread nor be lost.
func TestUsageOfAnotherContractIsDeadLettered(t *testing.T) {
	cluster := kafkaWithDLQ(t, "", "")
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md := usageOf(usagetest.Host(1), usagetest.Host(2))
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() == usage.MetricSequence {
			m.Gauge().DataPoints().At(0).Attributes().PutInt("vm.usage.version", usage.ContractVersion+1)
		}
	}
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, stored(cluster))
	letters := lettersOf(t, cluster)
	require.Len(t, letters, 1)
	h := letterHeaders(letters[0])
	assert.Equal(t, "schema_version", h["dlq-reason"])
	assert.Contains(t, h["dlq-error"], "vm.usage.version is 2")
	metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"schema_version": 1}), ignore...)
}

// What a consumer finds of each mode without knowing which it is.
func TestEveryModeIsDecoded(t *testing.T) {
	for _, mode := range []string{cloudEventsBinary, cloudEventsStructured, cloudEventsNone} {
		cluster := kafka(t, 1)
		r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.CloudEvents = mode }))
		require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(usagetest.Host(1))))
		decoded(t, consume(t, cluster, 1)[0], usagetest.Host(1))
	}
}

func decoded(t *testing.T, r *kgo.Record, want *usage.Period) {
	t.Helper()
	e, err := event.Decode(r.Value)
	require.NoError(t, err)
	assert.Equal(t, event.ID(want).String(), letterHeaders(r)["event-id"])
	assert.Equal(t, want, e.Period)
}

// No mode costs an allocation for each event.
func TestAllocationsDoNotGrowWithTheMode(t *testing.T) {
	allocations := func(mode string, n int) float64 {
		c := defaults(func(c *Config) { c.CloudEvents, c.RecordHeaders = mode, map[string]string{"x-region": "eu-1"} })
		cv, err := newConverter(c, nil, newTopics(c, nil), nil)
		require.NoError(t, err)
		md := usageOf(instances(n)...)
		return testing.AllocsPerRun(20, func() { _, _ = cv.convert(context.Background(), md) })
	}
	for _, mode := range []string{cloudEventsBinary, cloudEventsStructured, cloudEventsNone} {
		// The slabs of 50 events; a pool that the collector emptied costs a few more.
		assert.Less(t, allocations(mode, 50), 25.0, mode)
	}
}
