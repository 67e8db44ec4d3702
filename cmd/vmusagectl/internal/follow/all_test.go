package follow

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

const other = "others"

func both(t *testing.T) *devbroker.Broker {
	t.Helper()
	return broker(t, devbroker.Topic{Name: topic, Partitions: 1}, devbroker.Topic{Name: other, Partitions: 2})
}

func of(topic, value string) *kgo.Record { return &kgo.Record{Topic: topic, Value: []byte(value)} }

func TestAllTopics(t *testing.T) {
	b := both(t)
	produce(t, b.Addr(), of(topic, "a"), of(other, "b"), of(topic, "c"))
	var got []string
	o := Options{Brokers: []string{b.Addr()}, FromBeginning: true}
	require.NoError(t, RunAll(within(t), []string{topic, other}, o, collect(&got, 3)))
	assert.ElementsMatch(t, []string{"a", "b", "c"}, got)
	got = nil
	require.NoError(t, RunAll(within(t), []string{other}, o, collect(&got, 1)))
	assert.Equal(t, []string{"b"}, got)
}

func TestAllAreReadyAtOnceAndDrained(t *testing.T) {
	b := both(t)
	produce(t, b.Addr(), of(topic, "old"), of(other, "old"))
	drain := make(chan struct{})
	var got []string
	err := RunAll(within(t), []string{topic, other}, Options{
		Brokers: []string{b.Addr()}, Drain: drain,
		Ready: func() {
			produce(t, b.Addr(), of(topic, "a"), of(other, "b"))
			close(drain)
		},
	}, collect(&got, 0))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"a", "b"}, got)
}

func TestOneOfAllEndsThem(t *testing.T) {
	b := both(t)
	produce(t, b.Addr(), of(other, "a"))
	boom := errors.New("boom")
	o := Options{Brokers: []string{b.Addr()}, FromBeginning: true}
	err := RunAll(within(t), []string{topic, other}, o, func(*kgo.Record) error { return boom })
	require.ErrorIs(t, err, boom)

	o.Idle = time.Millisecond
	require.ErrorIs(t, RunAll(within(t), []string{topic, "missing"}, o, func(*kgo.Record) error { return nil }), ErrIdle)

	ctx, cancel := context.WithCancel(within(t))
	o = Options{Brokers: []string{b.Addr()}, Ready: cancel}
	require.ErrorIs(t, RunAll(ctx, []string{topic, other}, o, nil), context.Canceled)
}

func TestWhatAllWaitForIsSaidOnce(t *testing.T) {
	addr := freeAddr(t)
	lines := make(chan string, 100)
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() {
		done <- RunAll(ctx, []string{topic, other}, Options{Brokers: []string{addr}, Notice: func(s string) { lines <- s }}, nil)
	}()
	assert.Contains(t, <-lines, "waiting for Kafka at "+addr)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	close(lines)
	for line := range lines {
		assert.False(t, strings.HasPrefix(line, "waiting"), line)
	}
}
