package thresholdprocessor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/thresholdtest"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/source"
)

const (
	benchInstances = 10_000
	benchBatch     = 1000
)

// benchProcessor runs with rules for 10,000 instances, all of which were seen.
func benchProcessor(b *testing.B, rules int, state bool) (*thresholds, []pmetric.Metrics) {
	b.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.StateMetric = state
	c, err := newCore(processortest.NewNopSettings(metadata.Type), cfg)
	require.NoError(b, err)
	c.forget = func() bool { return true }
	p := newProcessor(c, consumertest.NewNop())
	require.NoError(b, p.Start(b.Context(), componenttest.NewNopHost()))
	b.Cleanup(func() { require.NoError(b, p.Shutdown(context.Background())) })
	benchReload(b, p, benchDocument(b, rules, 0))
	var batches []pmetric.Metrics
	for first := 0; first < benchInstances; first += benchBatch {
		md := thresholdtest.Batch(first, benchBatch, time.Now().UnixNano())
		again := pmetric.NewMetrics()
		md.CopyTo(again)
		require.NoError(b, p.ConsumeMetrics(b.Context(), again))
		batches = append(batches, md)
	}
	return p, batches
}

// benchDocument is a file that was written anew: the n-th time another rule is
// changed, and one more is there.
func benchDocument(b *testing.B, rules, n int) []*threshold.Rule {
	b.Helper()
	parsed, err := threshold.Parse(thresholdtest.Document(rules+n), threshold.Options{Source: threshold.File})
	require.NoError(b, err)
	parsed[n].Warning++
	return parsed
}

func benchReload(b *testing.B, p *thresholds, rules []*threshold.Rule) {
	b.Helper()
	p.core.rules.update(b.Context(), threshold.File, source.Update{Rules: rules})
	require.Equal(b, len(rules), p.core.rules.set().Len())
}

// BenchmarkConsumeMetrics is of 1,000 instances with 40 points each, of 10,000 that are known.
func BenchmarkConsumeMetrics(b *testing.B) {
	for _, state := range []bool{false, true} {
		b.Run(fmt.Sprintf("state=%v", state), func(b *testing.B) {
			p, batches := benchProcessor(b, 10_000, state)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				md := batches[i%len(batches)]
				if state { // which adds points
					b.StopTimer()
					again := pmetric.NewMetrics()
					md.CopyTo(again)
					md = again
					b.StartTimer()
				}
				if err := p.ConsumeMetrics(b.Context(), md); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchBatch*thresholdtest.PointsPerInstance), "ns/point")
		})
	}
}

// BenchmarkReload is of 100,000 rules that are read anew, while batches of 1,000
// instances flow, with nothing that fires and with everything. It reports how long
// the longest of them took while nothing else happened (idle), while the document
// was read (parse), and from then on until everybody met the new rules (replace).
func BenchmarkReload(b *testing.B) {
	for _, firing := range []bool{false, true} {
		b.Run(fmt.Sprintf("firing=%v", firing), func(b *testing.B) { benchReloads(b, firing) })
	}
}

func benchReloads(b *testing.B, firing bool) {
	const rules = 100_000
	p, batches := benchProcessor(b, rules, false)
	if firing {
		for _, md := range batches {
			thresholdtest.Violate(md, 1)
		}
	}
	at, i := time.Now().UnixNano(), 0
	consume := func() time.Duration {
		md := batches[i%len(batches)]
		i++
		at += int64(time.Second)
		thresholdtest.Stamp(md, at)
		began := time.Now()
		if err := p.ConsumeMetrics(b.Context(), md); err != nil {
			b.Error(err)
		}
		return time.Since(began)
	}
	const (
		idle = iota
		parse
		replace
		phases
	)
	var took [phases][]time.Duration
	for range 2 * len(batches) { // all are known after it
		consume()
	}
	while := func(phase int, do func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			do()
		}()
		for {
			took[phase] = append(took[phase], consume())
			select {
			case <-done:
				return
			default:
			}
		}
	}
	n := 0
	for b.Loop() {
		n++
		for range 10 * len(batches) {
			took[idle] = append(took[idle], consume())
		}
		var next []*threshold.Rule
		while(parse, func() { next = benchDocument(b, rules, n) })
		while(replace, func() { benchReload(b, p, next) })
		for range len(batches) {
			took[replace] = append(took[replace], consume())
		}
	}
	for phase, name := range [phases]string{"idle", "parse", "replace"} {
		slices.Sort(took[phase])
		ms := func(share float64) float64 { return float64(took[phase][int(share*float64(len(took[phase])-1))]) / 1e6 }
		b.ReportMetric(ms(1), name+"-longest-ms")
		b.ReportMetric(ms(0.5), name+"-median-ms")
	}
}
