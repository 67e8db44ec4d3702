package usageeventexporter

import (
	"strings"
	"time"

	"github.com/rcrowley/go-metrics"
)

// throttleTime begins the names of sarama's histograms of how long brokers made
// it wait, one for each broker, in milliseconds.
const throttleTime = "throttle-time-in-ms"

// saramaMetrics is the registry of one producer. Of the dozens of metrics that
// sarama keeps for every broker and topic it hands on those of throttling; the
// others cost a producer nothing, nor do they start the goroutine that
// go-metrics would have for the rest of the process.
type saramaMetrics struct {
	metrics.Registry // empty
	throttled        throttled
}

func newSaramaMetrics(observe func(time.Duration)) *saramaMetrics {
	return &saramaMetrics{metrics.NewRegistry(), throttled{observe: observe}}
}

// GetOrRegister implements metrics.Registry. make is a function that makes the
// metric, or the metric itself.
func (m *saramaMetrics) GetOrRegister(name string, make any) any {
	switch make.(type) {
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	case func() metrics.Histogram:
		if strings.HasPrefix(name, throttleTime) {
			return &m.throttled
		}
		return metrics.NilHistogram{}
	default:
		return m.Registry.GetOrRegister(name, make)
	}
}

// throttled is a histogram that only takes values.
type throttled struct {
	metrics.NilHistogram
	observe func(time.Duration)
}

// Update implements metrics.Histogram.
func (t *throttled) Update(ms int64) { t.observe(time.Duration(ms) * time.Millisecond) }
