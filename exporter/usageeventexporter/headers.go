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

// headers returns those of CloudEvents and of this exporter.
func (f *form) headers() []sarama.RecordHeader {
	all := []sarama.RecordHeader{atEventID: header(headerEventID, "")}
	switch f.mode {
	case cloudEventsBinary:
		all = append(all, []sarama.RecordHeader{
			atID - 1:      header(cloudEventsPrefix+"id", ""),
			atSource - 1:  header(cloudEventsPrefix+"source", ""),
			atSubject - 1: header(cloudEventsPrefix+"subject", ""),
			atTime - 1:    header(cloudEventsPrefix+"time", ""),
			atTime:        header(cloudEventsPrefix+"specversion", cloudEventsVersion),
			atTime + 1:    header(cloudEventsPrefix+"type", f.kind),
			atTime + 2:    header(cloudEventsPrefix+"dataschema", f.schema),
			atTime + 3:    header(headerContentType, contentTypeJSON),
		}...)
	case cloudEventsStructured:
		all = append(all, header(headerContentType, contentTypeCloudEvents))
	}
	return all
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
