package usageeventexporter

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const (
	// What sarama tries again by itself is short: a leader that moved. All else
	// is for retry_on_failure, which sends only what failed.
	innerRetries = 3
	innerBackoff = 100 * time.Millisecond
)

// A codec is a compression and the highest of its levels, which begin at 1; 0
// where it has none.
type codec struct {
	codec  sarama.CompressionCodec
	levels int
}

var codecs = map[string]codec{
	"none":   {sarama.CompressionNone, 0},
	"gzip":   {sarama.CompressionGZIP, 9},
	"snappy": {sarama.CompressionSnappy, 0},
	"lz4":    {sarama.CompressionLZ4, 0},
	"zstd":   {sarama.CompressionZSTD, 22},
}

var partitioners = map[string]sarama.PartitionerConstructor{
	partitionerMurmur2:    sarama.NewMurmur2Partitioner, // of the key, as the Java client does
	partitionerRoundRobin: sarama.NewRoundRobinPartitioner,
}

// newSaramaConfig returns the configuration of one producer whose connections
// hang on line. c is valid; tlsConfig is nil for plain text, tokens where the
// mechanism has none.
//
// The waits within an attempt are shorter than the attempt, the inner before the
// outer, so that the one that knows the cause ends first and another broker can
// still be asked.
func newSaramaConfig(c *Config, tlsConfig *tls.Config, tokens tokenSource, line *lifeline) (*sarama.Config, error) {
	version, err := sarama.ParseKafkaVersion(c.ProtocolVersion)
	if err != nil {
		return nil, fmt.Errorf("protocol_version: %w", err)
	}
	s := sarama.NewConfig()
	s.Version = version
	s.ClientID = c.ClientID

	s.Net.Proxy.Enable = true // the one way to bring a dialer
	s.Net.Proxy.Dialer = line
	s.Net.MaxOpenRequests = 1 // idempotence needs it
	s.Net.DialTimeout = dialTimeout(c.Timeout)
	s.Net.ReadTimeout = partOf(c.Timeout)
	s.Net.WriteTimeout = partOf(c.Timeout)
	s.Net.ResolveCanonicalBootstrapServers = c.ResolveCanonicalBootstrapServersOnly
	if tlsConfig != nil {
		s.Net.TLS.Enable = true
		s.Net.TLS.Config = tlsConfig
	}
	if sasl := c.Auth.SASL.Get(); sasl != nil {
		s.Net.SASL.Enable = true
		s.Net.SASL.Mechanism = sarama.SASLMechanism(sasl.Mechanism)
		s.Net.SASL.User = sasl.Username
		s.Net.SASL.Password = string(sasl.Password)
		s.Net.SASL.SCRAMClientGeneratorFunc = scramClients(sasl.Mechanism)
		if tokens != nil {
			s.Net.SASL.TokenProvider = &saslTokens{tokens, sasl.Extensions, line, partOf(c.Timeout)}
		}
	}

	s.Metadata.Full = c.Metadata.Full
	s.Metadata.RefreshFrequency = c.Metadata.RefreshInterval
	s.Metadata.Retry.Max = c.Metadata.Retry.Max
	s.Metadata.Retry.BackoffFunc = line.backoff(c.Metadata.Retry.Backoff)
	s.Metadata.Timeout = c.Timeout
	s.Metadata.AllowAutoTopicCreation = c.Producer.AllowAutoTopicCreation

	p := &s.Producer
	p.Idempotent = true
	p.RequiredAcks = sarama.WaitForAll
	p.Return.Successes = true
	p.Return.Errors = true
	p.Timeout = max(c.Timeout/2, time.Millisecond).Truncate(time.Millisecond)
	p.MaxMessageBytes = c.Producer.MaxMessageBytes
	p.Flush.MaxMessages = c.Producer.FlushMaxMessages
	p.Compression = codecs[c.Producer.Compression].codec
	if level := c.Producer.CompressionParams.Level; level != 0 {
		p.CompressionLevel = level
	}
	p.Partitioner = partitioners[c.Partitioner]
	p.Retry.Max = innerRetries
	p.Retry.BackoffFunc = line.backoff(innerBackoff)
	p.Transaction.Retry.Max = innerRetries // of fetching the producer's id
	p.Transaction.Retry.BackoffFunc = line.backoff(innerBackoff)
	return s, s.Validate()
}

// partOf is what one wait may take of an attempt.
func partOf(timeout time.Duration) time.Duration { return max(timeout*2/3, time.Millisecond) }

func dialTimeout(timeout time.Duration) time.Duration { return max(timeout/3, time.Millisecond) }
