package usageeventexporter

import (
	"context"
	"errors"
	"net"
	"time"
	"unsafe"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Attributes are made once: making them costs more than counting.
var (
	acknowledged = outcome("acknowledged")
	unsuccessful = outcome("failed")
	opened       = outcome("opened")
	notOpened    = outcome("failed")
)

func outcome(value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", value)))
}

// An attempted is what is known of one attempt once it is over.
type attempted struct {
	records []record
	again   bool // it follows one that failed
	took    time.Duration
	buried  burial
	err     error
}

// measure counts an attempt. It allocates nothing for a record.
func (e *usageEvent) measure(ctx context.Context, a *attempted) {
	ctx = context.WithoutCancel(ctx)
	result, failed := acknowledged, []record(nil)
	if a.err != nil {
		result, failed = unsuccessful, a.records
		if p, ok := errors.AsType[*publishError](a.err); ok {
			failed = p.failed
		}
		e.builder.ExporterUsageEventEventsFailed.Add(ctx, int64(len(failed)))
	}
	done := tally{letters: e.letters, violations: e.violations}
	done.add(a.records, 1)
	offered := done.usage.events + done.thresholds.events
	done.add(failed, -1)
	done.add(a.buried.of, -1)
	done.add(a.buried.letters, 1)
	done.report(ctx, e.builder, e.refusals)
	if n, why := done.lettersWritten(); n > 0 {
		e.signal(signalLetters, true, why)
	}
	e.builder.ExporterUsageEventSendDuration.Record(ctx, a.took.Seconds(), result)
	if oldest, ok := e.oldestDone(a.records, failed, a.buried.of); ok {
		e.builder.ExporterUsageEventLag.Record(ctx, max(time.Since(time.Unix(0, oldest)).Seconds(), 0))
	}
	if errors.Is(a.err, errOpen) {
		return // nothing was sent
	}
	e.builder.ExporterUsageEventBatchSize.Record(ctx, int64(len(a.records)))
	if a.again {
		e.builder.ExporterUsageEventEventsResent.Add(ctx, offered)
	}
}

// oldestDone returns the earliest end of an event among records that is in none
// of the others.
func (e *usageEvent) oldestDone(records []record, others ...[]record) (end int64, ok bool) {
	var not map[*sarama.RecordHeader]struct{}
	for _, other := range others {
		for i := range other {
			if not == nil {
				not = map[*sarama.RecordHeader]struct{}{}
			}
			not[mark(&other[i])] = struct{}{}
		}
	}
	if len(not) == len(records) {
		return 0, false
	}
	for i := range records {
		r := &records[i]
		if _, left := not[mark(r)]; left || e.letters.holds(r) {
			continue
		}
		if !ok || r.end < end {
			end, ok = r.end, true
		}
	}
	return end, ok
}

// mark tells records apart: copies of one share their headers, and no two records do.
func mark(r *record) *sarama.RecordHeader { return unsafe.SliceData(r.headers) }

// observe has a producer that is yet to be built tell what it does.
func (e *usageEvent) observe(c *sarama.Config, line *lifeline) {
	e.builder.ExporterUsageEventThrottleTime.Add(line.ctx, 0) // a number before the first
	c.MetricRegistry = newSaramaMetrics(func(d time.Duration) {
		line.hold(d)
		e.builder.ExporterUsageEventThrottleTime.Add(context.Background(), d.Seconds())
	})
	c.Net.Proxy.Dialer = dialer(func(network, addr string) (net.Conn, error) {
		conn, err := line.Dial(network, addr)
		switch {
		case err == nil:
			e.builder.ExporterUsageEventConnections.Add(line.ctx, 1, opened)
		case line.cause() == nil: // else this side gave up
			e.builder.ExporterUsageEventConnections.Add(line.ctx, 1, notOpened)
		}
		return conn, err
	})
}

// dialer is a proxy.Dialer.
type dialer func(network, addr string) (net.Conn, error)

func (d dialer) Dial(network, addr string) (net.Conn, error) { return d(network, addr) }
