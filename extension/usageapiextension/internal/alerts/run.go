package alerts

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/envelope"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// Run tells what begins and what ends until ctx ends, and then, before it returns, what is due
// by then. It is called once.
func (a *Alerts) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			a.step(context.WithoutCancel(ctx))
			return
		case <-a.wake:
		case <-timer.C:
		}
		a.step(ctx)
		if next, ok := a.next(); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// step moves on what is due, keeps what is to be told, tells it, and keeps that it is told.
func (a *Alerts) step(ctx context.Context) {
	a.mu.Lock()
	said := a.dueLocked(time.Now())
	a.mu.Unlock()
	a.keep(ctx, len(said) > 0)
	if len(said) == 0 {
		return
	}
	b := a.settings.Begin()
	for i := range said {
		s := &said[i]
		e := &webhook.Event{ID: s.alert.ID, Type: webhook.PipelineAlert, At: s.alert.At, Owner: s.owner}
		b.Offer(e, webhook.Mark{Key: s.alert.ID, Sequence: 1}, func(dst []byte) []byte {
			return envelope.Append(dst, webhook.PipelineAlert, e.At, func(dst []byte) []byte {
				return event.AppendAlert(dst, &s.alert)
			})
		})
	}
	b.Commit(ctx)
	a.mu.Lock()
	a.toldLocked(said)
	a.mu.Unlock()
	a.keep(ctx, true)
}

// A saying is an event that is to be told.
type saying struct {
	episode *episode
	owner   webhook.Owner
	alert   event.Alert
}

// dueLocked begins and ends what is due, and returns all that is to be told.
func (a *Alerts) dueLocked(now time.Time) (said []saying) {
	for _, ep := range a.sortedLocked() {
		if !ep.begun && now.Sub(ep.from) >= a.settings.For {
			ep.begun, a.dirty = true, true
		}
		if !ep.until.IsZero() && !now.Before(ep.until) {
			ep.clear, ep.until = ep.until, time.Time{}
		}
		switch {
		case !ep.begun && !ep.clear.IsZero():
			delete(a.open, ep.key)
			continue
		case !ep.begun:
			continue
		case !ep.clear.IsZero() && now.Sub(ep.clear) >= a.settings.Clear:
			a.endLocked(ep, ep.clear, event.AlertCleared)
			continue
		case !ep.forget.IsZero() && !now.Before(ep.forget):
			a.endLocked(ep, now, event.AlertForgotten)
			continue
		}
		if !ep.told {
			said = append(said, a.saying(ep, event.AlertFiring))
		}
	}
	for _, ep := range a.ended {
		if !ep.told {
			said = append(said, a.saying(ep, event.AlertFiring))
		}
		said = append(said, a.saying(ep, event.AlertResolved))
	}
	return said
}

// sortedLocked returns the episodes that are not over, the first one to begin first.
func (a *Alerts) sortedLocked() []*episode {
	return slices.SortedFunc(maps.Values(a.open), func(a, b *episode) int { return cmp.Compare(a.since, b.since) })
}

// endLocked ends an episode. It is never over before it began.
func (a *Alerts) endLocked(ep *episode, at time.Time, reason string) {
	delete(a.open, ep.key)
	ep.end, ep.reason = max(at.UnixNano(), ep.since), reason
	a.ended = append(a.ended, ep)
	a.dirty = true
}

// toldLocked notes that something was told. Nobody but Run removes what ended.
func (a *Alerts) toldLocked(said []saying) {
	for i := range said {
		said[i].episode.told = true
	}
	a.ended = nil
	a.dirty = true
}

// next returns when something is due.
func (a *Alerts) next() (at time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	earlier := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	for _, ep := range a.open {
		if !ep.until.IsZero() {
			earlier(ep.until)
		}
		switch {
		case !ep.begun:
			earlier(ep.from.Add(a.settings.For))
		case !ep.clear.IsZero():
			earlier(ep.clear.Add(a.settings.Clear))
		case !ep.forget.IsZero():
			earlier(ep.forget)
		}
	}
	if a.dirty && a.settings.Keep != nil {
		earlier(a.retry)
	}
	return at, ok
}

// keep writes what is not over, where that changed: at once, or when it is time again after it
// could not be written.
func (a *Alerts) keep(ctx context.Context, atOnce bool) {
	a.mu.Lock()
	now := time.Now()
	if !a.dirty || a.settings.Keep == nil || !atOnce && now.Before(a.retry) {
		a.mu.Unlock()
		return
	}
	value := a.encodeLocked()
	a.dirty = false
	a.mu.Unlock()
	if err := a.settings.Keep(ctx, value); err != nil {
		a.mu.Lock()
		a.dirty, a.retry = true, now.Add(keepAgain)
		a.mu.Unlock()
	}
}

// saying makes the event of the beginning or the end of an episode. Its ids come from what it is
// about: the episode's is the UUIDv5 whose name is host id, host name, source, name and since in
// unix ns, one to a line; the event's the one whose namespace is the episode and whose name is
// the state.
func (a *Alerts) saying(ep *episode, state event.AlertState) saying {
	s := &a.settings
	name := []byte(s.HostID + "\n" + s.HostName + "\n" + ep.source + "\n" + string(ep.name) + "\n")
	episode := event.NamedID(a.namespace, strconv.AppendInt(name, ep.since, 10))
	alert := event.Alert{
		ID: event.NamedID(episode, []byte(state)), Episode: episode, Name: string(ep.name), State: state, Source: ep.source,
		HostID: s.HostID, HostName: s.HostName, Since: ep.since, At: ep.since, Details: ep.details,
	}
	if state == event.AlertResolved {
		alert.At, alert.Reason = ep.end, ep.reason
	}
	return saying{ep, ep.owner, alert}
}
