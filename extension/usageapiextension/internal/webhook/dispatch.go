package webhook

import (
	"context"
	"time"
)

// lineUpLocked puts an endpoint where it belongs, after anything of it changed.
func (e *Engine) lineUpLocked(ep *endpoint) {
	at, ok := ep.next(&e.settings.Limits)
	switch {
	case !ok || ep.deleted:
		ep.leave()
	case ep.ailing():
		e.ailing.put(ep, at)
	default:
		e.calm.put(ep, at)
	}
}

// nudge has the dispatcher look again.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default: // it looks already
	}
}

// dispatch begins attempts when they are due, until ctx ends.
func (e *Engine) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if at, ok := e.begin(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.wake:
		}
	}
}

// begin begins all attempts that are due and for which there are workers. It returns when the
// next is due; ok is false where something else has to happen first.
func (e *Engine) begin() (next time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		a := e.takeLocked(time.Now())
		if a == nil {
			break
		}
		e.running.Go(func() { e.work(a) })
	}
	if e.stopped || e.inFlight >= e.settings.Limits.Workers {
		return next, false // who ends goes on
	}
	for _, l := range [...]*line{&e.calm, &e.ailing} {
		if len(*l) == 0 || l == &e.ailing && !e.roomForSuspectsLocked() {
			continue
		}
		if at := (*l)[0].ready; !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok
}

// roomForSuspectsLocked reports whether one more endpoint may be tried whose last attempt
// failed or took long: however many of them never answer, half of the workers is there for the others.
func (e *Engine) roomForSuspectsLocked() bool {
	return e.suspects < max(1, e.settings.Limits.Workers/2)
}

// takeLocked takes the next delivery that is due out of the lines; nil where there is none.
func (e *Engine) takeLocked(now time.Time) *attempt {
	for !e.stopped && e.inFlight < e.settings.Limits.Workers {
		var ep *endpoint
		if len(e.calm) > 0 && !e.calm[0].ready.After(now) {
			ep = e.calm[0]
		}
		if len(e.ailing) > 0 && e.roomForSuspectsLocked() && !e.ailing[0].ready.After(now) &&
			(ep == nil || e.ailing[0].ready.Before(ep.ready)) {
			ep = e.ailing[0]
		}
		if ep == nil {
			return nil
		}
		if a := e.attemptLocked(ep, now); a != nil {
			return a
		}
	}
	return nil
}

// attemptLocked begins an attempt of the first delivery of an endpoint; nil where it is not
// to be delivered any more.
func (e *Engine) attemptLocked(ep *endpoint, now time.Time) *attempt {
	d := ep.queue[0]
	ev := d.message.as()
	switch {
	case now.UnixNano()-d.since() > int64(e.settings.Limits.Age):
		e.dropLocked(d, DropAge)
	case !e.sees(ep.hook, &ev):
		e.dropLocked(d, DropOwner)
	default:
		ep.queue.remove(d)
		if ep.volatile[d.message.instance] == d {
			delete(ep.volatile, d.message.instance) // what is newer is sent as well
		}
		d.sending = true
		ep.inFlight++
		e.inFlight++
		a := &attempt{delivery: d, endpoint: ep, message: d.message, hook: ep.hook, body: d.message.body, suspect: ep.ailing(), running: ep.running}
		if a.suspect {
			e.suspects++
		}
		ep.taken = now
		ep.bucket.take(now, e.settings.Limits.Burst, e.settings.Limits.Every)
		e.lineUpLocked(ep)
		return a
	}
	e.lineUpLocked(ep)
	return nil
}

// work makes an attempt, and then whatever is due next.
func (e *Engine) work(a *attempt) {
	for a != nil {
		out := e.try(a)
		e.mu.Lock()
		e.settleLocked(a, out, time.Now())
		a = e.takeLocked(time.Now())
		e.mu.Unlock()
	}
	// Its end may be what others wait for who may not be tried now.
	e.nudge()
}
