package follow

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "events"

// within bounds what a test waits for; nothing takes that long when it works.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func broker(t *testing.T, topics ...devbroker.Topic) *devbroker.Broker {
	t.Helper()
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: topics})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

func produce(t *testing.T, addr string, records ...*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.ProduceSync(within(t), records...).FirstErr())
}

func record(partition int32, value string) *kgo.Record {
	return &kgo.Record{Partition: partition, Value: []byte(value)}
}

// collect returns a handler that stops after n records.
func collect(values *[]string, n int) func(*kgo.Record) error {
	return func(r *kgo.Record) error {
		*values = append(*values, string(r.Value))
		if len(*values) == n {
			return ErrStop
		}
		return nil
	}
}

func TestFromBeginning(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 2})
	produce(t, b.Addr(), record(0, "a"), record(0, "b"), record(1, "c"))
	var got []string
	require.NoError(t, Run(within(t), Options{Brokers: []string{b.Addr()}, Topic: topic, FromBeginning: true}, collect(&got, 3)))
	assert.ElementsMatch(t, []string{"a", "b", "c"}, got)
}

func TestFromNowOnMissesNothingAfterReady(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 3})
	produce(t, b.Addr(), record(0, "old"), record(1, "old"))
	var got []string
	err := Run(within(t), Options{
		Brokers: []string{b.Addr()}, Topic: topic,
		Ready: func() { produce(t, b.Addr(), record(0, "new"), record(1, "new"), record(2, "new")) },
	}, collect(&got, 3))
	require.NoError(t, err)
	assert.Equal(t, []string{"new", "new", "new"}, got)
}

func TestTheHandlersErrorEndsIt(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 1})
	produce(t, b.Addr(), record(0, "a"))
	boom := errors.New("boom")
	err := Run(within(t), Options{Brokers: []string{b.Addr()}, Topic: topic, FromBeginning: true}, func(*kgo.Record) error { return boom })
	require.ErrorIs(t, err, boom)
}

func TestIdle(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 1})
	for name, addr := range map[string]string{"nothing in the topic": b.Addr(), "no broker": freeAddr(t)} {
		t.Run(name, func(t *testing.T) {
			err := Run(within(t), Options{Brokers: []string{addr}, Topic: topic, Idle: time.Millisecond}, nil)
			require.ErrorIs(t, err, ErrIdle)
		})
	}
}

func TestCancel(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 1})
	ctx, cancel := context.WithCancel(within(t))
	err := Run(ctx, Options{Brokers: []string{b.Addr()}, Topic: topic, Ready: cancel}, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDrainReadsToTheEndThatItFinds(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 2})
	drain := make(chan struct{})
	var got []string
	err := Run(within(t), Options{
		Brokers: []string{b.Addr()}, Topic: topic, Drain: drain,
		Ready: func() {
			produce(t, b.Addr(), record(0, "a"), record(1, "b"), record(1, "c"))
			close(drain)
		},
	}, collect(&got, 0))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"a", "b", "c"}, got)
}

// TestDrainOfATransaction: the last offsets of its partitions are not records.
func TestDrainOfATransaction(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 1})
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic(topic), kgo.TransactionalID("t"), kgo.DisableClientMetrics())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.BeginTransaction())
	require.NoError(t, c.ProduceSync(within(t), record(0, "a")).FirstErr())
	require.NoError(t, c.EndTransaction(within(t), kgo.TryCommit))
	drain := make(chan struct{})
	var got []string
	err = Run(within(t), Options{
		Brokers: []string{b.Addr()}, Topic: topic, FromBeginning: true, Drain: drain, Ready: func() { close(drain) },
	}, collect(&got, 0))
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, got)
}

func TestDrainOfNothing(t *testing.T) {
	b := broker(t, devbroker.Topic{Name: topic, Partitions: 1})
	drain := make(chan struct{})
	close(drain)
	for _, addr := range []string{b.Addr(), freeAddr(t)} {
		require.NoError(t, Run(within(t), Options{Brokers: []string{addr}, Topic: topic, Drain: drain}, nil))
	}
}

// It waits for a broker, then for the topic, then reads; and it reads on when the
// broker was away. Each is told once, though it is tried many times.
func TestWaitsAndTellsEachChangeOnce(t *testing.T) {
	addr := freeAddr(t)
	dir := t.TempDir()
	start := func(topics ...devbroker.Topic) *devbroker.Broker {
		b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: addr, DataDir: dir, Topics: topics})
		require.NoError(t, err)
		return b
	}
	lines := make(chan string, 100)
	records := make(chan string)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		done <- Run(ctx, Options{
			Brokers: []string{addr}, Topic: topic, FromBeginning: true,
			Notice: func(s string) { lines <- s },
		}, func(r *kgo.Record) error { records <- string(r.Value); return nil })
	}()
	expect := func(parts ...string) {
		t.Helper()
		line := <-lines
		for _, part := range parts {
			assert.Contains(t, line, part)
		}
	}
	expect("waiting for Kafka at "+addr, "refused")
	b := start()
	expect("Kafka at " + addr + " is there")
	expect("waiting for topic events", "does not exist")
	require.NoError(t, b.Cluster().CreateTopic(topic, 1, nil))
	expect("topic events is there")
	produce(t, addr, record(0, "a"))
	assert.Equal(t, "a", <-records)

	require.NoError(t, b.Close())
	expect("waiting for Kafka at " + addr)
	b = start()
	produce(t, addr, record(0, "b"))
	assert.Equal(t, "b", <-records)
	expect("Kafka at " + addr + " is there")

	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	close(lines)
	for line := range lines {
		assert.True(t, strings.HasPrefix(line, "reading"), "said once too often: %s", line)
	}
	require.NoError(t, b.Close())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}
