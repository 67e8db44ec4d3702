package usageeventexporter

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
)

// A tally counts records that Kafka acknowledged: events, and dead letters by
// their reason.
type tally struct {
	letters *deadLetters

	events, bytes int64
	dead          map[string]*deadTally // nil while there is none
}

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
		t.events += by
		t.bytes += size
		return
	}
	if t.dead == nil {
		t.dead = map[string]*deadTally{}
	}
	reason := string(r.headerValue(letterReason))
	d := t.dead[reason]
	if d == nil {
		d = &deadTally{}
		t.dead[reason] = d
	}
	d.records += by
	d.bytes += size
	d.detail = string(r.headerValue(letterError))
}

// report adds the tally to the metrics, and says what is dead.
func (t *tally) report(ctx context.Context, b *metadata.TelemetryBuilder, said *refusals) {
	if t.events > 0 {
		b.ExporterUsageEventEventsSent.Add(ctx, t.events)
		b.ExporterUsageEventBytesSent.Add(ctx, t.bytes)
	}
	for reason, d := range t.dead {
		if d.records == 0 {
			continue
		}
		attrs := metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason)))
		b.ExporterUsageEventRecordsDeadLettered.Add(ctx, d.records, attrs)
		b.ExporterUsageEventBytesDeadLettered.Add(ctx, d.bytes, attrs)
		said.say(deadLettered, reason, d.detail, int(d.records))
	}
}
