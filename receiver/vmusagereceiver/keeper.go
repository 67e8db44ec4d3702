package vmusagereceiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// flushing is what the reporter calls writing to the storage.
const flushing = "storage"

// A keeper makes closed periods durable on a goroutine of its own, so that a
// slow disk delays neither sampling nor what is durable already.
type keeper struct {
	outbox    *outbox.Outbox
	marker    outbox.Store // nil in memory, and once it is marked
	telemetry *telemetry
	health    *health.Reporter
	signals   *signals

	failures int // in a row
	lost     outbox.Counts
}

// run flushes until the sampler is done, and then once more.
func (k *keeper) run(sampling context.Context) {
	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-sampling.Done():
			_ = k.flush() // told
			return
		case <-k.outbox.Dirty():
			// After a failure the timer decides when, not what comes in.
			if k.failures > 0 {
				continue
			}
		case <-timer.C:
		}
		if err := k.flush(); err != nil {
			timer.Reset(backoff(k.failures))
		}
	}
}

// flush is not canceled: what is being written either is or is not.
func (k *keeper) flush() error {
	ctx := context.Background()
	began := time.Now()
	err := k.outbox.Flush(ctx)
	if err == nil && k.marker != nil {
		var marked bool
		if marked, err = k.outbox.Mark(ctx, k.marker, time.Now()); marked {
			k.marker = nil
		}
	}
	k.telemetry.checkpoint(ctx, time.Since(began), err)
	if err != nil {
		k.failures++
		if !errors.Is(err, outbox.ErrDamaged) {
			err = fmt.Errorf("%w; metering goes on in memory, and nothing is handed on that is not written: make room or mend the storage", err)
		}
	} else {
		k.failures = 0
	}
	k.health.Report(flushing, err)
	k.signals.report(signalStorage, "writing", err)
	k.report(ctx)
	return err
}

// report tells of usage that is lost, which only a full or a damaged outbox does.
func (k *keeper) report(ctx context.Context) {
	now := k.outbox.State().Counts
	k.telemetry.outboxCounts(ctx, now, k.lost)
	if n := now.Dropped - k.lost.Dropped; n > 0 {
		k.telemetry.logger.Error("the outbox is full and its oldest periods were given up: their usage is lost; raise outbox::max_bytes, or mend what takes the usage",
			zap.Int64("periods", n))
	}
	if n := now.Joined - k.lost.Joined; n > 0 {
		k.telemetry.logger.Warn("the outbox is full: periods were joined into longer ones, no usage is lost", zap.Int64("periods", n))
	}
	k.lost = now
}
