package usageeventexporter

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// A tally counts records that Kafka acknowledged: events, and dead letters by
// their reason.
type tally struct {
	letters    *deadLetters
	violations *violations

	usage, thresholds sent
	dead              map[saying]*deadTally // nil while there is none
}

type sent struct{ events, bytes int64 }

type deadTally struct {
	records, bytes int64
	detail         string // of one of them
}

// add counts records, or with by -1 takes them back.
func (t *tally) add(records []record, by int64) {
	for i := range records {
		t.addOne(&records[i], by)
	}
}

func (t *tally) addOne(r *record, by int64) {
	size := int64(len(r.value)) * by
	if !t.letters.holds(r) {
		to := &t.usage
		if t.violations.holds(r.topic) {
			to = &t.thresholds
		}
		to.events += by
		to.bytes += size
		return
	}
	if t.dead == nil {
		t.dead = map[saying]*deadTally{}
	}
	key := saying{deadLettered, string(r.headerValue(letterReason))}
	if t.violations.holds(string(r.headerValue(letterTopic))) {
		key.what = deadViolation
	}
	d := t.dead[key]
	if d == nil {
		d = &deadTally{}
		t.dead[key] = d
	}
	d.records += by
	d.bytes += size
	d.detail = string(r.headerValue(letterError))
}

// report adds the tally to the metrics, and says what is dead.
func (t *tally) report(ctx context.Context, b *metadata.TelemetryBuilder, said *refusals) {
	t.usage.report(ctx, b, ofUsage)
	t.thresholds.report(ctx, b, ofThresholds)
	for key, d := range t.dead {
		if d.records == 0 {
			continue
		}
		attrs := metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", key.reason)))
		b.ExporterUsageEventRecordsDeadLettered.Add(ctx, d.records, attrs)
		b.ExporterUsageEventBytesDeadLettered.Add(ctx, d.bytes, attrs)
		said.say(key.what, key.reason, d.detail, int(d.records))
	}
}

// lettersWritten returns how many dead letters there are, and what is wrong with one of them.
func (t *tally) lettersWritten() (n int64, why string) {
	var most int64
	for key, d := range t.dead {
		n += d.records
		if d.records > most {
			most, why = d.records, key.reason+": "+d.detail
		}
	}
	return n, why
}

// The attributes of what was sent, by the type of the events.
var (
	ofUsage      = metric.WithAttributeSet(attribute.NewSet(attribute.String("event_type", event.TypeResourceUsage)))
	ofThresholds = metric.WithAttributeSet(attribute.NewSet(attribute.String("event_type", event.TypeThresholdViolation)))
)

func (s sent) report(ctx context.Context, b *metadata.TelemetryBuilder, kind metric.MeasurementOption) {
	if s.events > 0 {
		b.ExporterUsageEventEventsSent.Add(ctx, s.events, kind)
		b.ExporterUsageEventBytesSent.Add(ctx, s.bytes, kind)
	}
}
