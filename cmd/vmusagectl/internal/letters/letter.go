// Package letters reads dead letters and decides which of them may go back to
// the topic that they were meant for.
package letters

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers that the exporter puts after those of the record itself.
const (
	prefix = "dlq-"

	headerReason    = prefix + "reason"    // free text, one word: message_too_large
	headerError     = prefix + "error"     // free text
	headerTopic     = prefix + "topic"     // the origin: where the record was to go
	headerAttempts  = prefix + "attempts"  // decimal, at least 1
	headerTime      = prefix + "time"      // RFC 3339
	headerContent   = prefix + "content"   // ContentEvent or ContentInput
	headerTruncated = prefix + "truncated" // decimal: how long the value was before it was cut; absent where it is whole
	headerSource    = prefix + "source"
)

// What a letter's value is.
const (
	ContentEvent = "event"     // the bytes of the record that could not be written
	ContentInput = "otlp_json" // what no event could be made of, as OTLP JSON
)

// A Position is where a letter is in the dead-letter topic.
type Position struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// String returns the form that [ParsePosition] reads: "0/17".
func (p Position) String() string { return fmt.Sprintf("%d/%d", p.Partition, p.Offset) }

// Compare orders positions by partition, then by offset.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Offset, q.Offset))
}

// ParsePosition reads "partition/offset".
func ParsePosition(s string) (Position, error) {
	partition, offset, _ := strings.Cut(s, "/")
	p, err1 := strconv.ParseUint(partition, 10, 31)
	o, err2 := strconv.ParseUint(offset, 10, 63)
	if err1 != nil || err2 != nil {
		return Position{}, fmt.Errorf("%q is no position: want PARTITION/OFFSET, such as 0/17", s)
	}
	return Position{int32(p), int64(o)}, nil
}

// A Letter is what a dead letter says about itself. It holds none of the
// record's bytes, so that a whole topic of them fits in memory.
type Letter struct {
	Position
	Time      time.Time `json:"time"`     // UTC: when it was dead-lettered, or where it does not say, when it was written
	Instance  string    `json:"instance"` // the key; may be empty
	EventID   string    `json:"event_id,omitempty"`
	Reason    string    `json:"reason"`
	Error     string    `json:"error,omitempty"`
	Topic     string    `json:"origin"`
	Attempts  *int64    `json:"attempts,omitempty"` // at least 1; nil where it does not say
	Content   string    `json:"content"`
	Source    string    `json:"source,omitempty"`
	Size      int       `json:"size"` // of the value as it is here, in bytes
	Truncated bool      `json:"truncated,omitempty"`
	FullSize  *int64    `json:"full_size,omitempty"` // of the value before it was cut; nil where it is whole or does not say
	// Problems are what makes this no proper dead letter: it is then only looked at.
	Problems []string `json:"problems,omitempty"`
}

// Decode reads a record of the dead-letter topic. It always returns a letter:
// what is wrong with it is in [Letter.Problems]. Of a header that is there several
// times the last counts, because the exporter's are after the record's own.
func Decode(r *kgo.Record) *Letter {
	d := decoder{record: r, letter: &Letter{
		Position: Position{r.Partition, r.Offset},
		Instance: string(r.Key),
		Size:     len(r.Value),
	}}
	l := d.letter
	l.Reason = d.required(headerReason)
	l.Error, _ = header(r, headerError)
	l.Topic = d.required(headerTopic)
	l.Attempts = d.count(headerAttempts, d.required(headerAttempts))
	l.Source, _ = header(r, headerSource)
	d.time()
	d.content()
	if size, ok := header(r, headerTruncated); ok {
		l.Truncated, l.FullSize = true, d.count(headerTruncated, size)
	}
	return l
}

// A decoder notes in a letter what is wrong with its record.
type decoder struct {
	record *kgo.Record
	letter *Letter
}

func (d *decoder) problem(format string, args ...any) {
	d.letter.Problems = append(d.letter.Problems, fmt.Sprintf(format, args...))
}

func (d *decoder) required(key string) string {
	value, _ := header(d.record, key)
	if value == "" {
		d.problem("header %s is missing", key)
	}
	return value
}

// count reads a number that is at least 1. An empty one was told by required.
func (d *decoder) count(key, value string) *int64 {
	if value == "" && key == headerAttempts {
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || n == 0 {
		d.problem("header %s is %q, want a decimal number from 1", key, value)
		return nil
	}
	return new(int64(n))
}

// time takes the time of the record where the letter says none: a letter that
// has no other fault is not refused for it.
func (d *decoder) time() {
	d.letter.Time = utc(d.record.Timestamp)
	value, ok := header(d.record, headerTime)
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		d.problem("header %s is %q, want RFC 3339", headerTime, value)
		return
	}
	d.letter.Time = utc(at)
}

// utc returns a time that JSON can hold, the zero one for those that it cannot: a
// record's timestamp is any number.
func utc(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func (d *decoder) content() {
	l := d.letter
	switch l.Content = d.required(headerContent); l.Content {
	case ContentEvent:
		l.EventID = EventID(d.record)
	case "", ContentInput:
		l.EventID = headerID(d.record)
	default:
		l.EventID = headerID(d.record)
		d.problem("header %s is %q, want %s or %s", headerContent, l.Content, ContentEvent, ContentInput)
	}
}

// header returns the last header with a key.
func header(r *kgo.Record, key string) (value string, ok bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if h := &r.Headers[i]; h.Key == key {
			return string(h.Value), true
		}
	}
	return "", false
}
