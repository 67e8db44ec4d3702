package usageeventexporter

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
)

// What a persistent queue keeps of a request:
//
//	"vuq" 0x01                             magic and version
//	uvarint                                number of records, then of each
//	  text topic, key, value               uvarint length, bytes
//	  varint                               end, unix ns
//	  uvarint; text key, value of each     headers
//	uint32, little endian                  CRC-32C of all before
const (
	encodingMagic    = "vuq\x01"
	encodingChecksum = 4
	// the least bytes that a record and a header can have
	leastRecord = 5
	leastHeader = 2
)

// errCorrupt is what stored bytes are that are not a request.
var errCorrupt = errors.New("corrupt queue item")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, by the library

// requestEncoding is how a persistent queue stores requests.
type requestEncoding struct{}

// Marshal encodes a request. The context is not stored: nothing in it matters
// to Kafka.
func (requestEncoding) Marshal(_ context.Context, r xexporterhelper.Request) ([]byte, error) {
	req, ok := r.(*request)
	if !ok {
		return nil, fmt.Errorf("cannot store a %T as usage events", r)
	}
	return req.append(make([]byte, 0, req.bytes+len(encodingMagic)+encodingChecksum+16)), nil
}

func (r *request) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, encodingMagic...)
	dst = binary.AppendUvarint(dst, uint64(len(r.records)))
	for i := range r.records {
		rec := &r.records[i]
		dst = appendText(dst, rec.topic)
		dst = appendText(dst, rec.key)
		dst = appendText(dst, rec.value)
		dst = binary.AppendVarint(dst, rec.end)
		dst = binary.AppendUvarint(dst, uint64(len(rec.headers)))
		for _, h := range rec.headers {
			dst = appendText(dst, h.Key)
			dst = appendText(dst, h.Value)
		}
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli()))
}

func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Unmarshal is the inverse of Marshal. It keeps a copy of data, not data.
func (requestEncoding) Unmarshal(data []byte) (context.Context, xexporterhelper.Request, error) {
	req, err := decodeRequest(bytes.Clone(data))
	if err != nil {
		return context.Background(), nil, err
	}
	return context.Background(), req, nil
}

// decodeRequest keeps data. Its errors wrap errCorrupt and say where.
func decodeRequest(data []byte) (*request, error) {
	body := len(data) - encodingChecksum
	if body < len(encodingMagic) || string(data[:len(encodingMagic)]) != encodingMagic {
		return nil, fmt.Errorf("%w: %d bytes that do not start with %q", errCorrupt, len(data), encodingMagic)
	}
	if got, want := crc32.Checksum(data[:body], castagnoli()), binary.LittleEndian.Uint32(data[body:]); got != want {
		return nil, fmt.Errorf("%w: the checksum is %08x, want %08x", errCorrupt, got, want)
	}
	d := decoder{data: data[:body], at: len(encodingMagic)}
	records := make([]record, d.count(leastRecord))
	for i := range records {
		rec := &records[i]
		rec.topic = string(d.text())
		if i > 0 && rec.topic == records[i-1].topic {
			rec.topic = records[i-1].topic // one string for all
		}
		rec.key, rec.value, rec.end = d.text(), d.text(), d.varint()
		rec.headers = make([]sarama.RecordHeader, d.count(leastHeader))
		for k := range rec.headers {
			rec.headers[k] = sarama.RecordHeader{Key: d.text(), Value: d.text()}
		}
	}
	if d.err == nil && d.at != len(d.data) {
		d.fail("%d bytes are left over", len(d.data)-d.at)
	}
	if d.err != nil {
		return nil, d.err
	}
	return newRequest(records), nil
}

// decoder reads on after an error, as if nothing followed.
type decoder struct {
	data []byte
	at   int
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: at byte %d: %s", errCorrupt, d.at, fmt.Sprintf(format, args...))
	}
	d.at = len(d.data)
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data[d.at:])
	if n <= 0 {
		d.fail("no number")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data[d.at:])
	if n <= 0 {
		d.fail("no number")
		return 0
	}
	d.at += n
	return v
}

// count reads how many things of at least that many bytes follow, and believes
// it only where there is room for them.
func (d *decoder) count(least int) int {
	n := d.uvarint()
	if room := len(d.data) - d.at; n > uint64(room/least) {
		d.fail("%d announced in %d bytes", n, room)
		return 0
	}
	return int(n) //nolint:gosec // at most the length of data
}

func (d *decoder) text() []byte {
	n := d.count(1)
	s := d.data[d.at : d.at+n : d.at+n]
	d.at += n
	return s
}
