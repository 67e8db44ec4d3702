package usageeventexporter

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const thresholds = "usage_thresholds"

// kafkaWithThresholds starts a broker with all topics.
func kafkaWithThresholds(t testing.TB) *kfake.Cluster {
	t.Helper()
	return kafka(t, 1, kfake.SeedTopics(1, thresholds, dlq))
}

// announced appends violations to metrics, each as a resource of its own.
func announced(md pmetric.Metrics, vs ...*usage.Violation) pmetric.Metrics {
	for _, v := range vs {
		usage.AppendViolation(md.ResourceMetrics(), v)
	}
	return md
}

// beside puts violations and states beside the usage of the first resource, as a
// processor does.
func beside(md pmetric.Metrics, vs ...*usage.Violation) pmetric.Metrics {
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	usage.AppendThresholdStates(ms, []usage.ThresholdState{{Rule: "a"}, {Rule: "b"}})
	dps := usage.ViolationPoints(ms)
	for _, v := range vs {
		usage.AppendViolationPoint(dps, v)
	}
	return md
}

func TestViolationsGoToTheirTopic(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	v, quota, resolved := usagetest.Violation(1), usagetest.Quota(2), usagetest.Violation(3)
	resolved.State = usage.Resolved
	md := announced(beside(usageOf(instances(3)...), v, resolved), quota)
	v.Instance, resolved.Instance = instances(1)[0].Instance, instances(1)[0].Instance
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	require.Equal(t, 3, stored(cluster))
	require.Equal(t, 3, storedIn(cluster, thresholds), "all are there when it says yes")

	size, usages := int64(0), int64(0)
	for i, got := range consumeFrom(t, cluster, thresholds, 3) {
		want := []*usage.Violation{v, resolved, quota}[i]
		assert.Equal(t, string(event.AppendViolation(nil, event.V1_1, want)), string(got.Value))
		e, err := event.DecodeViolation(got.Value)
		require.NoError(t, err)
		assert.Equal(t, want, e.Exact)
		assert.Equal(t, want.Subject(), string(got.Key))
		assert.Equal(t, want.At/1e6, got.Timestamp.UnixMilli())
		source := "urn:vmusage:host:" + want.Instance.HostID
		assert.Equal(t, map[string]string{
			"event-id":       want.ID.String(),
			"ce_specversion": "1.0",
			"ce_id":          want.ID.String(),
			"ce_source":      source,
			"ce_type":        "com.github.vmusage.threshold_violation.v1",
			"ce_subject":     want.Subject(),
			"ce_time":        "2021-07-15T12:00:30.001234567Z",
			"ce_dataschema":  "urn:vmusage:event:threshold_violation:1.1",
			"content-type":   "application/json",
		}, letterHeaders(got))
		size += int64(len(got.Value))
	}
	for _, got := range consume(t, cluster, 3) {
		_, err := event.Decode(got.Value)
		require.NoError(t, err, "usage is what it was")
		usages += int64(len(got.Value))
	}
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, byType(3, 3), ignore...)
	metadatatest.AssertEqualExporterUsageEventBytesSent(t, r.tel, byType(usages, size), ignore...)
	metadatatest.AssertEqualExporterUsageEventPointsIgnored(t, r.tel, count(2), ignore...) // states
}

func TestTheSchemaOfViolationsInTheHeaderIsTheSchemasOwnName(t *testing.T) {
	for _, v := range []event.Version{event.V1_0, event.V1_1} {
		for _, h := range newForm(&defaults(nil).RecordConfig, event.TypeThresholdViolation, v).template {
			if string(h.Key) == "ce_dataschema" {
				assert.Contains(t, string(event.ViolationSchema(v)), `"$id": "`+string(h.Value)+`"`)
			}
		}
	}
}

// Version 1.0 cannot say that something is over.
func TestOnlyWhatFiresIsAnEventOf10(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { noRetry(c); c.SchemaVersion, c.CloudEvents = "1.0", "none" }))
	firing, resolved, silent := usagetest.Violation(1), usagetest.Violation(2), usagetest.Violation(3)
	resolved.State, silent.State = usage.Resolved, usage.NoData
	require.NoError(t, r.ConsumeMetrics(t.Context(), announced(pmetric.NewMetrics(), resolved, firing, silent)))
	require.Equal(t, 1, storedIn(cluster, thresholds))
	got := consumeFrom(t, cluster, thresholds, 1)[0]
	assert.Equal(t, string(event.AppendViolation(nil, event.V1_0, firing)), string(got.Value))
	assert.Equal(t, map[string]string{"event-id": firing.ID.String()}, letterHeaders(got))
	metadatatest.AssertEqualExporterUsageEventPointsIgnored(t, r.tel, count(2), ignore...)
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, byType(0, 1), ignore...)
}

func TestWithoutATopicViolationsAreIgnored(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.ThresholdTopic = "" }))
	require.NoError(t, r.ConsumeMetrics(t.Context(), announced(pmetric.NewMetrics(), usagetest.Violation(1))))
	require.NoError(t, r.ConsumeMetrics(t.Context(), beside(usageOf(usagetest.Host(1)), usagetest.Violation(1))))
	assert.Zero(t, storedIn(cluster, thresholds))
	assert.Equal(t, 1, stored(cluster))
	metadatatest.AssertEqualExporterUsageEventPointsIgnored(t, r.tel, count(4), ignore...)
}

// What Kafka refuses in one topic holds up nothing in the other, whichever it is.
func TestPoisonInBothTopics(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), nil))
	md := usageOf(withPoison(20, 3, 11)...)
	for i := range uint64(20) {
		v := usagetest.Violation(i)
		v.Instance.ID = fmt.Sprintf("vm-%d", i)
		if i == 0 || i == 7 || i == 19 {
			v.Rule.Description = "poison"
		}
		announced(md, v)
	}
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 18, stored(cluster))
	assert.Equal(t, 17, storedIn(cluster, thresholds))
	origins := map[string]int{}
	for _, l := range lettersOf(t, cluster) {
		h := letterHeaders(l)
		origins[h["dlq-topic"]]++
		assert.Equal(t, "event", h["dlq-content"])
		assert.Equal(t, "invalid_record", h["dlq-reason"])
		if h["dlq-topic"] == thresholds {
			e, err := event.DecodeViolation(l.Value)
			require.NoError(t, err, "the bytes as they were")
			assert.Equal(t, e.ID.String(), h["event-id"])
			assert.Equal(t, "com.github.vmusage.threshold_violation.v1", h["ce_type"])
		}
	}
	assert.Equal(t, map[string]int{"usage_events": 2, thresholds: 3}, origins)
	assert.ElementsMatch(t, []string{
		deadLettered + "; more of this kind within a minute is only counted",
		deadViolation + "; more of this kind within a minute is only counted",
	}, r.lines())
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, r.host.statuses())
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, byType(18, 17), ignore...)
	metadatatest.AssertEqualExporterUsageEventRecordsDeadLettered(t, r.tel, byReason(map[string]int64{"invalid_record": 5}), ignore...)
}

// One topic that is not there: the batch is refused, and only what failed is
// tried again.
func TestAMissingThresholdTopicRefusesTheBatch(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		noRetry(c)
		c.SendingQueue.Get().NumConsumers = 1
	}))
	md := announced(usageOf(instances(5)...), usagetest.Violation(1))
	err := r.ConsumeMetrics(t.Context(), md)
	require.ErrorContains(t, err, `topic "usage_thresholds" does not exist: create it`)
	require.ErrorContains(t, err, "did not acknowledge 1 of 6")
	assert.Equal(t, 5, stored(cluster), "usage is through all the same")
	require.NoError(t, cluster.CreateTopic(thresholds, 1, nil))
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, storedIn(cluster, thresholds))
	for id, n := range ids(t, cluster) {
		assert.Equal(t, 2, n, "%s: what is offered again is there again, under its id", id)
	}
}

// spoiled are usage and violations of which some cannot become events.
func spoiled() (md pmetric.Metrics, letter string) {
	md = beside(usageOf(instances(2)...), usagetest.Violation(1), usagetest.Violation(2), usagetest.Violation(3))
	rm := md.ResourceMetrics().At(0)
	ms := rm.ScopeMetrics().At(0).Metrics()
	dps := ms.At(ms.Len() - 1).Gauge().DataPoints()
	dps.At(1).Attributes().Remove("threshold.state")

	only := pmetric.NewMetrics()
	to := only.ResourceMetrics().AppendEmpty()
	rm.Resource().CopyTo(to.Resource())
	sm := to.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(usage.Scope)
	ms.At(ms.Len() - 1).CopyTo(sm.Metrics().AppendEmpty())
	text, _ := (&pmetric.JSONMarshaler{}).MarshalMetrics(only)
	return md, string(text)
}

func TestAViolationThatIsNoneBecomesALetter(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md, want := spoiled()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 2, stored(cluster))
	assert.Equal(t, 2, storedIn(cluster, thresholds))
	letters := lettersOf(t, cluster)
	require.Len(t, letters, 1)
	assert.Equal(t, want, string(letters[0].Value), "the violations, and no usage that is billed already")
	assert.Equal(t, "vm-0", string(letters[0].Key))
	h := letterHeaders(letters[0])
	assert.Equal(t, "violation_torn", h["dlq-reason"])
	assert.Equal(t, thresholds, h["dlq-topic"])
	assert.Equal(t, "otlp_json", h["dlq-content"])
	assert.Equal(t, `violation of rule "cpu-high" by instance "vm-0": violation_torn: threshold.state is missing`, h["dlq-error"])
	assert.Equal(t, []string{deadViolation + "; more of this kind within a minute is only counted"}, r.lines())

	// Mended, it is sent on, and repeats are those of its ids.
	again, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(letters[0].Value)
	require.NoError(t, err)
	again.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(1).Attributes().PutStr("threshold.state", "firing")
	require.NoError(t, r.ConsumeMetrics(t.Context(), again))
	assert.Equal(t, 5, storedIn(cluster, thresholds))
	assert.Equal(t, 2, stored(cluster))
}

func TestWithoutADeadLetterTopicAViolationThatIsNoneIsDropped(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), noDeadLetters))
	md, _ := spoiled()
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 2, storedIn(cluster, thresholds))
	assert.Equal(t, []string{unannounced + "; more of this kind within a minute is only counted"}, r.lines())
	metadatatest.AssertEqualExporterUsageEventRecordsRefused(t, r.tel, byReason(map[string]int64{"violation_torn": 1}), ignore...)
}

// A resource whose usage and whose violations are both bad has a letter for each.
func TestBadUsageAndBadViolationsOfOneResource(t *testing.T) {
	cluster := kafkaWithThresholds(t)
	r := start(t, quick(cluster.ListenAddrs(), noRetry))
	md, _ := spoiled()
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() == usage.MetricSequence })
	require.NoError(t, r.ConsumeMetrics(t.Context(), md))
	assert.Equal(t, 1, stored(cluster))
	assert.Equal(t, 2, storedIn(cluster, thresholds))
	origins := map[string]string{}
	for _, l := range lettersOf(t, cluster) {
		origins[letterHeaders(l)["dlq-topic"]] = letterHeaders(l)["dlq-reason"]
	}
	assert.Equal(t, map[string]string{"usage_events": "no_sequence", thresholds: "violation_torn"}, origins)
}

func BenchmarkConvertViolations(b *testing.B) {
	md := pmetric.NewMetrics()
	for i := range uint64(100) {
		announced(md, usagetest.Violation(i))
	}
	c := defaults(nil)
	cv, err := newConverter(c, nil, newTopics(c, nil), nil)
	require.NoError(b, err)
	cv.violations, err = newViolations(c, nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = cv.convert(context.Background(), md)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}
