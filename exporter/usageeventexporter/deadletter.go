package usageeventexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// The headers of a dead letter, after those of the record itself. They are what
// `vmusagectl dlq` reads.
const (
	letterPrefix    = "dlq-"
	letterReason    = letterPrefix + "reason"   // of suspicion, or a usage.Reason
	letterError     = letterPrefix + "error"    // text
	letterTopic     = letterPrefix + "topic"    // where the record was to go
	letterAttempts  = letterPrefix + "attempts" // how often it was dead-lettered, this time included
	letterTime      = letterPrefix + "time"     // RFC 3339 in UTC, of this time
	letterContent   = letterPrefix + "content"
	letterSource    = letterPrefix + "source"    // who wrote the letter
	letterTruncated = letterPrefix + "truncated" // how many bytes the value had before it was cut
	letterStripped  = letterPrefix + "stripped"  // how many bytes key and headers had before they were

	contentEvent = "event"     // the bytes of the record
	contentInput = "otlp_json" // a resource with its metrics, of which no event could be made

	letterErrorLimit = 1 << 10
	// strippedLimit is how many bytes key, error and source of a letter may have
	// that is stripped. With its other headers it has 1 KiB at most.
	strippedLimit = 128
)

// deadLetters turns what cannot be delivered into records of the dead-letter
// topic; nil where there is none. Like other records they count only once Kafka
// has acknowledged them.
type deadLetters struct {
	topic  string
	source string
	most   int                   // bytes of a record, as sarama counts them
	own    []sarama.RecordHeader // what the operator puts on every record
}

func newDeadLetters(c *Config, id component.ID) *deadLetters {
	if c.DeadLetter.Topic == "" {
		return nil
	}
	return &deadLetters{
		topic: c.DeadLetter.Topic, source: metadata.Type.String() + "/" + id.String(),
		most: c.Producer.MaxMessageBytes, own: ownHeaders(&c.RecordConfig),
	}
}

// holds reports whether a record is a dead letter.
func (d *deadLetters) holds(r *record) bool { return d != nil && r.topic == d.topic }

// ofRecord returns the letter of a record that Kafka refuses.
func (d *deadLetters) ofRecord(p *poison) record {
	attempts, _ := strconv.Atoi(string(p.headerValue(letterAttempts)))
	own := slices.DeleteFunc(slices.Clone(p.headers), func(h sarama.RecordHeader) bool {
		return bytes.HasPrefix(h.Key, []byte(letterPrefix))
	})
	return d.write(p.key, p.value, own, p.topic, contentEvent, p.reason, p.err, max(attempts, 0)+1)
}

// ofInput returns the letter of a resource of whose usage no event can be made
// because of err; its events were to go to origin. Whatever else the resource
// holds is in it too.
func (d *deadLetters) ofInput(rm pmetric.ResourceMetrics, origin string, err error) record {
	md := pmetric.NewMetrics()
	rm.CopyTo(md.ResourceMetrics().AppendEmpty())
	value, problem := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
	if problem != nil {
		err = errors.Join(err, problem)
	}
	var key []byte
	if id, ok := rm.Resource().Attributes().Get(usage.AttrVMID); ok {
		key = []byte(id.AsString())
	}
	return d.write(key, value, d.own, origin, contentInput, reasonOf(err), err, 1)
}

func (d *deadLetters) write(key, value []byte, headers []sarama.RecordHeader, origin, content, reason string, err error, attempts int) record {
	now := time.Now()
	text := cutText(strings.ReplaceAll(err.Error(), "\n", "; "), letterErrorLimit)
	r := record{
		topic: d.topic, key: key, value: value, end: now.UnixNano(),
		headers: append(slices.Clip(headers),
			header(letterReason, reason),
			header(letterError, text),
			header(letterTopic, origin),
			header(letterAttempts, strconv.Itoa(attempts)),
			header(letterTime, string(appendTime(nil, now.UnixNano()))),
			header(letterContent, content),
			header(letterSource, d.source),
		),
	}
	if over := r.produceSize() - d.most; over > 0 {
		const mark = len(letterTruncated) + 32 // its header, at most
		r.cut(max(len(value)-over-mark, 0))
		if r.produceSize() > d.most {
			r.strip()
		}
	}
	return r
}

// shorter returns the letter with half of its value, for a topic that takes no
// more, and in the end without and stripped; ok is false where there is nothing
// left that could go.
func (d *deadLetters) shorter(letter *record) (r record, ok bool) {
	r = *letter
	r.headers = slices.Clone(letter.headers)
	switch {
	case len(r.value) > 0:
		r.cut(len(r.value) / 2)
	case r.headerValue(letterStripped) == nil:
		r.strip()
	default:
		return record{}, false
	}
	return r, true
}

// strip leaves of a letter what says which event it is of and why there is one.
func (r *record) strip() {
	r.cut(0)
	before := len(r.key)
	for i := range r.headers {
		before += len(r.headers[i].Key) + len(r.headers[i].Value)
	}
	r.key = []byte(cutText(string(r.key), strippedLimit))
	r.headers = slices.DeleteFunc(r.headers, func(h sarama.RecordHeader) bool {
		return string(h.Key) != headerEventID && !bytes.HasPrefix(h.Key, []byte(letterPrefix))
	})
	for i := range r.headers {
		if h := &r.headers[i]; string(h.Key) != letterTopic {
			h.Value = []byte(cutText(string(h.Value), strippedLimit))
		}
	}
	r.headers = append(r.headers, header(letterStripped, strconv.Itoa(before)))
}

// cutText returns what fits of the beginning of text, as valid UTF-8.
func cutText(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// cut keeps n bytes of the value of a letter and says how many there were.
func (r *record) cut(n int) {
	if r.headerValue(letterTruncated) == nil {
		r.headers = append(r.headers, header(letterTruncated, strconv.Itoa(len(r.value))))
	}
	r.value = r.value[:n:n]
}

// A burial is letters that are acknowledged and the records that they are of.
type burial struct{ letters, of []record }

// bury writes letters of what is poison in e by way of send. What then has no
// acknowledged letter is to be sent again: e says so.
func (d *deadLetters) bury(ctx context.Context, send func(context.Context, []record) error, e *publishError) (b burial) {
	// The first header of a letter is its own: it tells letters apart.
	type mark = *sarama.RecordHeader
	origins := map[mark]*poison{}
	var letters []record
	add := func(letter record, origin *poison) {
		origins[&letter.headers[0]] = origin
		letters = append(letters, letter)
	}
	fail := func(letter *record, err error) {
		origin := origins[&letter.headers[0]]
		e.fail(fmt.Errorf("no dead letter in topic %q: %w; why there should be one: %w", d.topic, err, origin.err), origin.record)
	}
	// next tries a letter that is refused once more, shorter, or gives up.
	next := func(letter *record, reason string, err error, origin *poison) {
		if short, ok := d.shorter(letter); ok && reason == reasonTooLarge {
			add(short, origin)
		} else {
			e.fail(fmt.Errorf("no dead letter in topic %q: %w", d.topic, err), origin.record)
		}
	}
	for i := range e.poison {
		if p := &e.poison[i]; d.holds(&p.record) {
			next(&p.record, p.reason, p.err, p)
		} else {
			add(d.ofRecord(p), p)
		}
	}
	e.poison = nil // its array lives on in origins
	for len(letters) > 0 {
		tried := letters
		letters = nil
		err := send(ctx, tried)
		left := map[mark]bool{}
		if p, ok := errors.AsType[*publishError](err); ok {
			for i := range p.failed {
				left[&p.failed[i].headers[0]] = true
				fail(&p.failed[i], p.cause)
			}
			for i := range p.poison {
				r := &p.poison[i]
				left[&r.headers[0]] = true
				next(&r.record, r.reason, r.err, origins[&r.headers[0]])
			}
		} else if err != nil {
			for i := range tried {
				fail(&tried[i], err)
			}
			return b
		}
		for i := range tried {
			if !left[&tried[i].headers[0]] {
				b.letters = append(b.letters, tried[i])
				b.of = append(b.of, origins[&tried[i].headers[0]].record)
			}
		}
	}
	return b
}
