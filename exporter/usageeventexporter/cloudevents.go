package usageeventexporter

import (
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

const (
	// headerEventID is on every record, so that a consumer can drop repeats
	// without reading the value.
	headerEventID     = "event-id"
	headerContentType = "content-type"

	// cloudEventsPrefix begins the headers that are attributes in binary mode.
	cloudEventsPrefix  = "ce_"
	cloudEventsVersion = "1.0"
	// cloudEventsType follows the prefix of the type: what happened, and the major
	// version of its data.
	cloudEventsType = "." + event.TypeResourceUsage + ".v1"
	// cloudEventsSchema is followed by the schema version: the $id of the JSON Schema.
	cloudEventsSchema = "urn:vmusage:event:" + event.TypeResourceUsage + ":"

	contentTypeJSON        = "application/json"
	contentTypeCloudEvents = "application/cloudevents+json"
)

// cloudEvents is what the CloudEvents 1.0 of one exporter have in common.
type cloudEvents struct {
	mode   string
	source string
	kind   string // the attribute "type"
	schema string

	// Of structured mode: the JSON before the id, and between the id and the source.
	beforeID, afterID string
}

func newCloudEvents(c *RecordConfig, v event.Version) *cloudEvents {
	ce := &cloudEvents{
		mode:   c.CloudEvents,
		source: c.Source,
		kind:   c.TypePrefix + cloudEventsType,
		schema: cloudEventsSchema + v.String(),
	}
	// None of these needs escaping: Validate lets no such character through.
	ce.beforeID = `{"specversion":"` + cloudEventsVersion + `","id":"`
	ce.afterID = `","type":"` + ce.kind + `","datacontenttype":"` + contentTypeJSON +
		`","dataschema":"` + ce.schema + `","source":"`
	return ce
}

// sourceOf returns the source of what a stream's host metered: with the event id
// it is the identity of the event, and it never changes for a stream.
func (ce *cloudEvents) sourceOf(s *usage.Stream) string {
	if s.HostID == "" {
		return ce.source
	}
	separator := "/"
	switch {
	case strings.HasSuffix(ce.source, "/"), strings.HasSuffix(ce.source, ":"), strings.HasSuffix(ce.source, "="):
		separator = ""
	case len(ce.source) > 4 && strings.EqualFold(ce.source[:4], "urn:"):
		separator = ":"
	}
	return ce.source + separator + url.PathEscape(s.HostID)
}

// appendStructured appends the CloudEvent of p in the JSON format, as the
// structured content mode of the Kafka protocol binding has it for a value:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
// It returns where in the result the id begins.
//
// There are no extension attributes: the key of the record is what partitionkey
// would say, and sequence is defined per source, where many streams have theirs
// within data.
func (ce *cloudEvents) appendStructured(dst []byte, v event.Version, p *usage.Period, source []byte) (out []byte, id int) {
	dst = append(dst, ce.beforeID...)
	id = len(dst)
	dst = appendUUID(dst, event.ID(p))
	dst = append(dst, ce.afterID...)
	dst = append(dst, source...)
	dst = append(dst, `","subject":`...)
	dst = event.AppendString(dst, p.Instance.ID)
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, p.End)
	dst = append(dst, `","data":`...)
	dst = event.AppendUsage(dst, v, p)
	return append(dst, '}'), id
}

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
