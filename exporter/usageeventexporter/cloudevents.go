package usageeventexporter

import (
	"encoding/hex"
	"net/url"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

const (
	// headerEventID is on every record, so that a consumer can drop repeats
	// without reading the value.
	headerEventID = "event-id"

	cloudEventsVersion = "1.0"
	// cloudEventsType is followed by the event_type and the major version of the data.
	cloudEventsType = "com.github.vmusage."
	// cloudEventsSource is followed by the host.id of the machine that metered.
	cloudEventsSource = "urn:vmusage:host"
	// cloudEventsSchema is followed by the event_type and the schema version: the
	// $id of the JSON Schema.
	cloudEventsSchema = "urn:vmusage:event:"
	contentTypeJSON   = "application/json"
)

// The places of the headers whose values differ from record to record. With
// binary they are those of the binary content mode of the CloudEvents Kafka
// protocol binding 1.0:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode
const (
	atEventID = iota
	atID
	atSource
	atSubject
	atTime
)

// headerTemplate returns the headers of a record with an event of a type, without
// the values that differ; their keys and other values are shared by all records.
func headerTemplate(cloudEvents, eventType string, v event.Version) []sarama.RecordHeader {
	template := []sarama.RecordHeader{atEventID: header(headerEventID, "")}
	if cloudEvents != cloudEventsBinary {
		return template
	}
	return append(template, []sarama.RecordHeader{
		atID - 1:      header("ce_id", ""),
		atSource - 1:  header("ce_source", ""),
		atSubject - 1: header("ce_subject", ""),
		atTime - 1:    header("ce_time", ""),
		atTime:        header("ce_specversion", cloudEventsVersion),
		atTime + 1:    header("ce_type", cloudEventsType+eventType+".v1"),
		atTime + 2:    header("ce_dataschema", cloudEventsSchema+eventType+":"+v.String()),
		atTime + 3:    header("content-type", contentTypeJSON),
	}...)
}

func header(key, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(key), Value: []byte(value)}
}

// sourceOf returns the ce_source of what a stream's host metered: with the event
// id it is the identity of the event, and it never changes for a stream.
func sourceOf(s *usage.Stream) string {
	if s.HostID == "" {
		return cloudEventsSource
	}
	return cloudEventsSource + ":" + url.PathEscape(s.HostID)
}

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
