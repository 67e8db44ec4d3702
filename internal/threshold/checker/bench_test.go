package checker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/thresholdtest"
)

const (
	benchInstances = 10_000
	benchBatch     = 1000
	benchStart     = int64(1_782_864_000_000_000_000)
)

func benchSet(tb testing.TB, n int) *threshold.Set {
	tb.Helper()
	rules, err := threshold.Parse(thresholdtest.Document(n), threshold.Options{})
	require.NoError(tb, err)
	set, err := threshold.Compile(rules)
	require.NoError(tb, err)
	return set
}

// benchBatches are of all instances, and have been checked once.
func benchBatches(tb testing.TB, set *threshold.Set, e *threshold.Engine, c *checker.Checker) (batches []pmetric.Metrics) {
	tb.Helper()
	for first := 0; first < benchInstances; first += benchBatch {
		md := thresholdtest.Batch(first, benchBatch, benchStart)
		tx := e.Begin()
		c.Check(set, tx, md)
		tx.Commit()
		batches = append(batches, md)
	}
	require.Equal(tb, thresholdtest.PointsPerInstance*benchBatch, batches[0].DataPointCount())
	return batches
}

// BenchmarkCheck is of 1,000 instances with 40 points each, out of 10,000 that are
// known, by rules per instance, user and organization. Floor is a loop over the
// same points that compares each with a constant.
func BenchmarkCheck(b *testing.B) {
	for _, rules := range []int{100, 1000, 10_000, 100_000} {
		for _, firing := range []int{0, 100} {
			name := fmt.Sprintf("rules=%d", rules)
			if firing > 0 {
				name += "/1%-fire"
			}
			b.Run(name, func(b *testing.B) { benchCheck(b, rules, firing) })
		}
	}
}

func benchCheck(b *testing.B, rules, every int) {
	set, engine, c := benchSet(b, rules), threshold.New(threshold.Config{}), checker.New(checker.Options{Tag: checker.TagPoint})
	batches := benchBatches(b, set, engine, c)
	if every > 0 {
		for _, md := range batches {
			thresholdtest.Violate(md, every)
		}
	}
	at, evaluations, violations, i := benchStart, int64(0), int64(0), 0
	b.ReportAllocs()
	for b.Loop() {
		md := batches[i%len(batches)]
		if every > 0 && i%len(batches) == 0 { // the next ten seconds, which what is remembered needs
			b.StopTimer()
			at += int64(10 * time.Second)
			for _, md := range batches {
				thresholdtest.Stamp(md, at)
			}
			b.StartTimer()
		}
		tx := engine.Begin()
		counts := c.Check(set, tx, md)
		tx.Commit()
		evaluations += counts.Evaluations
		violations += counts.Violations[threshold.Warning] + counts.Violations[threshold.Critical]
		i++
	}
	if every == 0 {
		require.Zero(b, violations)
	} else {
		require.NotZero(b, violations)
	}
	perPoint(b)
	b.ReportMetric(float64(evaluations)/float64(b.N)/benchBatch, "checks/instance")
}

func perPoint(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchBatch*thresholdtest.PointsPerInstance), "ns/point")
}

// BenchmarkFloor is what any check of all points costs.
func BenchmarkFloor(b *testing.B) {
	var batches []pmetric.Metrics
	for first := 0; first < benchInstances; first += benchBatch {
		batches = append(batches, thresholdtest.Batch(first, benchBatch, benchStart))
	}
	b.ReportAllocs()
	i, above := 0, 0
	for b.Loop() {
		above += floor(batches[i%len(batches)], 1e18)
		i++
	}
	require.Zero(b, above)
	perPoint(b)
}

func floor(md pmetric.Metrics, limit float64) (above int) {
	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		sms := rms.At(i).ScopeMetrics()
		for j := range sms.Len() {
			ms := sms.At(j).Metrics()
			for k := range ms.Len() {
				m := ms.At(k)
				var dps pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeSum {
					dps = m.Sum().DataPoints()
				} else {
					dps = m.Gauge().DataPoints()
				}
				for l := range dps.Len() {
					dp := dps.At(l)
					v := dp.DoubleValue()
					if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
						v = float64(dp.IntValue())
					}
					if v > limit {
						above++
					}
				}
			}
		}
	}
	return above
}

// TestCheckAllocatesNothing where nothing fires and everybody is known.
func TestCheckAllocatesNothing(t *testing.T) {
	set, engine, c := benchSet(t, 1000), threshold.New(threshold.Config{}), checker.New(checker.Options{Tag: checker.TagPoint})
	md := thresholdtest.Batch(0, 10, benchStart)
	tx := engine.Begin()
	c.Check(set, tx, md)
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Check(set, tx, md) }))
	require.NotZero(t, c.Check(set, tx, md).Evaluations)
	tx.Rollback()
}

// BenchmarkCheckUsage is of the periods of 1,000 instances, the quotas of which are known.
func BenchmarkCheckUsage(b *testing.B) {
	set, engine, c := benchSet(b, 10_000), threshold.New(threshold.Config{}), checker.New(checker.Options{Tag: checker.TagPoint})
	at, sequence, evaluations := benchStart, uint64(0), int64(0)
	check := func(md pmetric.Metrics) {
		tx := engine.Begin()
		evaluations += c.Check(set, tx, md).Evaluations
		tx.Tick(c.Newest())
		tx.Commit()
	}
	next := func() pmetric.Metrics {
		sequence++
		at += 30e9
		return thresholdtest.Periods(0, benchBatch, sequence, at)
	}
	check(next())
	evaluations = 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		md := next()
		b.StartTimer()
		check(md)
	}
	require.Zero(b, engine.Stats().Overlapping+engine.Stats().Repeated)
	b.ReportMetric(float64(evaluations)/float64(b.N)/benchBatch, "checks/instance")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/instance")
}
