package ruletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A record is what was recorded at one time: a batch of metrics, or the period of
// a usage event.
type record struct {
	at     int64 // unix ns of its newest point, or of the end of the period
	order  uint64
	size   int // bytes as it was recorded
	md     pmetric.Metrics
	period *usage.Period // nil for metrics
}

// Why a line has nothing to check.
var (
	// errOther is of an event that is no usage event.
	errOther = errors.New("an event of another type")
	// errNoPoints is of metrics without gauges and sums.
	errNoPoints = errors.New("no points of a gauge or a sum")
)

// decodeLine reads a line: metrics in OTLP JSON, which begin with their only key,
// or an event.
func decodeLine(line []byte) (*record, error) {
	if isMetrics(line) {
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			return nil, fmt.Errorf("no OTLP metrics: %w", err)
		}
		return metrics(md, len(line))
	}
	e, err := event.Decode(line)
	switch {
	case errors.Is(err, event.ErrType):
		return nil, errOther
	case err != nil:
		return nil, err
	case e.Period == nil:
		return nil, fmt.Errorf("a usage event of version %s has no stream and no exact amounts, which rules are checked with: record events of version 1.1 or later, or metrics", e.Version)
	}
	return &record{at: e.Period.End, size: len(line), period: e.Period}, nil
}

// decodeFrame reads metrics in OTLP protobuf.
func decodeFrame(frame []byte) (*record, error) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(frame)
	if err != nil {
		return nil, fmt.Errorf("no OTLP metrics: %w", err)
	}
	return metrics(md, len(frame))
}

func isMetrics(line []byte) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	key, err := d.Token()
	return err == nil && (key == "resourceMetrics" || key == "resource_metrics")
}

func metrics(md pmetric.Metrics, size int) (*record, error) {
	r := &record{size: size, md: md}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				r.at = max(r.at, newest(m))
			}
		}
	}
	if r.at <= 0 {
		return nil, errNoPoints
	}
	return r, nil
}

// newest returns the unix ns of the newest point, 0 without points.
func newest(m pmetric.Metric) (at int64) {
	var dps pmetric.NumberDataPointSlice
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		dps = m.Gauge().DataPoints()
	case pmetric.MetricTypeSum:
		dps = m.Sum().DataPoints()
	default:
		return 0
	}
	for _, dp := range dps.All() {
		at = max(at, int64(dp.Timestamp())) //nolint:gosec // what is beyond is negative, and no time
	}
	return at
}
