package usageeventexporter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestWhatCanBeAboutARecord(t *testing.T) {
	suspects := map[error]string{
		errTooLarge:                        reasonTooLarge,
		sarama.ErrMessageSizeTooLarge:      reasonTooLarge,
		sarama.ErrMessageSetSizeTooLarge:   reasonTooLarge,
		sarama.ConfigurationError("large"): reasonTooLarge,
		sarama.ErrInvalidRecord:            reasonInvalidRecord,
	}
	for err, want := range suspects {
		reason, suspect := suspicion(fmt.Errorf("wrapped: %w", err))
		assert.True(t, suspect, "%v", err)
		assert.Equal(t, want, reason, "%v", err)
	}
	// Every other code that Kafka has.
	for code := sarama.KError(-1); code < 140; code++ {
		if _, listed := suspects[code]; listed {
			continue
		}
		_, suspect := suspicion(code)
		assert.False(t, suspect, "%v", code)
	}
	for _, err := range []error{errNoAnswer, errStopped, errors.New("any"), sarama.ErrOutOfBrokers} {
		_, suspect := suspicion(err)
		assert.False(t, suspect, "%v", err)
	}
}

// poisonous makes the broker answer INVALID_RECORD, for all records of a batch
// as brokers do, where one of them names an instance "poison".
func poisonous(c *kfake.Cluster) (calls *atomic.Int64) {
	calls = new(atomic.Int64)
	c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		calls.Add(1)
		req := r.(*kmsg.ProduceRequest)
		refused := false
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.Topics {
			name := topic.Topic
			if name == "" {
				name = c.TopicIDInfo(topic.TopicID).Topic
			}
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition = p.Partition
				rp.ErrorCode = kerr.NotEnoughReplicas.Code // what shares the request is sent again
				if name != dlq && bytes.Contains(p.Records, []byte("poison")) {
					refused, rp.ErrorCode = true, kerr.InvalidRecord.Code
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		if refused {
			return resp, nil, true
		}
		return nil, nil, false
	})
	return calls
}

// withPoison returns periods of n instances of which those at are poison.
func withPoison(n int, at ...int) []*usage.Period {
	periods := instances(n)
	for _, i := range at {
		periods[i].Instance.ID = fmt.Sprintf("poison-%d", i)
	}
	return periods
}

func ids(t *testing.T, c *kfake.Cluster) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, r := range consume(t, c, stored(c)) {
		got[string(r.Headers[0].Value)]++
	}
	return got
}

func noDeadLetters(c *Config) {
	noRetry(c)
	c.DeadLetter.Topic = ""
}

func TestOnePoisonRecordHoldsUpNoOther(t *testing.T) {
	for name, at := range map[string][]int{"first": {0}, "last": {99}, "some": {3, 4, 50}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			cluster := kafka(t, 1)
			calls := poisonous(cluster)
			r := start(t, quick(cluster.ListenAddrs(), noDeadLetters))
			err := r.ConsumeMetrics(t.Context(), usageOf(withPoison(100, at...)...))
			assert.Equal(t, 100-len(at), stored(cluster))
			assert.Len(t, ids(t, cluster), 100-len(at), "each once")
			if len(at) == 0 {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, sarama.ErrInvalidRecord)
			require.ErrorContains(t, err, fmt.Sprintf("Kafka did not acknowledge %d of 100 usage events: the event ", len(at)))
			require.ErrorContains(t, err, fmt.Sprintf(` of instance "poison-%d" is refused alone`, at[0]))
			assert.LessOrEqual(t, calls.Load(), int64(10+4*7*len(at)), "about as many as a search needs")
			assert.Len(t, r.lines(), 1, "it is said")
			metadatatest.AssertEqualExporterUsageEventEventsFailed(t, r.tel, count(int64(len(at))), ignore...)
		})
	}
}

// MESSAGE_TOO_LARGE judges a batch: its events may all fit alone.
func TestABatchOverTheTopicsLimit(t *testing.T) {
	const limit = "10000"
	for _, compression := range []string{"none", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			require.NoError(t, err)
			t.Cleanup(cluster.Close)
			require.NoError(t, cluster.CreateTopic("usage_events", 2, map[string]string{"max.message.bytes": limit}))
			r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
				noDeadLetters(c)
				c.Producer.Compression = compression
			}))
			require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(100)...)))
			assert.Equal(t, 100, stored(cluster))
			assert.Len(t, ids(t, cluster), 100)
			assert.Empty(t, r.lines())

			periods := instances(20)
			periods[7].Instance.Name = incompressible(20_000)
			err = r.ConsumeMetrics(t.Context(), usageOf(periods...))
			require.ErrorIs(t, err, sarama.ErrMessageSizeTooLarge)
			require.ErrorContains(t, err, `instance "vm-7" is refused alone: raise max.message.bytes of topic "usage_events"`)
			assert.Equal(t, 119, stored(cluster))
		})
	}
}

// incompressible returns text of n bytes that codecs can do little with.
func incompressible(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; {
		x = x*6364136223846793005 + 1442695040888963407
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>58])
	}
	return b.String()
}

func TestAnEventOverTheProducersLimitIsNotTried(t *testing.T) {
	cluster := kafka(t, 1)
	calls := poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		noDeadLetters(c)
		c.Producer.MaxMessageBytes = 30_000
	}))
	periods := instances(3)
	periods[1].Instance.Name = strings.Repeat("n", 30_000)
	err := r.ConsumeMetrics(t.Context(), usageOf(periods...))
	require.ErrorIs(t, err, errTooLarge)
	require.ErrorContains(t, err, "raise producer::max_message_bytes")
	assert.Equal(t, 2, stored(cluster))
	assert.LessOrEqual(t, calls.Load(), int64(2), "one for each")
}

// A search ends when something else goes wrong; what was found so far holds.
func TestASearchForPoisonEndsWithTheNextTrouble(t *testing.T) {
	calls := 0
	f := &fakeSync{closed: make(chan struct{})}
	f.send = func(m []*sarama.ProducerMessage) error {
		switch calls++; calls {
		case 1, 3:
			return failAll(m, sarama.ErrInvalidRecord)
		case 2:
			return nil
		default:
			return failAll(m, sarama.ErrNotEnoughReplicas)
		}
	}
	p := newProducer(time.Hour, 1000, func(*lifeline) (sarama.SyncProducer, error) { return f, nil })
	defer p.close(patience)
	err := p.send(t.Context(), numbered(0, 4))
	require.ErrorIs(t, err, sarama.ErrNotEnoughReplicas)
	pe, ok := errors.AsType[*publishError](err)
	require.True(t, ok)
	require.Len(t, pe.poison, 1)
	assert.Equal(t, "002", string(pe.poison[0].key))
	require.Len(t, pe.failed, 1)
	assert.Equal(t, "003", string(pe.failed[0].key))
	assert.Equal(t, 4, calls)
}

// What is alone in its call but not in its batch proves nothing.
func TestASingleRecordIsSentAgainBeforeItIsJudged(t *testing.T) {
	calls := 0
	f := &fakeSync{closed: make(chan struct{}), send: func(m []*sarama.ProducerMessage) error {
		if calls++; calls == 1 {
			return failAll(m, sarama.ErrInvalidRecord)
		}
		return nil
	}}
	p := newProducer(time.Hour, 1000, func(*lifeline) (sarama.SyncProducer, error) { return f, nil })
	defer p.close(patience)
	require.NoError(t, p.send(t.Context(), numbered(0, 1)))
	assert.Equal(t, 2, calls)
}
