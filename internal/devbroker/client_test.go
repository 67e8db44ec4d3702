package devbroker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds what a test waits for; nothing takes that long when it works.
const patience = 30 * time.Second

func start(t *testing.T, o Options) *Broker {
	t.Helper()
	o.Logf = t.Logf
	b, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(addr),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}, opts...)
	c, err := kgo.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// produce writes one record for each value, acknowledged by the broker.
func produce(t *testing.T, addr, topic string, values ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := client(t, addr, kgo.DefaultProduceTopic(topic))
	for _, v := range values {
		r := &kgo.Record{Key: []byte("vm"), Value: []byte(v), Headers: []kgo.RecordHeader{{Key: "event-id", Value: []byte(v)}}}
		require.NoError(t, c.ProduceSync(ctx, r).FirstErr())
	}
	c.Close()
}

// consume reads the first n records of a topic and checks that there is none after.
func consume(t *testing.T, b *Broker, topic string, n int) []string {
	t.Helper()
	var there int64
	for _, p := range b.Cluster().PartitionInfos(topic) {
		there += p.HighWatermark
	}
	require.EqualValues(t, n, there, "records in %s", topic)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := client(t, b.Addr(), kgo.ConsumeTopics(topic))
	var values []string
	for len(values) < n {
		fetches := c.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		for r := range fetches.RecordsAll() {
			require.Equal(t, "vm", string(r.Key))
			require.Equal(t, string(r.Value), string(r.Headers[0].Value))
			values = append(values, string(r.Value))
		}
	}
	c.Close()
	return values
}
