package vmusagereceiver

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A source samples instances. It is used from one goroutine at a time.
type source interface {
	// Name is what readings, logs and self-metrics call the source.
	Name() string
	// Sample reads the counters once and visits each instance that could be
	// read. The error says what could not; what was visited is good all the
	// same. What it visits is valid until the next Sample.
	Sample(ctx context.Context, at reading.Instant, visit func(sampled)) error
	Close() error
}

// A teller is a source that has more to tell than the error of a sample. Tell is
// called after each Sample.
type teller interface {
	Tell(ctx context.Context, t *telemetry, n news)
}

// sampled is one instance in one sample.
type sampled interface {
	Reading() *reading.Reading
	// AppendLevels appends the levels of the instance.
	AppendLevels(ms pmetric.MetricSlice)
}
