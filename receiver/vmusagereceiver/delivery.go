package vmusagereceiver

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/health"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	// inARow is after how many refusals of different chunks all others wait, too:
	// up to then each may have been refused for a reason of its own.
	inARow = 3
)

// delivery offers closed periods until the pipeline takes them.
type delivery struct {
	*handover
	outbox  *outbox.Outbox
	durable bool // what is not confirmed is offered by the next process
	health  *health.Reporter
	signals *signals
	clock   func() reading.Instant
	jitter  time.Duration // see Config.Jitter

	failures int // in a row
}

// jitterOf is a host's own share of the configured jitter.
func jitterOf(host string, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(host))
	return time.Duration(h.Sum64() % uint64(jitter)) //nolint:gosec // below jitter
}

// run offers until the sampler is done (an offer under way is then canceled),
// and then, when the keeper has ended, too, once more what is left.
func (d *delivery) run(sampling, keeping context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-sampling.Done():
			select {
			case <-keeping.Done():
				d.flush()
			case <-time.After(flushTimeout): // the storage hangs
				d.tellLeft()
			}
			return
		case <-d.outbox.Wake():
			// Closed just now. In a backoff the timer decides, not the news.
			if d.failures == 0 {
				timer.Reset(d.jitter)
			}
		case <-timer.C:
			if wait := d.offerAll(sampling); wait > 0 {
				timer.Reset(wait)
			}
		}
	}
}

// offerAll offers chunk after chunk and returns when to try again, or 0 when
// the outbox is empty. After a refusal the others get their turn first.
func (d *delivery) offerAll(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		chunk, wait := d.outbox.Next(d.now())
		if chunk == nil {
			d.failures = 0 // nothing to back off from: what comes in next is offered
			return min(wait, maxBackoff)
		}
		if d.offer(ctx, chunk, offerTimeout) {
			d.failures = 0
		} else if d.failures++; d.failures >= inARow {
			return backoff(d.failures - inARow + 1)
		}
	}
	return 0
}

// offer hands one chunk over and reports whether the pipeline took it. The
// metrics are built anew for each offer: the pipeline owns what it was given.
func (d *delivery) offer(ctx context.Context, c *outbox.Chunk, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	periods, err := d.outbox.Load(ctx, c)
	if !errors.Is(err, context.Canceled) { // else the collector ends
		d.signals.report(signalStorage, "reading", err)
	}
	if err != nil {
		return d.unreadable(c, err)
	}
	md := pmetric.NewMetrics()
	md.ResourceMetrics().EnsureCapacity(len(periods))
	for i := range periods {
		usage.AppendPeriod(md.ResourceMetrics(), &periods[i])
	}
	err = d.give(ctx, md, md.DataPointCount())
	if err != nil {
		d.health.Report("delivery", err)
		d.telemetry.offers(ctx, "refused")
		d.outbox.Refuse(c, d.now().Add(backoff(c.Refused()+1)))
		return false
	}
	d.health.Report("delivery", nil)
	d.telemetry.offers(ctx, "confirmed")
	d.outbox.Confirm(c)
	return true
}

// unreadable tells of a chunk that the storage does not give back. One that is
// damaged is gone; any other is tried again.
func (d *delivery) unreadable(c *outbox.Chunk, err error) bool {
	if errors.Is(err, outbox.ErrDamaged) {
		d.telemetry.logger.Error("closed periods in the storage are damaged and their usage is lost; the value was set aside under corrupt/", zap.Error(err))
		return true
	}
	d.health.Report("delivery", err)
	d.outbox.Refuse(c, d.now().Add(backoff(c.Refused()+1)))
	return false
}

// flush offers what is left until one is refused or flushTimeout has passed, and
// says what remains. The keeper has ended: what was parked is unparked here.
func (d *delivery) flush() {
	deadline := time.Now().Add(flushTimeout)
	unparked := false
	for {
		left := time.Until(deadline)
		chunk, _ := d.outbox.Next(d.now().Add(maxBackoff * 2))
		switch {
		case chunk != nil && left > 0 && d.offer(context.Background(), chunk, left):
			unparked = false
		case chunk == nil && left > 0 && !unparked && d.outbox.Flush(context.Background()) == nil:
			unparked = true
		default:
			d.tellLeft()
			return
		}
	}
}

// now is the time of the outbox: that of CLOCK_BOOTTIME, which nobody sets.
func (d *delivery) now() time.Time { return time.Unix(0, d.clock().Boot) }

func (d *delivery) tellLeft() {
	s := d.outbox.State()
	if s.Periods == 0 {
		return
	}
	fields := []zap.Field{zap.Int("periods", s.Periods), zap.Time("oldest", time.Unix(0, s.Oldest))}
	if d.durable {
		d.telemetry.logger.Info("usage was not confirmed when the collector ended; it is in the storage and offered again at the next start", fields...)
		return
	}
	d.telemetry.logger.Error("usage was closed but not confirmed when the collector ended, and is lost", fields...)
}

// backoff grows with failures and is spread, so that a fleet does not return
// all at once.
func backoff(failures int) time.Duration {
	d := min(minBackoff<<min(max(failures-1, 0), 10), maxBackoff)
	return d/2 + rand.N(d/2) //nolint:gosec // spreads load, keeps no secret
}
