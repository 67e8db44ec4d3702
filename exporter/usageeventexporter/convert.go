package usageeventexporter

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A converter turns usage periods into records. It is safe for concurrent use.
type converter struct {
	topics       *topics
	version      event.Version
	form         *form // of the records
	requireOwner bool
	refused      func(ctx context.Context, reason, detail string)
	letters      *deadLetters // nil: what cannot become an event is dropped
	// violations is set before the first convert, or not: then there are none.
	violations *violations

	pool sync.Pool // of *conversion
}

func newConverter(c *Config, letters *deadLetters, topics *topics, refused func(ctx context.Context, reason, detail string)) (*converter, error) {
	v, err := event.ParseVersion(c.SchemaVersion)
	if err != nil {
		return nil, err
	}
	cv := &converter{
		topics: topics, version: v, form: newForm(&c.RecordConfig, event.TypeResourceUsage, v),
		requireOwner: c.RequireOwner, refused: refused, letters: letters,
	}
	cv.pool.New = func() any {
		n := &conversion{converter: cv}
		n.visit = n.add
		return n
	}
	return cv, nil
}

// convert never fails: an error would be final, and the batch lost with its good
// periods. What cannot become an event becomes a dead letter, or is refused.
func (c *converter) convert(ctx context.Context, md pmetric.Metrics) (xexporterhelper.Request, error) {
	n := c.pool.Get().(*conversion)
	n.ctx = ctx
	rms := md.ResourceMetrics()
	for i, rm := range rms.All() {
		n.left = rms.Len() - i
		n.topic = c.topics.of(rm)
		switch err := n.reader.Read(rm, n.visit); {
		case err == nil:
		case c.letters != nil:
			n.append(c.letters.ofInput(rm, n.topic, err))
		default:
			n.refuse(err)
		}
		if c.violations.in(rm) {
			n.announce(rm)
		}
	}
	r := &request{records: n.records, bytes: n.bytes}
	n.release()
	c.pool.Put(n)
	return r, nil
}

// scan reports whether there is anything in md of which events are made, and how
// many data points are something else.
func scan(md pmetric.Metrics, v *violations) (found bool, others int) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if v.takes(m.Name()) {
					found = true
				} else {
					others += points(m)
				}
			}
		}
	}
	return found, others
}

func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	default:
		return 0
	}
}

// A conversion is one call of convert. What it hands out is carved from slabs
// that belong to the request; the rest is used again.
type conversion struct {
	*converter
	slabs
	ctx    context.Context // of the call, for its metrics
	reader usage.Reader
	visit  func(*usage.Period) error
	topic  string // of the resource's usage

	announcing announcing
}

// add makes the record of p. Its error ends the reading of the resource: it is of
// the resource, of all its periods.
func (n *conversion) add(p *usage.Period) error {
	if n.requireOwner && p.Instance.UserID == "" && p.Instance.OrgID == "" {
		err := &ownerError{p.Instance.ID}
		if n.letters != nil {
			return err
		}
		n.refused(n.ctx, reasonNoOwner, err.Error())
		return nil
	}
	if !event.Emits(n.version, p) {
		n.refused(n.ctx, reasonGap, "schema_version 1.0 cannot say that an amount is not known: usage of instance "+p.Instance.ID)
		return nil
	}
	about := attributes{id: event.ID(p), host: p.Stream.HostID, subject: p.Instance.ID, at: p.End}
	n.end(n.form, n.topic, &about, event.AppendUsage(n.begin(n.form, &about), n.version, p))
	return nil
}

// refuse takes apart what a Reader found wrong.
func (n *conversion) refuse(err error) {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range joined.Unwrap() {
			n.refuse(e)
		}
		return
	}
	n.refused(n.ctx, reasonOf(err), err.Error())
}

// release lets go of what belongs to the request and the call.
func (n *conversion) release() {
	n.ctx = nil
	n.slabs.release()
}
