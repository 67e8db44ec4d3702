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
	topics       *topics
	version      event.Version
	cloudEvents  *cloudEvents
	template     []sarama.RecordHeader // of every record, see headerTemplate
	requireOwner bool
	refused      func(ctx context.Context, reason, detail string)
	letters      *deadLetters // nil: what cannot become an event is dropped

	pool sync.Pool // of *conversion
}

func newConverter(c *Config, letters *deadLetters, topics *topics, refused func(ctx context.Context, reason, detail string)) (*converter, error) {
	v, err := event.ParseVersion(c.SchemaVersion)
	if err != nil {
		return nil, err
	}
	ce := newCloudEvents(&c.RecordConfig, v)
	cv := &converter{
		topics: topics, version: v, cloudEvents: ce, template: headerTemplate(ce, ownHeaders(&c.RecordConfig)),
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
	}
	r := &request{records: n.records, bytes: n.bytes}
	n.release()
	c.pool.Put(n)
	return r, nil
}

// scan reports whether there is any usage in md, and how many data points are
// something else.
func scan(md pmetric.Metrics) (usages bool, others int) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if usage.IsUsage(m.Name()) {
					usages = true
				} else {
					others += points(m)
				}
			}
		}
	}
	return usages, others
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

	topic   string // of the resource
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
	if n.host != p.Stream.HostID || n.source == nil {
		n.host, n.source = p.Stream.HostID, []byte(n.cloudEvents.sourceOf(&p.Stream))
	}
	if n.cloudEvents.mode == cloudEventsStructured {
		n.addStructured(p)
	} else {
		n.addPlain(p)
	}
	return nil
}

// addPlain makes the record whose value is the event alone.
func (n *conversion) addPlain(p *usage.Period) {
	t := event.AppendUsage(n.text[:0], n.version, p)
	value := len(t)
	t = appendUUID(t, event.ID(p))
	id := len(t)
	t = appendTime(t, p.End)
	at := len(t)
	t = append(t, p.Instance.ID...)
	n.text = t

	kept := n.keep(t)
	key, headers := kept[at:], n.fill(kept[value:id:id])
	if n.cloudEvents.mode == cloudEventsBinary {
		headers[atID].Value, headers[atSource].Value = headers[atEventID].Value, n.source
		headers[atSubject].Value, headers[atTime].Value = key, kept[id:at:at]
	}
	n.append(record{topic: n.topic, key: key, value: kept[:value:value], headers: headers, end: p.End})
}

// addStructured makes the record whose value is the whole CloudEvent.
func (n *conversion) addStructured(p *usage.Period) {
	t, id := n.cloudEvents.appendStructured(n.text[:0], n.version, p, n.source)
	value := len(t)
	t = append(t, p.Instance.ID...)
	n.text = t

	kept := n.keep(t)
	headers := n.fill(kept[id : id+uuidLength : id+uuidLength])
	n.append(record{topic: n.topic, key: kept[value:], value: kept[:value:value], headers: headers, end: p.End})
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

// fill returns the headers of a record, with its id.
func (n *conversion) fill(id []byte) []sarama.RecordHeader {
	if cap(n.headers)-len(n.headers) < len(n.template) {
		n.headers = make([]sarama.RecordHeader, 0, max(min(n.left, 512), 1)*len(n.template))
	}
	from := len(n.headers)
	n.headers = append(n.headers, n.template...)
	h := n.headers[from:len(n.headers):len(n.headers)]
	h[atEventID].Value = id
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
