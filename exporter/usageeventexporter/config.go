package usageeventexporter

import (
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/vmusage/otelcol-vmusage/internal/durations"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// Config of the usage_event exporter. The names are those that Kafka exporters
// of the collector use.
type Config struct {
	// Brokers are the host:port of the brokers to ask first for all others.
	Brokers []string `mapstructure:"brokers"`
	// ClientID is how the brokers' logs and quotas call this client.
	ClientID string `mapstructure:"client_id"`
	// ProtocolVersion is the version of Kafka whose protocol is spoken, at least 0.11.0.
	ProtocolVersion string `mapstructure:"protocol_version"`
	// ResolveCanonicalBootstrapServersOnly replaces Brokers by the canonical
	// names that their addresses have in DNS.
	ResolveCanonicalBootstrapServersOnly bool `mapstructure:"resolve_canonical_bootstrap_servers_only"`

	// Topic is where usage events go.
	Topic string `mapstructure:"topic"`
	// TopicFromAttribute is the resource attribute that names another topic for
	// the usage of a resource; empty: there is none.
	TopicFromAttribute string `mapstructure:"topic_from_attribute"`
	// ThresholdTopic is where events about thresholds go; empty: there are none.
	ThresholdTopic string `mapstructure:"threshold_topic"`
	// SchemaVersion is the version of the events: 1.0 or 1.1.
	SchemaVersion string `mapstructure:"schema_version"`
	// RequireOwner makes dead letters of usage that belongs to nobody.
	RequireOwner bool `mapstructure:"require_owner"`

	RecordConfig `mapstructure:",squash"`

	// DeadLetter is where goes what can never be an event in Topic.
	DeadLetter DeadLetterConfig `mapstructure:"dead_letter"`

	TLS  configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	Auth AuthConfig                                      `mapstructure:"auth"`

	Metadata MetadataConfig `mapstructure:"metadata"`
	Producer ProducerConfig `mapstructure:"producer"`

	// CircuitBreaker keeps attempts from a Kafka that cannot be reached.
	CircuitBreaker CircuitBreakerConfig `mapstructure:"circuit_breaker"`

	// Timeout bounds one attempt to send, from dialing to the acknowledgement,
	// with all that is tried again within.
	Timeout time.Duration `mapstructure:"timeout"`
	// RetryOnFailure tries again what failed before the error goes back to who
	// handed the metrics over.
	RetryOnFailure configretry.BackOffConfig `mapstructure:"retry_on_failure"`
	// SendingQueue is between the pipeline and the producer. While
	// wait_for_result is on it buffers nothing.
	SendingQueue configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
}

// DeadLetterConfig says what becomes of records that Kafka refuses for what is in
// them, and of usage that cannot become an event.
type DeadLetterConfig struct {
	// Topic is where they are written; empty: such records are tried for ever,
	// and such usage is dropped.
	Topic string `mapstructure:"topic"`
	// MaxAttempts is how often an event may be dead-lettered before whoever
	// replays the topic gives up. The exporter counts only.
	MaxAttempts int `mapstructure:"max_attempts"`
}

// CircuitBreakerConfig says when attempts end and begin again.
type CircuitBreakerConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// ConsecutiveFailures is how many attempts in a row open it.
	ConsecutiveFailures uint32 `mapstructure:"consecutive_failures"`
	// OpenInterval is how long there is then no attempt.
	OpenInterval time.Duration `mapstructure:"open_interval"`
	// HalfOpenRequests is how many attempts then must go well, and how many there
	// may be at once until they did.
	HalfOpenRequests uint32 `mapstructure:"half_open_requests"`
}

// MetadataConfig says how brokers, topics and leaders are looked up.
type MetadataConfig struct {
	// Full asks for all topics of the cluster rather than for the one used.
	Full bool `mapstructure:"full"`
	// RefreshInterval is how often it is looked up without need; 0 is never.
	RefreshInterval time.Duration       `mapstructure:"refresh_interval"`
	Retry           MetadataRetryConfig `mapstructure:"retry"`
}

// MetadataRetryConfig is for while a leader is being elected.
type MetadataRetryConfig struct {
	Max     int           `mapstructure:"max"`
	Backoff time.Duration `mapstructure:"backoff"`
}

// ProducerConfig says how records are written.
type ProducerConfig struct {
	// MaxMessageBytes is the most that one record, and one batch before its
	// compression, may have.
	MaxMessageBytes int `mapstructure:"max_message_bytes"`
	// RequiredAcks is all, or -1, which is the same.
	RequiredAcks string `mapstructure:"required_acks"`
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression       string                  `mapstructure:"compression"`
	CompressionParams CompressionParamsConfig `mapstructure:"compression_params"`
	// FlushMaxMessages is the most records in one request; 0 is no limit.
	FlushMaxMessages int `mapstructure:"flush_max_messages"`
	// AllowAutoTopicCreation lets brokers that do so create a missing topic.
	AllowAutoTopicCreation bool `mapstructure:"allow_auto_topic_creation"`
}

// CompressionParamsConfig tunes the compression.
type CompressionParamsConfig struct {
	// Level is 1 to 9 for gzip and 1 to 22 for zstd; 0 is the codec's default.
	Level int `mapstructure:"level"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = 500 * time.Millisecond
	retry.MaxInterval = 5 * time.Second
	retry.MaxElapsedTime = 20 * time.Second

	queue := exporterhelper.NewDefaultQueueConfig()
	queue.WaitForResult = true
	queue.BlockOnOverflow = true
	queue.Batch = configoptional.Default(exporterhelper.NewDefaultBatchConfig()) // off until asked for

	return &Config{
		Brokers:         []string{"127.0.0.1:9092"},
		ClientID:        "otelcol-vmusage",
		ProtocolVersion: "2.1.0",
		Topic:           "usage_events",
		ThresholdTopic:  "usage_thresholds",
		SchemaVersion:   event.V1_1.String(),
		RecordConfig:    defaultRecordConfig(),
		DeadLetter:      DeadLetterConfig{Topic: "usage_events_dlq", MaxAttempts: 5},
		Metadata: MetadataConfig{
			Full:            true,
			RefreshInterval: 10 * time.Minute,
			Retry:           MetadataRetryConfig{Max: 3, Backoff: 250 * time.Millisecond},
		},
		Producer: ProducerConfig{
			MaxMessageBytes: 1_000_000,
			RequiredAcks:    acksAll,
			Compression:     "none",
		},
		Auth: newDefaultAuthConfig(),
		CircuitBreaker: CircuitBreakerConfig{
			Enabled:             true,
			ConsecutiveFailures: 5,
			OpenInterval:        10 * time.Second,
			HalfOpenRequests:    1,
		},
		Timeout:        10 * time.Second,
		RetryOnFailure: retry,
		SendingQueue:   configoptional.Some(queue),
	}
}

// String returns where events go. A Config printed field by field would show
// the secrets in its optional sections.
func (c *Config) String() string {
	return fmt.Sprintf("topic %s of %v", c.Topic, c.Brokers)
}

// Unmarshal takes for text what YAML takes for a number: schema_version: 1.1 and
// producer::required_acks: -1.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := durations.Check(conf, "timeout", "circuit_breaker::open_interval", "auth::sasl::oauthbearer_client_credentials::timeout",
		"auth::sasl::oauthbearer_client_credentials::expiry_buffer", "metadata::refresh_interval", "metadata::retry::backoff",
		"retry_on_failure::initial_interval", "retry_on_failure::max_interval", "retry_on_failure::max_elapsed_time",
		"sending_queue::batch::flush_timeout"); err != nil {
		return err
	}
	text := map[string]any{}
	if v, ok := conf.Get("schema_version").(float64); ok {
		text["schema_version"] = strconv.FormatFloat(v, 'f', 1, 64)
	}
	if v, ok := conf.Get("producer::required_acks").(int); ok {
		text["producer"] = map[string]any{"required_acks": strconv.Itoa(v)}
	}
	if err := conf.Merge(confmap.NewFromStringMap(text)); err != nil {
		return err
	}
	return conf.Unmarshal(c)
}
