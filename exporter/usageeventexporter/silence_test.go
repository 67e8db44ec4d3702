package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// tooLong is far beyond what anything here may take, and far below the minutes
// that sarama alone would take.
const tooLong = 8 * time.Second

// silent returns the address of what accepts and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

func within(t *testing.T, what string, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	assert.Less(t, time.Since(begin), tooLong, what)
}

func TestASilentBrokerTakesTheTimeoutAndNoMore(t *testing.T) {
	r := start(t, quick([]string{silent(t)}, func(c *Config) {
		c.Timeout = 200 * time.Millisecond
		noRetry(c)
	}))
	for range 2 {
		within(t, "an attempt", func() {
			require.Error(t, r.ConsumeMetrics(t.Context(), usageOf(instances(3)...)))
		})
	}
	within(t, "shutdown", func() { require.NoError(t, r.Shutdown(context.Background())) })
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, r.host.statuses())
}

func TestShutdownCancelsWhatIsUnderWay(t *testing.T) {
	addr := silent(t)
	for name, change := range map[string]func(*Config){
		"defaults":     nil,
		"no queue":     func(c *Config) { c.SendingQueue = configoptional.None[exporterhelper.QueueBatchConfig]() },
		"for ever":     func(c *Config) { c.RetryOnFailure.MaxElapsedTime = 0 },
		"nobody waits": func(c *Config) { c.SendingQueue.Get().WaitForResult = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, quick([]string{addr}, func(c *Config) {
				c.Timeout = time.Hour
				if change != nil {
					change(c)
				}
			}))
			result := make(chan error, 1)
			go func() { result <- r.ConsumeMetrics(context.Background(), usageOf(instances(1)...)) }()
			require.Eventually(t, func() bool {
				r.producer.mu.Lock()
				defer r.producer.mu.Unlock()
				return r.producer.current != nil
			}, patience, time.Millisecond, "under way")
			within(t, "shutdown", func() { require.NoError(t, r.Shutdown(context.Background())) })
			within(t, "the offer", func() {
				err := <-result
				if name != "nobody waits" {
					require.ErrorIs(t, err, errStopped)
				}
			})
			require.ErrorIs(t, r.ConsumeMetrics(context.Background(), usageOf(instances(1)...)), errStopped)
			assert.Empty(t, r.host.statuses(), "a shutdown says nothing about Kafka")
			if name == "nobody waits" {
				assert.Equal(t, 1, r.logs.FilterMessageSnippet("Dropping data").Len(), "what is lost is said")
			}
		})
	}
}

// The broker goes silent in the middle: what it had acknowledged counts, the
// next attempt connects anew.
func TestABrokerThatGoesSilent(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		c.Timeout = 500 * time.Millisecond
		noRetry(c)
	}))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(usagetest.Host(1))))
	var silence atomic.Bool
	silence.Store(true)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, nil, silence.Load()
	})
	within(t, "an attempt", func() {
		err := r.ConsumeMetrics(t.Context(), usageOf(usagetest.Host(2)))
		require.ErrorIs(t, err, errNoAnswer)
	})
	silence.Store(false)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(usagetest.Host(2))))
	assert.Equal(t, 2, stored(cluster))
	assert.Len(t, r.lines(), 2)
}

// The caller's own deadline ends the call, not the producer that others use.
func TestACallerThatGivesUp(t *testing.T) {
	cluster := kafka(t, 1)
	held := make(chan struct{})
	reached := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.DropControl()
		close(reached)
		cluster.SleepControl(func() { <-held })
		return nil, nil, false
	})
	r := start(t, quick(cluster.ListenAddrs(), nil))
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.ConsumeMetrics(ctx, usageOf(usagetest.Host(1))) }()
	<-reached
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	assert.Empty(t, r.host.statuses())
	close(held)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(usagetest.Host(2))))
	assert.Empty(t, r.lines())
}

func TestShutdownBeforeStartAndTwice(t *testing.T) {
	e, err := newExporter(context.Background(), metadatatest.NewSettings(telemetry(t)), defaults(nil))
	require.NoError(t, err)
	require.NoError(t, e.Shutdown(context.Background()))
	require.NoError(t, e.Shutdown(context.Background()))

	r := start(t, defaults(nil))
	require.NoError(t, r.Shutdown(context.Background()))
	require.NoError(t, r.Shutdown(context.Background()))
}

func TestQuietCore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failing bool
		loss    bool
		want    []string
	}{
		{"works", false, false, []string{"Exporting failed. Will retry", "Exporting failed. Dropping", "Sender failed"}},
		{"fails", true, false, []string{"Sender failed"}},
		{"fails, and batches are lost", true, true, []string{"Exporting failed. Rejecting", "Exporting failed. Dropping", "Sender failed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			log := zap.New(core, zap.WrapCore(func(c zapcore.Core) zapcore.Core {
				return &quietCore{c, func() bool { return tt.failing }, tt.loss}
			})).With(zap.String("a", "b"))
			log.Debug("Exporting failed. In detail")
			log.Info("Exporting failed. Will retry")
			log.Error("Exporting failed. Rejecting", zap.Error(fmt.Errorf("wrapped: %w", context.Canceled)))
			log.Error("Exporting failed. Dropping", zap.Error(errors.New("any")))
			log.Error("Sender failed")
			var got []string
			for _, e := range logs.All() {
				got = append(got, e.Message)
				assert.Equal(t, "b", e.ContextMap()["a"])
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// fakeSync is a sarama producer that does as told.
type fakeSync struct {
	sarama.SyncProducer
	send   func([]*sarama.ProducerMessage) error
	closed chan struct{}
}

func (f *fakeSync) SendMessages(m []*sarama.ProducerMessage) error { return f.send(m) }

func (f *fakeSync) Close() error {
	close(f.closed)
	return nil
}

// failAll is what sarama returns when every record failed with err.
func failAll(m []*sarama.ProducerMessage, err error) error {
	var each sarama.ProducerErrors
	for _, msg := range m {
		each = append(each, &sarama.ProducerError{Msg: msg, Err: err})
	}
	return each
}

func TestTheProducerIsReplacedWhenItIsOfNoMoreUse(t *testing.T) {
	for name, tt := range map[string]struct {
		err      error
		replaced bool
	}{
		"not enough replicas": {sarama.ErrNotEnoughReplicas, false},
		"too large":           {sarama.ErrMessageSizeTooLarge, false},
		"not authorized":      {sarama.ErrTopicAuthorizationFailed, false},
		"no topic":            {sarama.ErrUnknownTopicOrPartition, true},
		"out of order":        {sarama.ErrOutOfOrderSequenceNumber, true},
		"unknown producer":    {sarama.ErrUnknownProducerID, true},
		"fenced":              {sarama.ErrProducerFenced, true},
		"old epoch":           {sarama.ErrInvalidProducerEpoch, true},
		"no brokers":          {sarama.ErrOutOfBrokers, true},
		"panicked":            {errors.New("anything that is not by record"), false},
	} {
		t.Run(name, func(t *testing.T) {
			var built []*fakeSync
			p := newProducer(time.Hour, 1000, func(*lifeline) (sarama.SyncProducer, error) {
				built = append(built, &fakeSync{closed: make(chan struct{}), send: func(m []*sarama.ProducerMessage) error { return failAll(m, tt.err) }})
				return built[len(built)-1], nil
			})
			defer p.close(time.Second)
			for range 2 {
				require.ErrorIs(t, p.send(t.Context(), numbered(0, 3)), tt.err)
			}
			if tt.replaced {
				require.Len(t, built, 2)
				<-built[0].closed
			} else {
				require.Len(t, built, 1)
			}
		})
	}
}

// A producer is not closed while another attempt uses it: sarama would panic.
func TestAReplacedProducerIsClosedByItsLastUser(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	f := &fakeSync{closed: make(chan struct{})}
	f.send = func(m []*sarama.ProducerMessage) error {
		if len(m) == 1 {
			close(entered)
			<-release
			return nil
		}
		return failAll(m, sarama.ErrOutOfBrokers)
	}
	p := newProducer(time.Hour, 1000, func(*lifeline) (sarama.SyncProducer, error) { return f, nil })
	slow := make(chan error, 1)
	go func() { slow <- p.send(context.Background(), numbered(0, 1)) }()
	<-entered
	require.Error(t, p.send(t.Context(), numbered(0, 2)))
	select {
	case <-f.closed:
		t.Fatal("closed in use")
	default:
	}
	close(release)
	require.NoError(t, <-slow)
	<-f.closed
	p.close(time.Second)
}
