package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
)

func transitions(values map[string]int64) []metricdata.DataPoint[int64] {
	var dps []metricdata.DataPoint[int64]
	for v, n := range values {
		dps = append(dps, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("state", v)), Value: n})
	}
	return dps
}

// answering returns an attempt that gives the answers one by one, and how many
// it gave.
func answering(answers ...error) (attempt func(context.Context, []record) error, attempts *int) {
	attempts = new(int)
	return func(_ context.Context, records []record) error {
		*attempts++
		err := answers[0]
		answers = answers[1:]
		if err == nil || errors.Is(err, context.Canceled) {
			return err
		}
		return &publishError{failed: records, total: len(records), cause: err}
	}, attempts
}

func TestTheCircuit(t *testing.T) {
	tel := telemetry(t)
	builder, err := metadata.NewTelemetryBuilder(tel.NewTelemetrySettings())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var signals []bool
		c := newCircuit(&CircuitBreakerConfig{true, 3, 10 * time.Second, 2}, zap.New(core), builder, func(open bool, why string) {
			signals = append(signals, open)
			if open {
				assert.Contains(t, why, sarama.ErrOutOfBrokers.Error())
			}
		})
		down := sarama.ErrOutOfBrokers
		attempt, attempts := answering(
			down, down, nil, // not in a row
			down, context.Canceled, down, sarama.ErrUnknownTopicOrPartition, // Kafka is there
			down, down, down, // opens
			down, // half open: opens again
			nil, nil, down)
		records := numbered(0, 3)
		send := func() error { return c.send(t.Context(), records, attempt) }
		for range 10 {
			require.NotErrorIs(t, send(), errOpen)
		}
		isOpen := func(left time.Duration) {
			t.Helper()
			begun := *attempts
			for range 3 {
				err := send()
				require.ErrorIs(t, err, errOpen)
				require.ErrorIs(t, err, down, "it says why")
				require.ErrorContains(t, err, fmt.Sprintf("Throttle (%v), error: Kafka did not acknowledge 3 of 3", left+time.Nanosecond))
				pe, ok := errors.AsType[*publishError](err)
				require.True(t, ok)
				require.Len(t, pe.failed, 3)
			}
			require.Equal(t, begun, *attempts, "no attempt")
		}
		isOpen(10 * time.Second)
		time.Sleep(10 * time.Second)
		isOpen(0)
		time.Sleep(time.Nanosecond)
		require.NotErrorIs(t, send(), errOpen, "half open")
		isOpen(10 * time.Second)
		time.Sleep(10*time.Second + time.Nanosecond)
		require.NoError(t, send())
		require.Empty(t, logs.FilterLevelExact(zap.InfoLevel).All())
		require.NoError(t, send(), "two close it")
		require.ErrorIs(t, send(), down)
		require.Equal(t, 14, *attempts)

		var news []string
		for _, e := range logs.All() {
			news = append(news, e.Level.String()+" "+e.Message[len("the circuit breaker to Kafka is "):])
		}
		assert.Equal(t, []string{"warn open", "debug half_open", "debug open", "debug half_open", "info closed"}, news)
		assert.Equal(t, []bool{true, false}, signals, "while Kafka stays away it is open all along")
	})
	metadatatest.AssertEqualExporterUsageEventBreakerState(t, tel, count(0), ignore...)
	metadatatest.AssertEqualExporterUsageEventBreakerTransitions(t, tel, transitions(map[string]int64{"open": 2, "half_open": 2, "closed": 1}), ignore...)
}

// While one attempt finds out, others are told to wait, by their own backoff.
func TestTheCircuitLetsOneTry(t *testing.T) {
	builder, err := metadata.NewTelemetryBuilder(telemetry(t).NewTelemetrySettings())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(&CircuitBreakerConfig{true, 1, time.Second, 1}, zap.NewNop(), builder, func(bool, string) {})
		fails, _ := answering(sarama.ErrOutOfBrokers)
		require.Error(t, c.send(t.Context(), numbered(0, 1), fails))
		time.Sleep(2 * time.Second)
		held, result := make(chan struct{}), make(chan error)
		go func() {
			result <- c.send(t.Context(), numbered(0, 1), func(context.Context, []record) error {
				<-held
				return nil
			})
		}()
		synctest.Wait()
		err := c.send(t.Context(), numbered(1, 1), nil)
		require.ErrorIs(t, err, errOpen)
		require.ErrorContains(t, err, "Throttle (0s)")
		close(held)
		require.NoError(t, <-result)
		works, _ := answering(nil)
		require.NoError(t, c.send(t.Context(), numbered(1, 1), works))
	})
}

func TestWhatOpensTheCircuit(t *testing.T) {
	c := &circuit{}
	for _, err := range []error{errNoAnswer, sarama.ErrOutOfBrokers, sarama.ErrNotEnoughReplicas, sarama.ErrLeaderNotAvailable, sarama.ErrSASLAuthenticationFailed, errors.New("any")} {
		assert.False(t, c.served(&publishError{failed: numbered(0, 2), total: 2, cause: err}), "%v", err)
		assert.True(t, c.served(&publishError{failed: numbered(0, 1), total: 2, cause: err}), "some were acknowledged: %v", err)
	}
	for _, j := range codes {
		for _, err := range j.codes {
			assert.Equal(t, j.serves, c.served(&publishError{failed: numbered(0, 2), total: 2, cause: err}), "%v", err)
		}
	}
	assert.True(t, c.served(&publishError{poison: make([]poison, 2), total: 2}))
}

func breaks(failures uint32, open time.Duration) func(*Config) {
	return func(c *Config) {
		c.Timeout = time.Second
		c.CircuitBreaker = CircuitBreakerConfig{true, failures, open, 1}
	}
}

// An open circuit connects to nothing, and a Kafka that is back is noticed.
func TestTheCircuitOpensAndCloses(t *testing.T) {
	port := freePort(t)
	r := start(t, quick([]string{fmt.Sprintf("127.0.0.1:%d", port)}, func(c *Config) {
		noRetry(c)
		breaks(3, 2*time.Second)(c) // long enough for a slow machine to start Kafka in
	}))
	for range 3 {
		require.NotErrorIs(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)), errOpen)
	}
	metadatatest.AssertEqualExporterUsageEventBreakerState(t, r.tel, count(2), ignore...)
	cluster := kafka(t, 1, kfake.Ports(port))
	refused := 0
	offer(t, r, instances(1)[0], func(int) {
		refused++
		time.Sleep(5 * time.Millisecond) // a real Kafka: no bubble holds it
	})
	assert.Positive(t, refused)
	assert.Equal(t, 1, stored(cluster))
	metadatatest.AssertEqualExporterUsageEventBreakerState(t, r.tel, count(0), ignore...)
	assert.Equal(t, []string{
		publishing + " fails; the next line about it comes when it works again",
		"the circuit breaker to Kafka is open",
		"the circuit breaker to Kafka is closed",
		publishing + " works again",
	}, r.lines())
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, r.host.statuses())
}

// With time left, retry_on_failure waits for the breaker rather than giving up.
func TestRetriesFollowTheCircuitsClock(t *testing.T) {
	port := freePort(t)
	r := start(t, quick([]string{fmt.Sprintf("127.0.0.1:%d", port)}, breaks(2, 500*time.Millisecond)))
	done := make(chan error, 1)
	go func() { done <- r.ConsumeMetrics(context.Background(), usageOf(instances(2)...)) }()
	require.Eventually(t, func() bool { return len(r.lines()) == 2 }, patience, time.Millisecond, "open")
	cluster := kafka(t, 1, kfake.Ports(port))
	require.NoError(t, <-done)
	assert.Equal(t, 2, stored(cluster))
}

// Without, the error goes upstream at once.
func TestAnOpenCircuitDoesNotHoldUpWhoOffers(t *testing.T) {
	r := start(t, quick([]string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}, func(c *Config) {
		breaks(1, time.Hour)(c)
		c.RetryOnFailure.MaxElapsedTime = time.Minute
	}))
	within(t, "an offer", func() {
		require.Error(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
		require.ErrorIs(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)), errOpen)
	})
	within(t, "shutdown", func() { require.NoError(t, r.Shutdown(context.Background())) })
}

func TestPoisonOpensNoCircuit(t *testing.T) {
	cluster := kafka(t, 1)
	poisonous(cluster)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		breaks(1, time.Hour)(c)
		noDeadLetters(c)
	}))
	for range 3 {
		require.ErrorIs(t, r.ConsumeMetrics(t.Context(), usageOf(withPoison(1, 0)...)), sarama.ErrInvalidRecord)
	}
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(5)...)))
	assert.Equal(t, 5, stored(cluster))
}
