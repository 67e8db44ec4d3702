package usageeventexporter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func usageOf(periods ...*usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range periods {
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

func levels() pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	gauge := ms.AppendEmpty()
	gauge.SetName("vm.cpu.utilization")
	gauge.SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(0.5)
	sum := ms.AppendEmpty()
	sum.SetName("vm.metered.cpu.time")
	sum.SetEmptySum().DataPoints().AppendEmpty()
	sum.Sum().DataPoints().AppendEmpty()
	ms.AppendEmpty().SetEmptyHistogram().DataPoints().AppendEmpty()
	ms.AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	ms.AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty()
	ms.AppendEmpty()
	return md
}

func converted(t testing.TB, c *Config, md pmetric.Metrics) *request {
	t.Helper()
	cv, err := newConverter(c, nil, newTopics(c, nil), func(_ context.Context, reason, detail string) {
		t.Errorf("refused for %s: %s", reason, detail)
	})
	require.NoError(t, err)
	r, err := cv.convert(context.Background(), md)
	require.NoError(t, err)
	return r.(*request)
}

func headersOf(r record) map[string]string {
	out := map[string]string{}
	for _, h := range r.headers {
		out[string(h.Key)] = string(h.Value)
	}
	return out
}

func TestRecords(t *testing.T) {
	p, q := usagetest.Host(1), usagetest.Host(2)
	q.Instance.ID, q.Stream.HostID = "vm 2/ü", "host/2"
	q.End += 1500
	r := converted(t, defaults(nil), usageOf(p, q))
	require.Len(t, r.records, 2)
	for i, want := range []*usage.Period{p, q} {
		got := r.records[i]
		assert.Equal(t, "usage_events", got.topic)
		assert.Equal(t, want.Instance.ID, string(got.key))
		assert.Equal(t, string(event.AppendUsage(nil, event.V1_1, want)), string(got.value))
		assert.Equal(t, want.End, got.end)
	}
	assert.Equal(t, map[string]string{
		"event-id":       event.ID(q).String(),
		"ce_specversion": "1.0",
		"ce_id":          event.ID(q).String(),
		"ce_source":      "urn:vmusage:host:host%2F2",
		"ce_type":        "com.github.vmusage.resource_usage.v1",
		"ce_subject":     "vm 2/ü",
		"ce_time":        "2021-07-15T12:00:30.0000015Z",
		"ce_dataschema":  "urn:vmusage:event:resource_usage:1.1",
		"content-type":   "application/json",
	}, headersOf(r.records[1]))
	assert.Equal(t, "2021-07-15T12:00:30Z", headersOf(r.records[0])["ce_time"])
	assert.Equal(t, newRequest(r.records).bytes, r.bytes)
}

func TestTheSchemaInTheHeaderIsTheSchemasOwnName(t *testing.T) {
	for _, v := range []event.Version{event.V1_0, event.V1_1} {
		for _, h := range newForm(&defaults(nil).RecordConfig, event.TypeResourceUsage, v).template {
			if string(h.Key) == "ce_dataschema" {
				assert.Contains(t, string(event.Schema(v)), `"$id": "`+string(h.Value)+`"`)
			}
		}
	}
}

func TestWithoutCloudEvents(t *testing.T) {
	p := usagetest.Host(1)
	p.Stream.HostID = ""
	r := converted(t, defaults(func(c *Config) { c.CloudEvents, c.SchemaVersion = "none", "1.0" }), usageOf(p))
	assert.Equal(t, map[string]string{"event-id": event.ID(p).String()}, headersOf(r.records[0]))
	assert.Equal(t, string(event.AppendUsage(nil, event.V1_0, p)), string(r.records[0].value))
	assert.Equal(t, "urn:vmusage:host", newForm(&defaults(nil).RecordConfig, event.TypeResourceUsage, event.V1_1).sourceOf(p.Stream.HostID))
}

// Slabs are shared: what one record holds must not depend on those after it.
func TestManyRecordsShareMemoryAndNothingElse(t *testing.T) {
	var periods []*usage.Period
	for i := range 300 {
		p := usagetest.Host(uint64(i))
		p.Sequence = uint64(i + 1)
		periods = append(periods, p)
	}
	cv, err := newConverter(defaults(nil), nil, newTopics(defaults(nil), nil), nil)
	require.NoError(t, err)
	md := usageOf(periods...)
	first, _ := cv.convert(context.Background(), md)
	second, _ := cv.convert(context.Background(), md) // with what the pool kept
	for _, r := range []*request{first.(*request), second.(*request)} {
		require.Len(t, r.records, len(periods))
		for i, p := range periods {
			require.Equal(t, string(event.AppendUsage(nil, event.V1_1, p)), string(r.records[i].value))
			require.Equal(t, event.ID(p).String(), headersOf(r.records[i])["ce_id"])
		}
	}
}

func TestScan(t *testing.T) {
	usages, others := scan(levels(), nil)
	assert.False(t, usages)
	assert.Equal(t, 6, others)

	md := usageOf(usagetest.Host(1))
	usages, others = scan(md, nil)
	assert.True(t, usages)
	assert.Zero(t, others)
	levels().ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	usages, others = scan(md, nil)
	assert.True(t, usages)
	assert.Equal(t, 6, others)
}

func TestRefusalsAreCountedAndSaidOnceAMinute(t *testing.T) {
	tel := componenttest.NewTelemetry()
	builder, err := metadata.NewTelemetryBuilder(tel.NewTelemetrySettings())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		cv, err := newConverter(defaults(func(c *Config) { c.SchemaVersion = "1.0" }), nil, newTopics(defaults(nil), nil), newRefusals(zap.New(core), builder).add)
		require.NoError(t, err)

		gap := usagetest.Host(3)
		gap.Quality[usage.CPUTime] = usage.Gap
		md := usageOf(usagetest.Host(1), usagetest.Host(2), gap, usagetest.Host(4))
		for _, i := range []int{1, 3} {
			md.ResourceMetrics().At(i).Resource().Attributes().Remove(usage.AttrVMID)
		}
		offer := func() {
			r, err := cv.convert(context.Background(), md)
			require.NoError(t, err)
			assert.Equal(t, 1, r.ItemsCount(), "the good one goes on")
		}
		offer()
		require.Equal(t, 2, logs.Len(), "one line for each reason")
		time.Sleep(refusalInterval - time.Nanosecond)
		offer()
		require.Equal(t, 2, logs.Len())
		time.Sleep(time.Nanosecond)
		offer()
		require.Equal(t, 4, logs.Len())
		line := logs.FilterField(zap.String("reason", "no_instance")).All()[1]
		assert.EqualValues(t, 3, line.ContextMap()["more_since_last"])
		assert.Equal(t, zap.ErrorLevel, line.Level)
	})
	metadatatest.AssertEqualExporterUsageEventRecordsRefused(t, tel, byReason(map[string]int64{"no_instance": 6, "gap": 3}), ignore...)
	require.NoError(t, tel.Shutdown(context.Background()))
}

func BenchmarkConvert(b *testing.B) {
	for _, bb := range []struct {
		name, mode string
		events     int
	}{
		{"events=1", cloudEventsBinary, 1},
		{"events=100", cloudEventsBinary, 100},
		{"structured/events=100", cloudEventsStructured, 100},
		{"none/events=100", cloudEventsNone, 100},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var periods []*usage.Period
			for i := range bb.events {
				periods = append(periods, usagetest.Host(uint64(i)))
			}
			c := defaults(func(c *Config) { c.CloudEvents = bb.mode })
			cv, err := newConverter(c, nil, newTopics(c, nil), nil)
			require.NoError(b, err)
			cv.violations, err = newViolations(c, nil)
			require.NoError(b, err)
			md := usageOf(periods...)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = cv.convert(context.Background(), md)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bb.events), "ns/event")
		})
	}
}

func BenchmarkScanLevels(b *testing.B) {
	md := levels()
	b.ReportAllocs()
	for b.Loop() {
		scan(md, &violations{})
	}
}
