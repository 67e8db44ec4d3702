package webhook

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// attempt is one request that is being made.
type attempt struct {
	delivery *delivery
	endpoint *endpoint
	message  *message
	hook     *Hook
	body     []byte          // nil where it is in the storage
	suspect  bool            // the last one to the endpoint had failed or taken long
	running  context.Context //nolint:containedctx // ends it
}

// outcome is how it went. unsent is why nothing was sent, which says nothing of the endpoint;
// lost is that nothing ever can be.
type outcome struct {
	outbound.Outcome
	at     time.Time
	unsent error
	lost   bool
}

// try makes the request.
func (e *Engine) try(a *attempt) outcome {
	ctx, cancel := context.WithCancel(e.sending)
	defer cancel()
	defer context.AfterFunc(a.running, cancel)()
	body := a.body
	if body == nil {
		var err error
		body, err = e.readBody(ctx, a.message)
		if err != nil {
			return outcome{unsent: err, lost: errors.Is(err, errDamaged)}
		}
	}
	at := time.Now()
	out := e.settings.Send(ctx, e.request(a.hook, a.message, body, at))
	if ctx.Err() != nil && out.Class != outbound.Delivered {
		return outcome{unsent: ctx.Err()}
	}
	e.settings.Observe.Attempted(a.message.typ, out.Class, out.Latency)
	return outcome{Outcome: out, at: at}
}

// request returns what is sent of a message at a time.
func (e *Engine) request(h *Hook, m *message, body []byte, at time.Time) outbound.Request {
	id := m.id.String()
	keys := h.signers(at)
	header := http.Header{
		"Content-Type":            {"application/json"},
		"User-Agent":              {e.settings.UserAgent},
		signing.HeaderID:          {id},
		signing.HeaderTimestamp:   {strconv.FormatInt(at.Unix(), 10)},
		signing.HeaderSignature:   {string(signing.Sign(nil, keys, id, at, body))},
		signing.HeaderLegacyEvent: {string(m.typ)},
		signing.HeaderLegacy:      {signing.Legacy(keys[0], body)},
	}
	return outbound.Request{URL: h.URL, Header: header, Body: body}
}

// settleLocked notes how an attempt went.
func (e *Engine) settleLocked(a *attempt, out outcome, now time.Time) {
	d, ep := a.delivery, a.endpoint
	d.sending = false
	e.inFlight--
	if a.suspect {
		e.suspects--
	}
	e.leftLocked(ep)
	switch {
	case ep.deleted:
		return // and what waited for it was dropped
	case out.lost:
		e.finishLocked(d, Dropped, DropDamaged)
	case out.unsent != nil:
		if d.due = now; !errors.Is(out.unsent, context.Canceled) {
			d.due = now.Add(retryRead)
		}
		e.waitLocked(d)
	case a.hook.URL != ep.hook.URL && out.Class != outbound.Delivered: // which says nothing of the one it has now
		d.logged(attemptOf(&out))
		d.due = now
		e.waitLocked(d)
	default:
		ep.slow = now.Sub(out.at) >= slowAfter
		d.attempts++
		d.logged(attemptOf(&out))
		e.judgeLocked(d, ep, out.Outcome, now)
	}
	e.lineUpLocked(ep)
}

// leftLocked notes that an attempt to an endpoint is over.
func (e *Engine) leftLocked(ep *endpoint) {
	if ep.inFlight--; ep.inFlight == 0 && ep.idle != nil {
		close(ep.idle)
		ep.idle = nil
	}
}

// waitLocked puts a delivery back. Levels of which there are newer ones go.
func (e *Engine) waitLocked(d *delivery) {
	ep, m := d.endpoint, d.message
	if m.number == 0 {
		if newer := ep.volatile[m.instance]; newer != nil && newer != d {
			e.finishLocked(d, Dropped, DropReplace)
			return
		}
		ep.volatile[m.instance] = d
	}
	ep.queue.add(d)
	e.touchLocked(m)
}

// attemptOf is what the owner of the hook may see of an attempt.
func attemptOf(o *outcome) Attempt {
	return Attempt{At: o.at, Status: o.Status, Latency: o.Latency, Error: errorOf(&o.Outcome), Excerpt: o.Excerpt}
}

// errorOf says what went wrong, for the owner of the hook; "" where nothing did.
func errorOf(o *outbound.Outcome) string {
	if o.Err == nil {
		return ""
	}
	return o.Err.Error()
}
