package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// Deliveries returns what became of the events of a hook, the newest first: at most limit of
// those whose number is below before; 0 begins with the newest. The error is ErrNotFound.
func (e *Engine) Deliveries(id string, before uint64, limit int) ([]Delivery, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ep, err := e.findLocked(id)
	if err != nil {
		return nil, err
	}
	var views []Delivery
	for _, d := range slices.Backward(ep.order) { // by number
		if len(views) >= limit {
			break
		}
		if d.endpoint != nil && (before == 0 || d.number < before) {
			views = append(views, d.view())
		}
	}
	return views, nil
}

// Resend has a delivery sent now: once more, or without waiting for longer. Errors are
// ErrNotFound, ErrDelivery, ErrGone and ErrDisabled.
func (e *Engine) Resend(_ context.Context, id string, number uint64) (Delivery, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ep, err := e.findLocked(id)
	if err != nil {
		return Delivery{}, err
	}
	at, found := slices.BinarySearchFunc(ep.order, number, func(d *delivery, n uint64) int {
		return int(min(max(int64(d.number)-int64(n), -1), 1)) //nolint:gosec // far from the ends
	})
	if !found || ep.order[at].endpoint == nil {
		return Delivery{}, fmt.Errorf("%d: %w", number, ErrDelivery)
	}
	d := ep.order[at]
	switch {
	case ep.hook.Status == Disabled:
		return Delivery{}, fmt.Errorf("%q: %w", id, ErrDisabled)
	case d.sending:
		return d.view(), nil
	case d.state != Pending && (d.message.evicted || d.message.typ == Test):
		return Delivery{}, fmt.Errorf("%d: %w", number, ErrGone)
	case d.state != Pending:
		e.reopenedLocked(d.message)
		ep.finished = slices.DeleteFunc(ep.finished, func(f *delivery) bool { return f == d })
		d.state, d.attempts, d.resent = Pending, 0, time.Now().UnixNano()
		d.message.open++
		e.pending++
	default:
		ep.queue.remove(d)
	}
	d.due = time.Now()
	e.waitLocked(d)
	e.lineUpLocked(ep)
	e.nudge()
	return d.view(), nil
}

// Test sends an event of the type [Test] to a hook, whatever its status and what else waits, and
// returns what became of it. Errors are ErrNotFound and ErrBusy, and that of ctx.
func (e *Engine) Test(ctx context.Context, id string) (Delivery, error) {
	a, err := e.beginTest(id)
	if err != nil {
		return Delivery{}, err
	}
	stop := context.AfterFunc(ctx, a.cancel)
	out := e.try(a.attempt)
	stop()
	a.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	d, ep := a.delivery, a.endpoint
	ep.testing = false
	e.leftLocked(ep)
	if ep.deleted {
		return Delivery{}, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	d.sending = false
	state := Failed
	if out.unsent == nil {
		d.attempts++
		d.logged(attemptOf(&out))
		if out.Class == outbound.Delivered {
			e.worksLocked(ep, time.Now())
			state = Delivered
		}
	}
	e.finishLocked(d, state, NotDropped)
	e.lineUpLocked(ep)
	e.nudge()
	if out.unsent != nil {
		return Delivery{}, out.unsent
	}
	return d.view(), nil
}

type test struct {
	*attempt
	cancel context.CancelFunc
}

func (e *Engine) beginTest(id string) (test, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ep, err := e.findLocked(id)
	if err != nil {
		return test{}, err
	}
	if ep.testing {
		return test{}, fmt.Errorf("%q: %w", id, ErrBusy)
	}
	ep.testing = true
	ep.inFlight++
	now := time.Now()
	m := newMessage(&Event{ID: uuid.New(), Type: Test, At: now.UnixNano(), Volatile: true}, Mark{}, now)
	m.body = testBody(id, now)
	ep.last++
	d := &delivery{message: m, endpoint: ep, number: ep.last, state: Pending, due: now, sending: true, place: -1}
	m.to, m.open = []*delivery{d}, 1
	e.pending++
	ep.remember(d)
	e.lineUpLocked(ep) // it is one of those that the endpoint is sent at a time
	ctx, cancel := context.WithCancel(ep.running)
	return test{&attempt{delivery: d, endpoint: ep, message: m, hook: ep.hook, body: m.body, running: ctx}, cancel}, nil
}

func testBody(id string, at time.Time) []byte {
	type data struct {
		WebhookID string `json:"webhook_id"`
		Message   string `json:"message"`
	}
	body, err := json.Marshal(struct {
		EventType Type      `json:"event_type"`
		Timestamp time.Time `json:"timestamp"`
		Data      data      `json:"data"`
	}{Test, at.UTC(), data{id, "This is a test. Nothing happened."}})
	if err != nil { // of texts and a time
		return nil
	}
	return body
}
