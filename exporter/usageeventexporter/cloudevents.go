package usageeventexporter

import (
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/event"
)

const (
	// headerEventID is on every record, so that a consumer can drop repeats
	// without reading the value.
	headerEventID     = "event-id"
	headerContentType = "content-type"

	// cloudEventsPrefix begins the headers that are attributes in binary mode.
	cloudEventsPrefix  = "ce_"
	cloudEventsVersion = "1.0"
	// cloudEventsSchema is followed by the event_type and the schema version: the
	// $id of the JSON Schema.
	cloudEventsSchema = "urn:vmusage:event:"

	contentTypeJSON        = "application/json"
	contentTypeCloudEvents = "application/cloudevents+json"
)

// A form is what the records with events of one type have in common: how they are
// CloudEvents 1.0, and their headers.
//
// There are no extension attributes: the key of the record is what partitionkey
// would say, and sequence is defined per source, where each of many streams counts
// for itself, in its events.
type form struct {
	mode   string
	source string
	kind   string // the attribute "type"
	schema string
	// template is the headers without the values that differ; their keys and other
	// values are shared by all records.
	template []sarama.RecordHeader

	// Of structured mode: the JSON before the id, and between the id and the source.
	beforeID, afterID string
}

func newForm(c *RecordConfig, eventType string, v event.Version) *form {
	f := &form{
		mode:   c.CloudEvents,
		source: c.Source,
		kind:   c.TypePrefix + "." + eventType + ".v1", // the major version of the data
		schema: cloudEventsSchema + eventType + ":" + v.String(),
	}
	f.template = append(f.headers(), ownHeaders(c)...)
	if f.mode == cloudEventsStructured {
		// None of these needs escaping: Validate lets no such character through.
		f.beforeID = `{"specversion":"` + cloudEventsVersion + `","id":"`
		f.afterID = `","type":"` + f.kind + `","datacontenttype":"` + contentTypeJSON + `","dataschema":"` + f.schema + `","source":"`
	}
	return f
}

// sourceOf returns the source of what a host metered: with the event id it is the
// identity of the event, and it never changes for a stream.
func (f *form) sourceOf(host string) string {
	if host == "" {
		return f.source
	}
	separator := "/"
	switch {
	case strings.HasSuffix(f.source, "/"), strings.HasSuffix(f.source, ":"), strings.HasSuffix(f.source, "="):
		separator = ""
	case len(f.source) > 4 && strings.EqualFold(f.source[:4], "urn:"):
		separator = ":"
	}
	return f.source + separator + url.PathEscape(host)
}

// appendBefore appends the CloudEvent in the JSON format up to its data, as the
// structured content mode of the Kafka protocol binding has it for a value:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
// The data and a brace follow.
func (f *form) appendBefore(dst []byte, a *attributes, source []byte) []byte {
	dst = append(dst, f.beforeID...)
	dst = appendUUID(dst, a.id)
	dst = append(dst, f.afterID...)
	dst = append(dst, source...)
	dst = append(dst, `","subject":`...)
	dst = event.AppendString(dst, a.subject)
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, a.at)
	return append(dst, `","data":`...)
}

// idAt returns where in the value the id begins; 0 where the value is the event.
func (f *form) idAt() int { return len(f.beforeID) }

// uuidLength is that of the canonical form.
const uuidLength = 36

// appendUUID appends the canonical form.
func appendUUID(dst []byte, id uuid.UUID) []byte {
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// appendTime appends a unix time in ns as RFC 3339 in UTC.
func appendTime(dst []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(dst, time.RFC3339Nano)
}
