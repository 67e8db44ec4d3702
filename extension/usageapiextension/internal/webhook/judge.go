package webhook

import (
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

const (
	// breakerAfter is after how many failures in a row an endpoint is left alone for a while.
	breakerAfter = 5
	// breakerLeast and breakerMost are for how long: twice as long each time.
	breakerLeast, breakerMost = 5 * time.Second, 5 * time.Minute
	// throttleLeast is how long an endpoint is left alone that says that it has too much to do.
	throttleLeast = time.Second
	// slowAfter is how long an attempt takes by which an endpoint is taken for one that holds up workers.
	slowAfter = time.Second
	// retryRead is how long a delivery waits whose payload could not be read.
	retryRead = 5 * time.Second
)

// judgeLocked decides what becomes of a delivery after an attempt, and of its endpoint. It is
// the only place that does.
func (e *Engine) judgeLocked(d *delivery, ep *endpoint, out outbound.Outcome, now time.Time) {
	if out.Class == outbound.Delivered {
		e.worksLocked(ep, now)
		e.finishLocked(d, Delivered, NotDropped)
		return
	}
	ep.lastFailure = now
	if ep.failingSince.IsZero() {
		ep.failingSince = now
		e.touchHookLocked(ep)
	}
	ep.fails++
	if ep.fails >= breakerAfter {
		wait := breakerMost
		if n := ep.fails - breakerAfter; n < 6 {
			wait = breakerLeast << n
		}
		ep.block(now.Add(e.jittered(wait)))
	}
	if out.Class == outbound.Throttled {
		ep.block(now.Add(max(throttleLeast, out.RetryAfter)))
	}
	waits := e.settings.Schedule.Waits
	early := now.Before(d.planned)
	again := d.planned
	d.planned = time.Time{}
	switch {
	case early: // it uses up none of the schedule: an endpoint may come back again and again
		d.attempts--
		d.due = again
		if asked := now.Add(out.RetryAfter); asked.After(again) {
			d.due = asked
		}
		e.waitLocked(d)
	case d.attempts >= len(waits):
		e.finishLocked(d, Failed, NotDropped)
	default:
		d.due = now.Add(max(e.jittered(waits[d.attempts]), out.RetryAfter))
		e.waitLocked(d)
	}
	switch {
	case out.Class == outbound.Gone:
		e.disableLocked(ep, ReasonGone, now)
	case now.Sub(ep.failingSince) >= e.settings.Schedule.DisableAfter:
		e.disableLocked(ep, ReasonFailing, now)
	}
}

// worksLocked is of an endpoint that answered as it should. What waits because it did not
// is sent without waiting for longer.
func (e *Engine) worksLocked(ep *endpoint, now time.Time) {
	was := ep.fails
	ep.lastSuccess, ep.blocked, ep.fails = now, time.Time{}, 0
	if !ep.failingSince.IsZero() {
		ep.failingSince = time.Time{}
		e.touchHookLocked(ep)
	}
	if was >= breakerAfter {
		ep.hurry(now)
	}
}

func (ep *endpoint) block(until time.Time) {
	if until.After(ep.blocked) {
		ep.blocked = until
	}
}

// jittered returns a wait that is longer or shorter by some share.
func (e *Engine) jittered(wait time.Duration) time.Duration {
	return wait + time.Duration(float64(wait)*e.settings.Schedule.Jitter*e.settings.Jitter())
}

// longest is how long a delivery waits at most.
func (s *Schedule) longest() time.Duration {
	wait := slices.Max(s.Waits)
	return max(wait+time.Duration(float64(wait)*s.Jitter), outbound.MaxRetryAfter)
}

// disableLocked stops delivery to an endpoint until its owner says otherwise.
func (e *Engine) disableLocked(ep *endpoint, reason string, now time.Time) {
	if ep.hook.Status == Disabled {
		return
	}
	h := *ep.hook
	h.Status, h.Reason, h.Since = Disabled, reason, now
	h.Version = nextVersion(h.Version, now)
	ep.hook = &h
	e.touchHookLocked(ep)
	e.reindexLocked()
	e.settings.Observe.StatusChanged(&h, true)
}
