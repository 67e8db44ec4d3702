//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package usageeventexporter is the collector exporter usage_event: it turns the
// usage periods and threshold violations among the metrics that it is given into
// events and publishes them to Kafka. It says yes only when Kafka did.
//
// The way of a batch:
//
//	scan     what is neither is counted and dropped; where there is nothing else that is all
//	convert  each period and violation becomes a record: topic, key, headers,
//	         the JSON, time
//	queue    exporterhelper's: waits for the result unless told otherwise
//	retry    exporterhelper's: only the records that failed, for a short while
//	circuit  answers at once while Kafka is known to be away
//	publish  one attempt: a sarama producer, bounded by timeout as a whole
//	bisect   what Kafka refuses is sent in halves until each record is alone
//	bury     what it refuses alone becomes a dead letter; what cannot become a
//	         record did so when it was converted
package usageeventexporter
