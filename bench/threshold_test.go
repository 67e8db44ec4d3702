package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/vmusage/otelcol-vmusage/internal/threshold/thresholdtest"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor"
)

const (
	fleetInstances = 10_000
	fleetBatch     = 1000
)

// BenchmarkThreshold is one ConsumeMetrics of 1,000 instances with 40 points each, out
// of 10,000 that are known, none of which violates anything: ours; contrib's filter
// and transform with the same rules written in OTTL, which they go through for every
// point; and the floor, a loop over the same points that compares each with a constant.
func BenchmarkThreshold(b *testing.B) {
	for _, rules := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("threshold/rules=%d", rules), func(b *testing.B) {
			var document []any
			if err := json.Unmarshal(thresholdtest.Document(rules), &document); err != nil {
				b.Fatal(err)
			}
			consumeFleet(b, thresholdprocessor.NewFactory(), map[string]any{"state_metric": false, "rules": document})
		})
	}
	for _, rules := range []int{10, 100} {
		conditions, statements := make([]any, rules), make([]any, rules)
		for i := range rules {
			conditions[i] = thresholdtest.Condition(i)
			statements[i] = `set(attributes["threshold.level"], "warning") where ` + thresholdtest.Condition(i)
		}
		b.Run(fmt.Sprintf("filter/rules=%d", rules), func(b *testing.B) {
			consumeFleet(b, filterprocessor.NewFactory(), map[string]any{
				"metrics": map[string]any{"datapoint": conditions},
			})
		})
		b.Run(fmt.Sprintf("transform/rules=%d", rules), func(b *testing.B) {
			consumeFleet(b, transformprocessor.NewFactory(), map[string]any{
				"metric_statements": []any{map[string]any{"context": "datapoint", "statements": statements}},
			})
		})
	}
	b.Run("floor", func(b *testing.B) {
		next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
			if n := pointsAbove(md, 1e18); n != 0 {
				return fmt.Errorf("%d points", n)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		benchFleet(b, next)
	})
}

// consumeFleet measures a processor.
func consumeFleet(b *testing.B, f processor.Factory, settings map[string]any) {
	b.Helper()
	cfg := f.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings).Unmarshal(&cfg); err != nil {
		b.Fatal(err)
	}
	if v, ok := cfg.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			b.Fatal(err)
		}
	}
	p, err := f.CreateMetrics(b.Context(), processortest.NewNopSettings(f.Type()), cfg, consumertest.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	start(b, p)
	benchFleet(b, p)
}

func start(b *testing.B, c component.Component) {
	b.Helper()
	if err := c.Start(b.Context(), componenttest.NewNopHost()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Shutdown(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

func benchFleet(b *testing.B, p consumer.Metrics) {
	b.Helper()
	var batches []pmetric.Metrics
	for first := 0; first < fleetInstances; first += fleetBatch {
		batches = append(batches, thresholdtest.Batch(first, fleetBatch, time.Now().UnixNano()))
	}
	points := batches[0].DataPointCount()
	for _, md := range batches { // so that all are known
		if err := p.ConsumeMetrics(b.Context(), md); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	cpu := cpuTime(b)
	i := 0
	for b.Loop() {
		if err := p.ConsumeMetrics(b.Context(), batches[i%len(batches)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(cpu()/float64(points), "cpu-ns/point")
	if n := batches[0].DataPointCount(); n != points {
		b.Fatalf("%d points are %d now", points, n)
	}
}

func pointsAbove(md pmetric.Metrics, limit float64) (above int) {
	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		sms := rms.At(i).ScopeMetrics()
		for j := range sms.Len() {
			ms := sms.At(j).Metrics()
			for k := range ms.Len() {
				dps := numbers(ms.At(k))
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

func numbers(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}
