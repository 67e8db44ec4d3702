package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// topic is where usage events go.
const topic = "usage_events"

// broker starts the embedded Kafka; the test stops it where it has not.
func broker(t *testing.T, listen, dir string) *devbroker.Broker {
	t.Helper()
	b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: listen, DataDir: dir, Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// flap stops and starts a broker at random until the returned function is
// called, which leaves one that runs and says how often it was stopped.
func flap(t *testing.T, rng *rand.Rand, listen, dir string, up, down time.Duration) (settle func() (b *devbroker.Broker, stops int)) {
	t.Helper()
	type result struct {
		broker *devbroker.Broker
		stops  int
		err    error
	}
	stop, ended := make(chan struct{}), make(chan result, 1)
	go func() {
		var r result
		defer func() { ended <- r }()
		for {
			r.broker, r.err = devbroker.Start(context.Background(), devbroker.Options{Listen: listen, DataDir: dir, Topics: devbroker.DefaultTopics()})
			if r.err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(upTo(rng, up)):
			}
			if r.err = r.broker.Close(); r.err != nil {
				return
			}
			r.stops++
			select {
			case <-stop:
			case <-time.After(upTo(rng, down)):
			}
		}
	}()
	return func() (*devbroker.Broker, int) {
		t.Helper()
		close(stop)
		r := <-ended
		require.NoError(t, r.err)
		t.Cleanup(func() { _ = r.broker.Close() })
		return r.broker, r.stops
	}
}

// A record is what a Kafka client sees, with the event in it.
type record struct {
	*kgo.Record
	event *event.Event
}

// consumer reads the topic of usage events from its beginning.
type consumer struct{ client *kgo.Client }

func consume(t *testing.T, kafka string) *consumer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &consumer{client}
}

// take reads until enough says so.
func (c *consumer) take(t *testing.T, enough func([]record) bool) []record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []record
	for !enough(got) {
		fetches := c.client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "only %d events came", len(got))
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := event.Decode(r.Value)
			require.NoError(t, err, "%s", r.Value)
			got = append(got, record{r, e})
		})
	}
	return got
}

func atLeast(n int) func([]record) bool {
	return func(rs []record) bool { return len(rs) >= n }
}

// endingAfter is enough once there is an event whose period ended after at.
func endingAfter(at time.Time) func([]record) bool {
	return func(rs []record) bool {
		for _, r := range rs {
			if r.event.Period.End > at.UnixNano() {
				return true
			}
		}
		return false
	}
}

// everything returns all that the broker holds, up to its end.
func everything(t *testing.T, b *devbroker.Broker) []record {
	t.Helper()
	n := int64(0)
	for _, p := range b.Cluster().PartitionInfos(topic) {
		n += p.HighWatermark - p.LogStartOffset
	}
	return consume(t, b.Addr()).take(t, atLeast(int(n)))
}
