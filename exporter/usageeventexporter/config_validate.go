package usageeventexporter

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/vmusage/otelcol-vmusage/internal/event"
)

const (
	acksAll       = "all"
	acksAllNumber = "-1"
)

// topicName is what Kafka takes for the name of a topic, "." and ".." aside
// (org.apache.kafka.common.internals.Topic).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// Validate says all that is wrong, each with its key, its value and the remedy.
// The sections of the collector's own validate themselves.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if len(c.Brokers) == 0 {
		fail("brokers is empty: name at least one broker as host:port, such as 127.0.0.1:9092")
	}
	for _, b := range c.Brokers {
		if problem := checkAddress(b); problem != "" {
			fail("brokers has %q: %s; write host:port, such as kafka-1.example.com:9092", b, problem)
		}
	}
	if v, err := sarama.ParseKafkaVersion(c.ProtocolVersion); err != nil {
		fail("protocol_version is %q: write a version of Kafka in full, such as 2.1.0 or 3.6.0", c.ProtocolVersion)
	} else if !v.IsAtLeast(sarama.V0_11_0_0) {
		fail("protocol_version is %q: it must be at least 0.11.0.0, the first with headers and idempotent producers", c.ProtocolVersion)
	} else if c.Producer.Compression == "zstd" && !v.IsAtLeast(sarama.V2_1_0_0) {
		fail("producer::compression is zstd and protocol_version %q: zstd needs 2.1.0 or later", c.ProtocolVersion)
	}
	if !isTopic(c.Topic) {
		fail("topic is %q: it must have 1 to 249 of the characters a-z A-Z 0-9 . _ - and be neither . nor ..", c.Topic)
	}
	switch {
	case c.ThresholdTopic == "":
	case !isTopic(c.ThresholdTopic):
		fail("threshold_topic is %q: it must have 1 to 249 of the characters a-z A-Z 0-9 . _ - and be neither . nor .., or be empty for no events about thresholds", c.ThresholdTopic)
	case c.ThresholdTopic == c.Topic:
		fail("threshold_topic is %q, as is topic: name another, such as usage_thresholds, or leave it empty for no events about thresholds", c.ThresholdTopic)
	}
	if _, err := event.ParseVersion(c.SchemaVersion); err != nil {
		fail("schema_version is %q: use %q or %q", c.SchemaVersion, event.V1_0, event.V1_1)
	}
	if problem := checkText(c.TopicFromAttribute, nameLimit); c.TopicFromAttribute != "" && problem != "" {
		fail("topic_from_attribute is %q: %s; name a resource attribute, such as kafka.topic, or leave it empty", shorten(c.TopicFromAttribute), problem)
	}
	if c.Timeout <= 0 {
		fail("timeout is %v: it must be a positive duration such as 10s", c.Timeout)
	}
	return errors.Join(append(errs, c.validateRecords(), c.Auth.validate(), c.DeadLetter.validate(c.Topic, c.ThresholdTopic), c.CircuitBreaker.validate(), c.Metadata.validate(), c.Producer.validate())...)
}

func isTopic(name string) bool { return topicName.MatchString(name) && name != "." && name != ".." }

func (c *DeadLetterConfig) validate(topic, thresholds string) error {
	var errs []error
	switch {
	case c.Topic == "":
	case !isTopic(c.Topic):
		errs = append(errs, fmt.Errorf("dead_letter::topic is %q: it must have 1 to 249 of the characters a-z A-Z 0-9 . _ - and be neither . nor .., or be empty for no dead letters", c.Topic))
	case c.Topic == thresholds:
		errs = append(errs, fmt.Errorf("dead_letter::topic is %q, as is threshold_topic: name another, such as usage_events_dlq", c.Topic))
	case c.Topic == topic:
		errs = append(errs, fmt.Errorf("dead_letter::topic is %q, as is topic: name another, such as usage_events_dlq", c.Topic))
	}
	if c.MaxAttempts < 1 {
		errs = append(errs, fmt.Errorf("dead_letter::max_attempts is %d: it must be at least 1, such as 5", c.MaxAttempts))
	}
	return errors.Join(errs...)
}

func (c *CircuitBreakerConfig) validate() error {
	if !c.Enabled {
		return nil
	}
	var errs []error
	if c.ConsecutiveFailures == 0 {
		errs = append(errs, errors.New("circuit_breaker::consecutive_failures is 0: it must be at least 1, such as 5; circuit_breaker::enabled: false turns the breaker off"))
	}
	if c.OpenInterval <= 0 {
		errs = append(errs, fmt.Errorf("circuit_breaker::open_interval is %v: it must be a positive duration such as 10s", c.OpenInterval))
	}
	if c.HalfOpenRequests == 0 {
		errs = append(errs, errors.New("circuit_breaker::half_open_requests is 0: it must be at least 1"))
	}
	return errors.Join(errs...)
}

// checkAddress says what is wrong with a host:port.
func checkAddress(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "it has no port"
	}
	if host == "" || strings.ContainsAny(host, "/@ \t") {
		return "it has no host"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "the port is not within 1 to 65535"
	}
	return ""
}

func (c *MetadataConfig) validate() error {
	var errs []error
	if c.RefreshInterval < 0 {
		errs = append(errs, fmt.Errorf("metadata::refresh_interval is %v: it must be positive, such as 10m, or 0 for never", c.RefreshInterval))
	}
	if c.Retry.Max < 0 {
		errs = append(errs, fmt.Errorf("metadata::retry::max is %d: it must be 0 or more", c.Retry.Max))
	}
	if c.Retry.Backoff < 0 {
		errs = append(errs, fmt.Errorf("metadata::retry::backoff is %v: it must be 0 or more, such as 250ms", c.Retry.Backoff))
	}
	return errors.Join(errs...)
}

func (c *ProducerConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if limit := int(sarama.MaxRequestSize); c.MaxMessageBytes <= 0 || c.MaxMessageBytes >= limit {
		fail("producer::max_message_bytes is %d: it must be positive and below %d; the brokers' default is 1000000", c.MaxMessageBytes, limit)
	}
	if c.RequiredAcks != acksAll && c.RequiredAcks != acksAllNumber {
		fail("producer::required_acks is %q: use all (or -1); with fewer an acknowledged event can be lost, and the idempotent producer needs all", c.RequiredAcks)
	}
	codec, known := codecs[c.Compression]
	switch level := c.CompressionParams.Level; {
	case !known:
		fail("producer::compression is %q: use none, gzip, snappy, lz4 or zstd", c.Compression)
	case level == 0:
	case codec.levels == 0:
		fail("producer::compression_params::level is %d: %s has no levels; remove it, or use gzip or zstd", level, c.Compression)
	case level < 1 || level > codec.levels:
		fail("producer::compression_params::level is %d: %s has 1 to %d, and 0 for its default", level, c.Compression, codec.levels)
	}
	if c.FlushMaxMessages < 0 {
		fail("producer::flush_max_messages is %d: it must be positive, or 0 for no limit", c.FlushMaxMessages)
	}
	return errors.Join(errs...)
}
