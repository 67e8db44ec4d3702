package usageeventexporter

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
)

// A record is one event, ready for Kafka. Its bytes are shared with other
// records and never change; a repeat is the same bytes.
type record struct {
	topic   string
	key     sarama.ByteEncoder
	value   sarama.ByteEncoder
	headers []sarama.RecordHeader
	end     int64 // unix ns: the time of the record is the period's end
}

// size is what the record takes in memory and, within a few bytes, in the log.
func (r *record) size() int {
	n := recordOverhead + len(r.topic) + len(r.key) + len(r.value)
	for i := range r.headers {
		n += len(r.headers[i].Key) + len(r.headers[i].Value)
	}
	return n
}

// headerValue returns the value of the last header with a key, nil where there
// is none.
func (r *record) headerValue(key string) []byte {
	for i := len(r.headers) - 1; i >= 0; i-- {
		if h := &r.headers[i]; string(h.Key) == key {
			return h.Value
		}
	}
	return nil
}

// produceSize is what sarama holds against its Producer.MaxMessageBytes.
func (r *record) produceSize() int {
	const magic2 = 2 // of records with headers
	m := sarama.ProducerMessage{Key: &r.key, Value: &r.value, Headers: r.headers}
	return m.ByteSize(magic2)
}

// recordOverhead is about what a record has besides its text.
const recordOverhead = 32

// A request is what goes through queue and retry: records of one batch of
// metrics or, where the queue makes batches, of several.
type request struct {
	records []record
	bytes   int
	again   bool // an attempt to send them failed
}

var (
	_ xexporterhelper.Request             = (*request)(nil)
	_ xexporterhelper.RequestErrorHandler = (*request)(nil)
)

func newRequest(records []record) *request {
	r := &request{records: records}
	for i := range records {
		r.bytes += records[i].size()
	}
	return r
}

// ItemsCount returns how many events there are.
func (r *request) ItemsCount() int { return len(r.records) }

// BytesSize returns about how many bytes the records have.
func (r *request) BytesSize() int { return r.bytes }

// OnError returns the request that is left after err: only what failed.
func (r *request) OnError(err error) xexporterhelper.Request {
	left := r
	if p, ok := errors.AsType[*publishError](err); ok && len(p.failed) < len(r.records) {
		left = newRequest(p.failed)
	}
	return &request{left.records, left.bytes, r.again || !errors.Is(err, errOpen)}
}

// MergeSplit puts the records of other behind those of r and cuts the whole into
// requests of at most maxSize. The first of them begins with all of r. Records
// stay in order and none is dropped: one that is larger than maxSize bytes is a
// request of its own.
func (r *request) MergeSplit(_ context.Context, maxSize int, sizer exporterhelper.RequestSizerType, other xexporterhelper.Request) ([]xexporterhelper.Request, error) {
	records, bytes := r.records, r.bytes
	if other != nil {
		o, ok := other.(*request)
		if !ok {
			return nil, fmt.Errorf("cannot merge a %T into usage events", other)
		}
		records, bytes = append(records, o.records...), bytes+o.bytes
	}
	if maxSize <= 0 {
		return []xexporterhelper.Request{&request{records: records, bytes: bytes}}, nil
	}
	weight := func(*record) int { return 1 }
	if sizer == exporterhelper.RequestSizerTypeBytes {
		weight = (*record).size
	}
	var out []xexporterhelper.Request
	from, filled := 0, 0
	for i := range records {
		w := weight(&records[i])
		if i > from && filled+w > maxSize {
			out = append(out, newRequest(records[from:i:i]))
			from, filled = i, 0
		}
		filled += w
	}
	return append(out, newRequest(records[from:])), nil
}
