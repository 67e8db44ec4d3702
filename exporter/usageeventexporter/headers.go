package usageeventexporter

import (
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// The places of the headers whose values differ from record to record: the first
// of every record and, in binary mode, those after it. They are those of the
// binary content mode of the CloudEvents Kafka protocol binding 1.0:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode
const (
	atEventID = iota
	atID
	atSource
	atSubject
	atTime
)

// headerTemplate returns the headers of a record without the values that differ;
// their keys and other values are shared by all records.
func headerTemplate(ce *cloudEvents, own []sarama.RecordHeader) []sarama.RecordHeader {
	template := []sarama.RecordHeader{atEventID: header(headerEventID, "")}
	switch ce.mode {
	case cloudEventsBinary:
		template = append(template, []sarama.RecordHeader{
			atID - 1:      header(cloudEventsPrefix+"id", ""),
			atSource - 1:  header(cloudEventsPrefix+"source", ""),
			atSubject - 1: header(cloudEventsPrefix+"subject", ""),
			atTime - 1:    header(cloudEventsPrefix+"time", ""),
			atTime:        header(cloudEventsPrefix+"specversion", cloudEventsVersion),
			atTime + 1:    header(cloudEventsPrefix+"type", ce.kind),
			atTime + 2:    header(cloudEventsPrefix+"dataschema", ce.schema),
			atTime + 3:    header(headerContentType, contentTypeJSON),
		}...)
	case cloudEventsStructured:
		template = append(template, header(headerContentType, contentTypeCloudEvents))
	}
	return append(template, own...)
}

// ownHeaders returns the headers that the operator puts on every record, in the
// order of their names.
func ownHeaders(c *RecordConfig) []sarama.RecordHeader {
	var own []sarama.RecordHeader
	for _, name := range slices.Sorted(maps.Keys(c.RecordHeaders)) {
		own = append(own, header(name, c.RecordHeaders[name]))
	}
	return own
}

func header(key, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(key), Value: []byte(value)}
}
