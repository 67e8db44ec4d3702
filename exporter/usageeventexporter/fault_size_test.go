package usageeventexporter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func limit(bytes string) map[string]string { return map[string]string{"max.message.bytes": bytes} }

func noisyName(p *usage.Period) { p.Instance.Name = incompressible(20_000) }
func longName(p *usage.Period)  { p.Instance.Name = strings.Repeat("n", 20_000) }
func longID(p *usage.Period)    { p.Instance.ID = incompressible(20_000) }

// A broker judges the size of batches, after their compression.
func TestSizes(t *testing.T) {
	for name, tt := range map[string]struct {
		topic, dlq  map[string]string
		compression []string
		most        int // producer::max_message_bytes, the default where 0
		n           int // events, of which the first has an extra
		extra       func(*usage.Period)
		want        kept
	}{
		"a batch whose events all fit alone": {
			topic: limit("10000"), compression: []string{"none", "gzip", "snappy", "lz4", "zstd"},
			n: 100, want: kept{events: 100},
		},
		"a batch with one that does not": {
			topic: limit("10000"), compression: []string{"none", "gzip", "snappy", "lz4", "zstd"},
			n: 100, extra: noisyName, want: kept{events: 99, letters: 1},
		},
		"a batch with one that does when it is compressed": {
			topic: limit("10000"), compression: []string{"gzip", "snappy", "lz4", "zstd"},
			n: 100, extra: longName, want: kept{events: 100},
		},
		"none fits": {
			topic: limit("1000"), compression: []string{"none"}, n: 10, want: kept{letters: 10},
		},
		"one over the producer's limit": {
			most: 10_000, compression: []string{"none", "gzip"}, n: 100, extra: longName, want: kept{events: 99, letters: 1},
		},
		"a letter that is cut": {
			topic: limit("10000"), dlq: limit("4000"), compression: []string{"none", "lz4"},
			n: 10, extra: noisyName, want: kept{events: 9, letters: 1},
		},
		"a letter that is stripped": {
			topic: limit("10000"), dlq: limit("1200"), compression: []string{"none", "lz4"},
			n: 10, extra: longID, want: kept{events: 9, letters: 1},
		},
		"a letter that is stripped before it is tried": {
			most: 10_000, compression: []string{"none"}, n: 10, extra: longID, want: kept{events: 9, letters: 1},
		},
	} {
		for _, codec := range tt.compression {
			t.Run(name+"/"+codec, func(t *testing.T) {
				on := play
				if codec == "zstd" { // sarama keeps encoders in a channel of the process
					on = playLive
				}
				on(t, setting{
					topic: tt.topic, dlq: tt.dlq,
					config: func(c *Config) {
						c.Producer.Compression = codec
						if tt.most > 0 {
							c.Producer.MaxMessageBytes = tt.most
						}
						c.Timeout = 5 * time.Second
					},
				}, func(t *testing.T, s *stage) {
					periods := s.periods(tt.n)
					if tt.extra != nil {
						tt.extra(periods[0])
					}
					d := s.deliver(periods...)
					s.within(patience, d)
					assert.Empty(t, d.refused)
					s.has(tt.want, 0)
				})
			})
		}
	}
}

// A dead-letter topic that takes no letter at all keeps its event unconfirmed,
// and holds up no other. What it keeps is delivered when it takes letters.
func TestADeadLetterTopicThatTakesNothing(t *testing.T) {
	play(t, setting{topic: limit("10000"), dlq: limit("300")}, func(t *testing.T, s *stage) {
		periods := s.periods(10)
		noisyName(periods[3])
		d := s.deliver(periods...)
		time.Sleep(10 * time.Second)
		s.within(time.Second, s.deliver(s.periods(10)...))
		require.False(t, d.confirmed())
		s.has(kept{events: 19}, 0)
		assert.Contains(t, s.rig.logs.All()[0].ContextMap()["error"], `no dead letter in topic "usage_events_dlq": `)
		assert.Contains(t, s.rig.logs.All()[0].ContextMap()["error"], "raise max.message.bytes of topic \"usage_events_dlq\"")
		s.alter(dlq, "max.message.bytes", "1000000")
		s.within(time.Minute, d)
		s.has(kept{events: 19, letters: 1}, 9)
	})
}
