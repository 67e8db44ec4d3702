package vmusagereceiver

import (
	"context"
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
)

// delivery offers closed periods until the pipeline takes them.
type delivery struct {
	*handover
	outbox *outbox.Outbox
	health *health.Reporter
	clock  func() reading.Instant
	jitter time.Duration // see Config.Jitter

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

// run offers until the sampler is done (an offer under way is then cancelled),
// and then once more what is left.
func (d *delivery) run(sampling context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-sampling.Done():
			d.flush()
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
		chunk, wait := d.outbox.Next(wall(d.clock()))
		if chunk == nil {
			return wait
		}
		if !d.offer(ctx, chunk, offerTimeout) {
			d.failures++
			return backoff(d.failures)
		}
		d.failures = 0
	}
	return 0
}

// offer hands one chunk over and reports whether the pipeline took it. The
// metrics are built anew for each offer: the pipeline owns what it was given.
func (d *delivery) offer(ctx context.Context, c *outbox.Chunk, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	md := pmetric.NewMetrics()
	md.ResourceMetrics().EnsureCapacity(len(c.Periods))
	for i := range c.Periods {
		usage.AppendPeriod(md.ResourceMetrics(), &c.Periods[i])
	}
	err := d.give(ctx, md, md.DataPointCount())
	if err != nil {
		d.health.Report("delivery", err)
		d.telemetry.offers(ctx, "refused")
		d.outbox.Refuse(c, wall(d.clock()).Add(backoff(c.Refused()+1)))
		return false
	}
	d.health.Report("delivery", nil)
	d.telemetry.offers(ctx, "confirmed")
	d.outbox.Confirm(c)
	return true
}

// flush offers every chunk that is left once, within flushTimeout, and says
// what remains: with the ledger in memory that usage is lost.
func (d *delivery) flush() {
	deadline := time.Now().Add(flushTimeout)
	for {
		left := time.Until(deadline)
		chunk, _ := d.outbox.Next(wall(d.clock()).Add(maxBackoff * 2))
		if chunk == nil {
			return
		}
		if left <= 0 || !d.offer(context.Background(), chunk, left) {
			s := d.outbox.State()
			d.telemetry.logger.Error("usage was closed but not confirmed when the collector ended, and is lost",
				zap.Int("periods", s.Periods), zap.Time("oldest", time.Unix(0, s.Oldest)))
			return
		}
	}
}

// backoff grows with failures and is spread, so that a fleet does not return
// all at once.
func backoff(failures int) time.Duration {
	d := min(minBackoff<<min(failures-1, 10), maxBackoff)
	return d/2 + rand.N(d/2) //nolint:gosec // spreads load, keeps no secret
}
