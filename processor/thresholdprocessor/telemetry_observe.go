package thresholdprocessor

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

func (t *telemetry) observeAges(_ context.Context, o metric.Float64Observer) error {
	for s, age := range t.core.rules.ages() {
		o.Observe(age.Seconds(), with("source", string(s)))
	}
	return nil
}

func (t *telemetry) observeAnnounced(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.core.engine.Counters()
	for kind := range threshold.NumKinds {
		o.Observe(count(s.Announced[kind]), with("kind", kind.String()))
	}
	return nil
}

func (t *telemetry) observeSuppressed(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.core.engine.Counters()
	sum := uint64(0)
	for _, n := range s.Suppressed {
		sum += n
	}
	o.Observe(count(sum))
	return nil
}

func (t *telemetry) observeIgnored(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.core.engine.Counters()
	for _, i := range [...]struct {
		reason string
		n      uint64
	}{
		{"invalid", s.Invalid},
		{"stale", s.Stale},
		{"contended", s.Contended},
		{"no_room", s.Refused},
		{"repeated", s.Repeated},
		{"overlapping", s.Overlapping},
		{"late", s.Late},
	} {
		o.Observe(count(i.n), with("reason", i.reason))
	}
	return nil
}

func (t *telemetry) observeEpisodes(_ context.Context, o metric.Int64Observer) error {
	s := t.core.engine.Stats()
	episodes := s.Pending + s.Ended
	for _, n := range s.Firing {
		episodes += n
	}
	o.Observe(int64(episodes))
	return nil
}

func (t *telemetry) observeQuotas(_ context.Context, o metric.Int64Observer) error {
	_, quotas := t.core.engine.Counters()
	o.Observe(int64(quotas))
	return nil
}

// count is a counter as OTLP has it: signed.
func count(n uint64) int64 { return int64(n) } //nolint:gosec // counts up from 0
