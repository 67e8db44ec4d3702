package usageeventexporter

import (
	"github.com/IBM/sarama"
	"github.com/google/uuid"
)

// slabLimit keeps one event that waits from holding much more memory than its own.
const slabLimit = 256 << 10

// slabs are what the records of a request are carved from, and what they are made
// with.
type slabs struct {
	left int // resources, this one included: how much the slabs should hold

	// Used again.
	text   []byte // one record's, before it goes to the slab
	host   string // whose source it is
	source []byte

	// The request's.
	slab    []byte
	headers []sarama.RecordHeader
	records []record
	bytes   int
}

// attributes are what records differ in, beside their events.
type attributes struct {
	id      uuid.UUID
	host    string // that metered
	subject string // the key of the record too
	at      int64  // unix ns
}

// begin returns what the event is to be appended to.
func (s *slabs) begin(f *form, a *attributes) []byte {
	if s.host != a.host || s.source == nil {
		s.host, s.source = a.host, []byte(f.sourceOf(a.host))
	}
	if f.mode == cloudEventsStructured {
		return f.appendBefore(s.text[:0], a, s.source)
	}
	return s.text[:0]
}

// end makes the record of what begin returned and the event behind it.
func (s *slabs) end(f *form, topic string, a *attributes, text []byte) {
	if f.mode == cloudEventsStructured {
		text = append(text, '}')
	}
	value := len(text)
	id := f.idAt()
	if id == 0 { // it is not in the value
		id = value
		text = appendUUID(text, a.id)
	}
	time := len(text)
	if f.mode == cloudEventsBinary {
		text = appendTime(text, a.at)
	}
	key := len(text)
	text = append(text, a.subject...)
	s.text = text

	kept := s.keep(text)
	r := record{topic: topic, key: kept[key:], value: kept[:value:value], headers: s.fill(f.template), end: a.at}
	r.headers[atEventID].Value = kept[id : id+uuidLength : id+uuidLength]
	if f.mode == cloudEventsBinary {
		r.headers[atID].Value, r.headers[atSource].Value = r.headers[atEventID].Value, s.source
		r.headers[atSubject].Value, r.headers[atTime].Value = r.key, kept[time:key:key]
	}
	s.append(r)
}

func (s *slabs) append(r record) {
	if s.records == nil {
		s.records = make([]record, 0, s.left)
	}
	s.records = append(s.records, r)
	s.bytes += r.size()
}

// keep copies text into the slab.
func (s *slabs) keep(text []byte) []byte {
	if cap(s.slab)-len(s.slab) < len(text) {
		s.slab = make([]byte, 0, max(len(text), min(s.left*(len(text)+len(text)/16), slabLimit)))
	}
	from := len(s.slab)
	s.slab = append(s.slab, text...)
	return s.slab[from:len(s.slab):len(s.slab)]
}

// fill returns the headers of a record, as the template has them.
func (s *slabs) fill(template []sarama.RecordHeader) []sarama.RecordHeader {
	if cap(s.headers)-len(s.headers) < len(template) {
		s.headers = make([]sarama.RecordHeader, 0, max(min(s.left, 512), 1)*len(template))
	}
	from := len(s.headers)
	s.headers = append(s.headers, template...)
	return s.headers[from:len(s.headers):len(s.headers)]
}

// release lets go of what belongs to the request.
func (s *slabs) release() {
	s.slab, s.headers, s.records, s.bytes = nil, nil, nil, 0
}
