package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
)

// errOpen is the answer without an attempt.
var errOpen = errors.New("the circuit breaker is open: there is no attempt to reach Kafka")

// A circuit keeps attempts from a Kafka that cannot be reached; nil lets all
// through.
//
//	closed    --consecutive_failures--> open
//	open      --open_interval---------> half open, with the next attempt
//	half open --half_open_requests----> closed, when that many went well
//	half open --one failure-----------> open
type circuit struct {
	breaker *gobreaker.CircuitBreaker[struct{}]
	open    time.Duration
	logger  *zap.Logger
	builder *metadata.TelemetryBuilder
	opened  func(open bool, why string) // is told when it opens and when it closes again

	// mu is taken with the breaker's own lock held; never the other way round.
	mu     sync.Mutex
	reopen time.Time // when the breaker that is open lets the next attempt through
	last   error     // of the last failure
}

func newCircuit(c *CircuitBreakerConfig, logger *zap.Logger, b *metadata.TelemetryBuilder, opened func(open bool, why string)) *circuit {
	if !c.Enabled {
		return nil
	}
	ci := &circuit{open: c.OpenInterval, logger: logger, builder: b, opened: opened}
	ci.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: c.HalfOpenRequests,
		Timeout:     c.OpenInterval,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= c.ConsecutiveFailures },
		IsExcluded: func(err error) bool {
			return errors.Is(err, errStopped) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		},
		IsSuccessful:  ci.served,
		OnStateChange: ci.changed,
	})
	b.ExporterUsageEventBreakerState.Record(context.Background(), int64(gobreaker.StateClosed))
	return ci
}

// served reports whether an attempt reached Kafka, whatever Kafka said to it.
func (c *circuit) served(err error) bool {
	if err == nil {
		return true
	}
	cause := err
	if p, ok := errors.AsType[*publishError](err); ok {
		if len(p.failed) < p.total || isAnswer(p.cause) {
			return true
		}
		cause = p.cause // the error itself still changes: letters are added to it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = cause
	return false
}

// send makes an attempt for records, or fails at once while the circuit is open.
func (c *circuit) send(ctx context.Context, records []record, attempt func(context.Context, []record) error) error {
	if c == nil {
		return attempt(ctx, records)
	}
	_, err := c.breaker.Execute(func() (struct{}, error) { return struct{}{}, attempt(ctx, records) })
	if !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests) {
		return err
	}
	left, last := c.state()
	return exporterhelper.NewThrottleRetry(&publishError{
		failed: records, total: len(records),
		cause: fmt.Errorf("%w for another %v; the last failure: %w", errOpen, left.Round(time.Millisecond), last),
	}, left)
}

// state returns how long the circuit stays open, 0 while another attempt finds
// out whether it may close, and why it is open.
func (c *circuit) state() (left time.Duration, last error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(time.Until(c.reopen), 0), c.last
}

// changed is called by the breaker with its lock held. While Kafka stays away
// open and half open take turns, which is no news for the log.
func (c *circuit) changed(_ string, from, to gobreaker.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == gobreaker.StateOpen {
		c.reopen = time.Now().Add(c.open + time.Nanosecond) // the breaker's clock must be past it
	}
	ctx := context.Background()
	c.builder.ExporterUsageEventBreakerState.Record(ctx, int64(to))
	c.builder.ExporterUsageEventBreakerTransitions.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("state", stateNames[to]))))
	log := c.logger.Debug
	switch {
	case from == gobreaker.StateClosed:
		log = c.logger.Warn
		c.opened(true, fmt.Sprint(c.last))
	case to == gobreaker.StateClosed:
		log = c.logger.Info
		c.opened(false, "")
	}
	log("the circuit breaker to Kafka is "+stateNames[to], zap.String("was", stateNames[from]), zap.Duration("open_interval", c.open))
}

var stateNames = map[gobreaker.State]string{
	gobreaker.StateClosed: "closed", gobreaker.StateHalfOpen: "half_open", gobreaker.StateOpen: "open",
}
