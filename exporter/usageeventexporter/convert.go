package usageeventexporter

import (
	"context"
	"errors"
	"sync"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A converter turns usage periods into records. It is safe for concurrent use.
type converter struct {
	topic    string
	version  event.Version
	template []sarama.RecordHeader // of every record, see headerTemplate
	refused  func(ctx context.Context, reason, detail string)
	letters  *deadLetters // nil: what cannot become an event is dropped
	// violations is set before the first convert, or not: then there are none.
	violations *violations

	pool sync.Pool // of *conversion
}

func newConverter(c *Config, letters *deadLetters, refused func(ctx context.Context, reason, detail string)) (*converter, error) {
	v, err := event.ParseVersion(c.SchemaVersion)
	if err != nil {
		return nil, err
	}
	cv := &converter{topic: c.Topic, version: v, template: headerTemplate(c.CloudEvents, event.TypeResourceUsage, v), refused: refused, letters: letters}
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
		switch err := n.reader.Read(rm, n.visit); {
		case err == nil:
		case c.letters != nil:
			n.append(c.letters.ofInput(rm, err))
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
	ctx    context.Context // of the call, for its metrics
	reader usage.Reader
	visit  func(*usage.Period) error
	left   int // resources, this one included: how much the slabs should hold

	announcing announcing

	text    []byte // one record's, before it goes to the slab
	host    string // whose source it is
	source  []byte
	slab    []byte
	headers []sarama.RecordHeader
	records []record
	bytes   int
}

// slabLimit keeps one event that waits from holding much more memory than its own.
const slabLimit = 256 << 10

// add makes the record of p. Its error is always nil: reading goes on.
func (n *conversion) add(p *usage.Period) error {
	if !event.Emits(n.version, p) {
		n.refused(n.ctx, reasonGap, "schema_version 1.0 cannot say that an amount is not known: usage of instance "+p.Instance.ID)
		return nil
	}
	if n.host != p.Stream.HostID || n.source == nil {
		n.host, n.source = p.Stream.HostID, []byte(sourceOf(&p.Stream))
	}
	t := event.AppendUsage(n.text[:0], n.version, p)
	value := len(t)
	t = appendUUID(t, event.ID(p))
	id := len(t)
	t = appendTime(t, p.End)
	at := len(t)
	t = append(t, p.Instance.ID...)
	n.text = t

	kept := n.keep(t)
	key := kept[at:]
	n.append(record{
		topic:   n.topic,
		key:     key,
		value:   kept[:value:value],
		headers: n.fill(n.template, kept[value:id:id], n.source, key, kept[id:at:at]),
		end:     p.End,
	})
	return nil
}

func (n *conversion) append(r record) {
	if n.records == nil {
		n.records = make([]record, 0, n.left)
	}
	n.records = append(n.records, r)
	n.bytes += r.size()
}

// keep copies text into the slab.
func (n *conversion) keep(text []byte) []byte {
	if cap(n.slab)-len(n.slab) < len(text) {
		n.slab = make([]byte, 0, max(len(text), min(n.left*(len(text)+len(text)/16), slabLimit)))
	}
	from := len(n.slab)
	n.slab = append(n.slab, text...)
	return n.slab[from:len(n.slab):len(n.slab)]
}

// fill returns the headers of a record.
func (n *conversion) fill(template []sarama.RecordHeader, id, source, subject, at []byte) []sarama.RecordHeader {
	if cap(n.headers)-len(n.headers) < len(template) {
		n.headers = make([]sarama.RecordHeader, 0, max(min(n.left, 512), 1)*len(template))
	}
	from := len(n.headers)
	n.headers = append(n.headers, template...)
	h := n.headers[from:len(n.headers):len(n.headers)]
	h[atEventID].Value = id
	if len(h) > atEventID+1 {
		h[atID].Value, h[atSource].Value, h[atSubject].Value, h[atTime].Value = id, source, subject, at
	}
	return h
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
	n.ctx, n.slab, n.headers, n.records, n.bytes = nil, nil, nil, nil, 0
}
