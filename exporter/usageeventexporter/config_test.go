package usageeventexporter

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
)

func defaults(change func(*Config)) *Config {
	c := createDefaultConfig().(*Config)
	if change != nil {
		change(c)
	}
	return c
}

func withSASL(mechanism, user, password string) *Config {
	return defaults(func(c *Config) {
		c.Auth.SASL = configoptional.Some(SASLConfig{Mechanism: mechanism, Username: user, Password: configopaque.String(password)})
	})
}

func TestDefaults(t *testing.T) {
	c := defaults(nil)
	require.NoError(t, confmap.Validate(c))
	assert.Equal(t, []string{"127.0.0.1:9092"}, c.Brokers)
	assert.Equal(t, "usage_events", c.Topic)
	assert.Equal(t, "1.1", c.SchemaVersion)
	assert.Equal(t, DeadLetterConfig{"usage_events_dlq", 5}, c.DeadLetter)
	assert.Equal(t, CircuitBreakerConfig{true, 5, 10 * time.Second, 1}, c.CircuitBreaker)
	assert.Less(t, c.CircuitBreaker.OpenInterval, c.RetryOnFailure.MaxElapsedTime, "what is open now is tried again before it is given up")
	assert.Equal(t, 10*time.Second, c.Timeout)
	assert.Equal(t, 20*time.Second, c.RetryOnFailure.MaxElapsedTime)
	q := c.SendingQueue.Get()
	require.NotNil(t, q)
	assert.True(t, q.WaitForResult)
	assert.True(t, q.BlockOnOverflow)
	assert.False(t, q.Batch.HasValue())
	assert.Nil(t, q.StorageID)
}

func numberedHeaders(n int, value string) map[string]string {
	headers := map[string]string{}
	for i := range n {
		headers[string(rune('a'+i))] = value
	}
	return headers
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"no brokers", func(c *Config) { c.Brokers = nil }, []string{"brokers", "empty", "host:port"}},
		{"broker without a port", func(c *Config) { c.Brokers = []string{"kafka"} }, []string{"brokers", `"kafka"`, "no port", "host:port"}},
		{"broker without a host", func(c *Config) { c.Brokers = []string{":9092"} }, []string{`":9092"`, "no host"}},
		{"broker as a URL", func(c *Config) { c.Brokers = []string{"kafka://k:9092"} }, []string{`"kafka://k:9092"`, "host:port"}},
		{"broker with an impossible port", func(c *Config) { c.Brokers = []string{"k:70000"} }, []string{`"k:70000"`, "65535"}},
		{"no version", func(c *Config) { c.ProtocolVersion = "new" }, []string{"protocol_version", `"new"`, "2.1.0"}},
		{"version too old", func(c *Config) { c.ProtocolVersion = "0.10.2.0" }, []string{"protocol_version", `"0.10.2.0"`, "0.11.0.0"}},
		{"zstd too early", func(c *Config) { c.ProtocolVersion, c.Producer.Compression = "1.0.0", "zstd" }, []string{"producer::compression", "zstd", "2.1.0"}},
		{"no topic", func(c *Config) { c.Topic = "" }, []string{"topic", `""`}},
		{"topic with a slash", func(c *Config) { c.Topic = "a/b" }, []string{"topic", `"a/b"`, "a-z"}},
		{"topic of dots", func(c *Config) { c.Topic = ".." }, []string{"topic", `".."`}},
		{"topic too long", func(c *Config) { c.Topic = fmt.Sprintf("%0250d", 1) }, []string{"topic", "249"}},
		{"dead letters to a topic with a slash", func(c *Config) { c.DeadLetter.Topic = "a/b" }, []string{"dead_letter::topic", `"a/b"`, "empty"}},
		{"violations to a topic with a slash", func(c *Config) { c.ThresholdTopic = "a/b" }, []string{"threshold_topic", `"a/b"`, "empty"}},
		{"violations among the usage", func(c *Config) { c.ThresholdTopic = c.Topic }, []string{"threshold_topic", `"usage_events"`, "name another"}},
		{"dead letters among the violations", func(c *Config) { c.DeadLetter.Topic = c.ThresholdTopic }, []string{"dead_letter::topic", `"usage_thresholds"`, "name another"}},
		{"dead letters among the events", func(c *Config) { c.DeadLetter.Topic = c.Topic }, []string{"dead_letter::topic", `"usage_events"`, "name another"}},
		{"a breaker that opens at nothing", func(c *Config) { c.CircuitBreaker.ConsecutiveFailures = 0 }, []string{"circuit_breaker::consecutive_failures", "0", "at least 1"}},
		{"a breaker that is open for no time", func(c *Config) { c.CircuitBreaker.OpenInterval = 0 }, []string{"circuit_breaker::open_interval", "0s", "10s"}},
		{"a breaker that never closes", func(c *Config) { c.CircuitBreaker.HalfOpenRequests = 0 }, []string{"circuit_breaker::half_open_requests", "0", "at least 1"}},
		{"no attempts", func(c *Config) { c.DeadLetter.MaxAttempts = 0 }, []string{"dead_letter::max_attempts", "0", "at least 1"}},
		{"unknown schema", func(c *Config) { c.SchemaVersion = "2.0" }, []string{"schema_version", `"2.0"`, `"1.0"`, `"1.1"`}},
		{"unknown cloudevents", func(c *Config) { c.CloudEvents = "maybe" }, []string{"cloudevents", `"maybe"`, "binary", "structured", "none"}},
		{"attribute with a space", func(c *Config) { c.TopicFromAttribute = "kafka topic" }, []string{"topic_from_attribute", `"kafka topic"`, "space", "kafka.topic"}},
		{"no source", func(c *Config) { c.Source = "" }, []string{"source", `""`, "empty", "urn:vmusage:host"}},
		{"source with a space", func(c *Config) { c.Source = "urn:my hosts" }, []string{"source", `"urn:my hosts"`, "characters", "urn:vmusage:host"}},
		{"source with a query", func(c *Config) { c.Source = "https://x/?a=b" }, []string{"source", `"https://x/?a=b"`, "without query"}},
		{"source with half an escape", func(c *Config) { c.Source = "urn:x:%2" }, []string{"source", `"urn:x:%2"`}},
		{"source that is no URI", func(c *Config) { c.Source = ":a" }, []string{"source", `":a"`, "URI reference"}},
		{"source too long", func(c *Config) { c.Source = "urn:" + strings.Repeat("x", 509) }, []string{"source", "513 bytes", "512"}},
		{"no type prefix", func(c *Config) { c.TypePrefix = "" }, []string{"type_prefix", `""`, "com.github.vmusage"}},
		{"type prefix of one label", func(c *Config) { c.TypePrefix = "vmusage" }, []string{"type_prefix", `"vmusage"`, "reversed DNS"}},
		{"type prefix with a dot at its end", func(c *Config) { c.TypePrefix = "com.example." }, []string{"type_prefix", `"com.example."`}},
		{"type prefix too long", func(c *Config) { c.TypePrefix = "com." + strings.Repeat("x", 200) }, []string{"type_prefix", "200"}},
		{"unknown partitioner", func(c *Config) { c.Partitioner = "sticky" }, []string{"partitioner", `"sticky"`, "murmur2", "round_robin"}},
		{"header without a name", func(c *Config) { c.RecordHeaders = map[string]string{"": "x"} }, []string{"record_headers", `""`, "empty"}},
		{"header with a line feed", func(c *Config) { c.RecordHeaders = map[string]string{"a\nb": "x"} }, []string{"record_headers", `"a\nb"`, "control"}},
		{"header of the exporter", func(c *Config) { c.RecordHeaders = map[string]string{"Event-ID": "x"} }, []string{"record_headers", `"Event-ID"`, "x-Event-ID"}},
		{"header of CloudEvents", func(c *Config) { c.RecordHeaders = map[string]string{"ce_region": "x"} }, []string{"record_headers", `"ce_region"`, "ce_*"}},
		{"header of the value's type", func(c *Config) { c.RecordHeaders = map[string]string{"content-type": "x"} }, []string{"record_headers", `"content-type"`}},
		{"header of dead letters", func(c *Config) { c.RecordHeaders = map[string]string{"dlq-reason": "x"} }, []string{"record_headers", `"dlq-reason"`, "dlq-*"}},
		{"header that is no text", func(c *Config) { c.RecordHeaders = map[string]string{"a": "\xff"} }, []string{"record_headers::a", `"\xff"`, "UTF-8"}},
		{"too many headers", func(c *Config) { c.RecordHeaders = numberedHeaders(17, "") }, []string{"record_headers", "17", "16"}},
		{"too long headers", func(c *Config) { c.RecordHeaders = numberedHeaders(2, strings.Repeat("x", 2048)) }, []string{"record_headers", "4098 bytes", "4096"}},
		{"no timeout", func(c *Config) { c.Timeout = 0 }, []string{"timeout", "0s", "10s"}},
		{"negative timeout", func(c *Config) { c.Timeout = -time.Second }, []string{"timeout", "-1s"}},
		{"unknown mechanism", func(c *Config) { c.Auth = withSASL("MD5", "u", "secret-x").Auth }, []string{"auth::sasl::mechanism", `"MD5"`, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}},
		{"no user", func(c *Config) { c.Auth = withSASL("PLAIN", "", "secret-x").Auth }, []string{"auth::sasl::username"}},
		{"no password", func(c *Config) { c.Auth = withSASL("PLAIN", "u", "").Auth }, []string{"auth::sasl::password", "env:"}},
		{"a token for a password", func(c *Config) {
			c.Auth = withSASL("PLAIN", "u", "secret-x").Auth
			c.Auth.SASL.Get().TokenFile = "/t"
			c.Auth.SASL.Get().Extensions = map[string]string{"a": "b"}
		}, []string{"auth::sasl::oauthbearer_token_file, oauthbearer_extensions", "PLAIN", "OAUTHBEARER"}},
		{"a password for a token", withToken(func(s *SASLConfig) { s.TokenFile, s.Password = "/t", "secret-x" }), []string{"auth::sasl::username or password", "OAUTHBEARER", "remove them"}},
		{"no token", withToken(func(*SASLConfig) {}), []string{"no token", "oauthbearer_token_file", "oauthbearer_token_source", "oauthbearer_client_credentials"}},
		{"two tokens", withToken(func(s *SASLConfig) {
			s.TokenFile, s.TokenSource = "/t", configoptional.Some(component.MustNewID("oauth2client"))
		}), []string{"oauthbearer_token_file and oauthbearer_token_source", "keep one"}},
		{"the extension that is the token", withToken(func(s *SASLConfig) { s.TokenFile, s.Extensions = "/t", map[string]string{"auth": "x"} }), []string{"oauthbearer_extensions", `"auth"`, "letters"}},
		{"an extension with a digit", withToken(func(s *SASLConfig) { s.TokenFile, s.Extensions = "/t", map[string]string{"a1": "x"} }), []string{"oauthbearer_extensions", `"a1"`, "letters"}},
		{"an extension that ends the message", withToken(func(s *SASLConfig) { s.TokenFile, s.Extensions = "/t", map[string]string{"a": "x\x01y"} }), []string{"oauthbearer_extensions::a", "printable"}},
		{"no URL", withCredentials(func(c *ClientCredentialsConfig) { c.TokenURL = "" }), []string{"token_url is empty", "https://"}},
		{"a URL of another kind", withCredentials(func(c *ClientCredentialsConfig) { c.TokenURL = "file:///token" }), []string{`token_url is "file:///token"`, "https://"}},
		{"a URL that is none", withCredentials(func(c *ClientCredentialsConfig) { c.TokenURL = "https://secret-v\x7f:x y" }), []string{"token_url is no URL"}},
		{"a URL with a password", withCredentials(func(c *ClientCredentialsConfig) { c.TokenURL = "https://u:secret-u@h/token" }), []string{"token_url has a user in it"}},
		{"no client", withCredentials(func(c *ClientCredentialsConfig) { c.ClientID = "" }), []string{"client_id is empty"}},
		{"no client secret", withCredentials(func(c *ClientCredentialsConfig) { c.ClientSecret = "" }), []string{"client_secret is empty", "env:", "client_secret_file"}},
		{"two client secrets", withCredentials(func(c *ClientCredentialsConfig) { c.ClientSecretFile = "/s" }), []string{"client_secret and client_secret_file", "keep one"}},
		{"a parameter twice", withCredentials(func(c *ClientCredentialsConfig) {
			c.EndpointParams = map[string]configopaque.String{"scope": "secret-y"}
		}), []string{`endpoint_params has "scope"`, "remove it"}},
		{"no time for a token", withCredentials(func(c *ClientCredentialsConfig) { c.Timeout = 0 }), []string{"client_credentials::timeout is 0s", "5s"}},
		{"negative buffer", withCredentials(func(c *ClientCredentialsConfig) { c.ExpiryBuffer = -1 }), []string{"client_credentials::expiry_buffer", "5m"}},
		{"negative refresh", func(c *Config) { c.Metadata.RefreshInterval = -1 }, []string{"metadata::refresh_interval"}},
		{"negative retries", func(c *Config) { c.Metadata.Retry.Max = -1 }, []string{"metadata::retry::max", "-1"}},
		{"negative backoff", func(c *Config) { c.Metadata.Retry.Backoff = -1 }, []string{"metadata::retry::backoff"}},
		{"no message size", func(c *Config) { c.Producer.MaxMessageBytes = 0 }, []string{"producer::max_message_bytes", "1000000"}},
		{"message size over the protocol's", func(c *Config) { c.Producer.MaxMessageBytes = 1 << 30 }, []string{"producer::max_message_bytes"}},
		{"acks of the leader only", func(c *Config) { c.Producer.RequiredAcks = "1" }, []string{"producer::required_acks", `"1"`, "all", "lost"}},
		{"unknown compression", func(c *Config) { c.Producer.Compression = "brotli" }, []string{"producer::compression", `"brotli"`, "zstd"}},
		{"level of what has none", func(c *Config) { c.Producer.Compression, c.Producer.CompressionParams.Level = "snappy", 3 }, []string{"compression_params::level", "3", "snappy", "gzip"}},
		{"level too high", func(c *Config) { c.Producer.Compression, c.Producer.CompressionParams.Level = "gzip", 10 }, []string{"compression_params::level", "10", "1 to 9"}},
		{"level too low", func(c *Config) { c.Producer.Compression, c.Producer.CompressionParams.Level = "zstd", -3 }, []string{"compression_params::level", "-3", "1 to 22"}},
		{"negative flush", func(c *Config) { c.Producer.FlushMaxMessages = -1 }, []string{"producer::flush_max_messages", "-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := defaults(tt.change).Validate()
			require.Error(t, err)
			for _, w := range tt.want {
				require.ErrorContains(t, err, w)
			}
			assert.NotContains(t, err.Error(), "secret-")
		})
	}
}

// Whatever passes our rules, sarama takes too.
func TestWhatIsValidSaramaTakes(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"defaults":     nil,
		"oldest":       func(c *Config) { c.ProtocolVersion = "0.11.0.0"; c.ClientID = "a.b" },
		"acks as -1":   func(c *Config) { c.Producer.RequiredAcks = "-1" },
		"gzip":         func(c *Config) { c.Producer.Compression, c.Producer.CompressionParams.Level = "gzip", 9 },
		"zstd":         func(c *Config) { c.Producer.Compression, c.Producer.CompressionParams.Level = "zstd", 22 },
		"lz4":          func(c *Config) { c.Producer.Compression = "lz4" },
		"short":        func(c *Config) { c.Timeout = time.Nanosecond },
		"no retries":   func(c *Config) { c.Metadata.Retry = MetadataRetryConfig{} },
		"flush":        func(c *Config) { c.Producer.FlushMaxMessages = 1 },
		"plain":        func(c *Config) { c.Auth = withSASL("PLAIN", "u", "p").Auth },
		"scram":        func(c *Config) { c.Auth = withSASL("SCRAM-SHA-512", "u", "p").Auth },
		"token file":   withToken(func(s *SASLConfig) { s.TokenFile = "/t" }),
		"token":        withCredentials(nil),
		"IPv6":         func(c *Config) { c.Brokers = []string{"[::1]:9092"} },
		"no breaker":   func(c *Config) { c.CircuitBreaker = CircuitBreakerConfig{} },
		"no letters":   func(c *Config) { c.DeadLetter.Topic = "" },
		"odd topic":    func(c *Config) { c.Topic = "..." },
		"no cloud":     func(c *Config) { c.CloudEvents = "none" },
		"structured":   func(c *Config) { c.CloudEvents = "structured" },
		"round robin":  func(c *Config) { c.Partitioner = "round_robin" },
		"own source":   func(c *Config) { c.Source, c.TypePrefix = "//meter.example.com/a%20b", "io.example-1.x" },
		"many headers": func(c *Config) { c.RecordHeaders = numberedHeaders(16, strings.Repeat("x", 255)) },
		"first schema": func(c *Config) { c.SchemaVersion = "1.0" },
	} {
		t.Run(name, func(t *testing.T) {
			c := defaults(change)
			require.NoError(t, confmap.Validate(c))
			_, err := newSaramaConfig(c, &tls.Config{}, tokenFile("x"), newLifeline(time.Second))
			require.NoError(t, err)
		})
	}
}

func TestUnmarshal(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    map[string]any
		check func(*testing.T, *Config)
		err   string
	}{
		{"numbers for text", map[string]any{"schema_version": 1.0, "producer": map[string]any{"required_acks": -1, "compression": "zstd"}}, func(t *testing.T, c *Config) {
			assert.Equal(t, "1.0", c.SchemaVersion)
			assert.Equal(t, "-1", c.Producer.RequiredAcks)
			assert.Equal(t, "zstd", c.Producer.Compression)
		}, ""},
		{"one more number", map[string]any{"schema_version": 1.1}, func(t *testing.T, c *Config) {
			assert.Equal(t, "1.1", c.SchemaVersion)
		}, ""},
		{"what a record looks like", map[string]any{
			"cloudevents": "structured", "source": "urn:x", "type_prefix": "com.example", "partitioner": "round_robin",
			"record_headers": map[string]any{"X-Region": "eu-1"}, "require_owner": true, "topic_from_attribute": "kafka.topic",
		}, func(t *testing.T, c *Config) {
			assert.Equal(t, RecordConfig{"structured", "urn:x", "com.example", map[string]string{"X-Region": "eu-1"}, "round_robin"}, c.RecordConfig)
			assert.True(t, c.RequireOwner)
			assert.Equal(t, "kafka.topic", c.TopicFromAttribute)
		}, ""},
		{"a section keeps its other defaults", map[string]any{"sending_queue": map[string]any{"queue_size": 5}, "metadata": map[string]any{"retry": map[string]any{"max": 1}}}, func(t *testing.T, c *Config) {
			assert.EqualValues(t, 5, c.SendingQueue.Get().QueueSize)
			assert.True(t, c.SendingQueue.Get().WaitForResult)
			assert.Equal(t, 250*time.Millisecond, c.Metadata.Retry.Backoff)
		}, ""},
		{"client credentials keep their defaults", map[string]any{"auth": map[string]any{"sasl": map[string]any{
			"mechanism": "OAUTHBEARER", "oauthbearer_extensions": map[string]any{"logicalCluster": "lkc-1"},
			"oauthbearer_client_credentials": map[string]any{
				"token_url": "https://h/t", "client_id": "c", "client_secret": "s", "endpoint_params": map[string]any{"audience": "kafka"},
			},
		}}}, func(t *testing.T, c *Config) {
			s := c.Auth.SASL.Get()
			got := s.ClientCredentials.Get()
			assert.Equal(t, 5*time.Second, got.Timeout)
			assert.Equal(t, 5*time.Minute, got.ExpiryBuffer)
			assert.Equal(t, map[string]configopaque.String{"audience": "kafka"}, got.EndpointParams)
			assert.Equal(t, map[string]string{"logicalCluster": "lkc-1"}, s.Extensions, "keys keep their case")
		}, ""},
		{"a token of an extension", map[string]any{"auth": map[string]any{"sasl": map[string]any{"mechanism": "OAUTHBEARER", "oauthbearer_token_source": "oauth2client/kafka"}}}, func(t *testing.T, c *Config) {
			assert.Equal(t, component.MustNewIDWithName("oauth2client", "kafka"), *c.Auth.SASL.Get().TokenSource.Get())
			assert.False(t, c.Auth.SASL.Get().ClientCredentials.HasValue())
		}, ""},
		{"bad time for a token", map[string]any{"auth": map[string]any{"sasl": map[string]any{"oauthbearer_client_credentials": map[string]any{"timeout": "soon"}}}}, nil, "oauthbearer_client_credentials::timeout"},
		{"no queue", map[string]any{"sending_queue": map[string]any{"enabled": false}}, func(t *testing.T, c *Config) {
			assert.False(t, c.SendingQueue.HasValue())
		}, ""},
		{"batches", map[string]any{"sending_queue": map[string]any{"batch": map[string]any{"max_size": 9000}}}, func(t *testing.T, c *Config) {
			assert.EqualValues(t, 9000, c.SendingQueue.Get().Batch.Get().MaxSize)
		}, ""},
		{"unknown key", map[string]any{"broker": "x:1"}, nil, "broker"},
		{"bad duration of a breaker", map[string]any{"circuit_breaker": map[string]any{"open_interval": "soon"}}, nil, "open_interval"},
		{"negative failures", map[string]any{"circuit_breaker": map[string]any{"consecutive_failures": -1}}, nil, "consecutive_failures"},
		{"bad duration", map[string]any{"timeout": "soon"}, nil, "timeout"},
		{"storage waits for nobody", map[string]any{"sending_queue": map[string]any{"storage": "file_storage"}}, nil, "wait_for_result"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := defaults(nil)
			err := confmap.NewFromStringMap(tt.in).Unmarshal(c)
			if err == nil {
				err = confmap.Validate(c)
			}
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			tt.check(t, c)
		})
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	c := withSASL("PLAIN", "u", "secret-x")
	withCredentials(func(cc *ClientCredentialsConfig) {
		cc.ClientSecret, cc.EndpointParams = "secret-y", map[string]configopaque.String{"assertion": "secret-z"}
		cc.TLS.KeyPem = "secret-k"
	})(c)
	c.Auth.SASL.Get().Password = "secret-x"
	require.NotContains(t, fmt.Sprintf("%v %+v %s %+v %+v %+v %+v", c.Auth, c, c, c, c.Auth.SASL.Get(), *c.Auth.SASL.Get(), c.Auth.SASL.Get().ClientCredentials.Get()), "secret-")
	out := confmap.New()
	require.NoError(t, out.Marshal(c))
	assert.NotContains(t, fmt.Sprint(out.ToStringMap()), "secret-")
}

func withCredentials(change func(*ClientCredentialsConfig)) func(*Config) {
	return func(c *Config) {
		cc := *c.Auth.SASL.GetOrInsertDefault().ClientCredentials.GetOrInsertDefault()
		cc.TokenURL, cc.ClientID, cc.ClientSecret = "https://issuer.example.com/token", "meter", "secret-x"
		if change != nil {
			change(&cc)
		}
		withToken(func(s *SASLConfig) { s.ClientCredentials = configoptional.Some(cc) })(c)
	}
}
