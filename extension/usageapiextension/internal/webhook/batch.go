package webhook

import (
	"bytes"
	"context"
	"time"
)

// A Batch is events that are written together. It belongs to who began it, and nobody else
// begins one before Commit.
type Batch struct {
	engine   *Engine
	messages []*message
	marks    []Mark            // set without an event
	known    map[[16]byte]Mark // of all that is in it
	found    []*endpoint
	buf      []byte
}

// An Outcome is what became of an event that was offered.
type Outcome int

// The outcomes.
const (
	Unwanted Outcome = iota // no hook takes it
	Accepted
	Repeated // it is known already
)

// Begin begins a batch, which has to be committed.
func (e *Engine) Begin() *Batch {
	e.writing.Lock()
	return &e.batch
}

// Offer adds an event if it is new and some hook takes it; only then payload is called, which
// appends the body to dst. Of events with the same mark key only those with a higher sequence than all
// before are new; the zero mark makes nothing known.
func (b *Batch) Offer(ev *Event, m Mark, payload func(dst []byte) []byte) Outcome {
	e := b.engine
	if m.Key != [16]byte{} {
		if last, ok := b.Known(m.Key); ok && m.Sequence <= last.Sequence {
			e.settings.Observe.Repeated(ev.Type)
			return Repeated
		}
	}
	b.found = (*e.matching.Load()).find(b.found[:0], ev)
	var msg *message
	now := time.Now()
	// The hooks of the endpoints are replaced under mu.
	e.mu.Lock()
	for _, ep := range b.found {
		if ep.deleted || !e.takes(ep.hook, ev) {
			continue
		}
		if msg == nil {
			msg = newMessage(ev, m, now)
		}
		msg.to = append(msg.to, &delivery{message: msg, endpoint: ep, state: Pending, due: now.Add(e.settings.Schedule.Waits[0]), place: -1})
	}
	e.mu.Unlock()
	if msg == nil {
		return Unwanted
	}
	b.buf = payload(b.buf[:0])
	msg.body = bytes.Clone(b.buf)
	msg.size = int64(len(msg.body))
	b.messages = append(b.messages, msg)
	if m.Key != [16]byte{} {
		b.known[m.Key] = msg.mark
	}
	return Accepted
}

func newMessage(ev *Event, m Mark, now time.Time) *message {
	msg := &message{event: event{
		id: ev.ID, typ: ev.Type, at: ev.At, accepted: now.UnixNano(),
		instance: string(bytes.Clone([]byte(ev.InstanceID))), user: string(bytes.Clone([]byte(ev.UserID))), org: string(bytes.Clone([]byte(ev.OrgID))),
		alertUser: ev.Owner.UserID, alertOrg: ev.Owner.OrgID,
	}, evicted: ev.Volatile}
	if m.Key != [16]byte{} {
		msg.mark = m
		msg.mark.State = bytes.Clone(m.State)
	}
	return msg
}

// Known returns the last mark of a key, those of this batch included.
func (b *Batch) Known(key [16]byte) (m Mark, ok bool) {
	if m, ok = b.known[key]; ok {
		return m, true
	}
	return b.engine.marks.get(key)
}

// Set makes a mark known without an event.
func (b *Batch) Set(m Mark) {
	m.State = bytes.Clone(m.State)
	b.known[m.Key] = m
	b.marks = append(b.marks, m)
}

// Commit writes the events with the hooks that they are for, and lines them up. What cannot be
// written waits in memory all the same, and is written as soon as that works: nobody who
// meters is kept waiting for a disk.
func (b *Batch) Commit(ctx context.Context) {
	e := b.engine
	defer e.writing.Unlock()
	now := time.Now()
	for _, m := range b.marks {
		e.marks.set(m, 0, now)
	}
	if len(b.marks) > 0 && e.settings.Storage != nil {
		e.changed()
	}
	b.marks = b.marks[:0]
	defer clear(b.known)
	if len(b.messages) == 0 {
		return
	}
	e.mu.Lock()
	for _, m := range b.messages {
		e.numberLocked(m)
	}
	e.mu.Unlock()
	var err error
	if e.settings.Storage != nil {
		err = e.write(ctx, b.messages)
	}
	for _, m := range b.messages {
		// One that was set alone may have come after it.
		if m.mark.Key != [16]byte{} && m.mark.Sequence == b.known[m.mark.Key].Sequence {
			e.marks.set(m.mark, m.number, now)
		}
	}
	e.mu.Lock()
	for _, m := range b.messages {
		e.enqueueLocked(m, err == nil && e.settings.Storage != nil)
	}
	e.mu.Unlock()
	clear(b.messages)
	b.messages = b.messages[:0]
	e.nudge()
}

// numberLocked gives a message and its deliveries their numbers.
func (e *Engine) numberLocked(m *message) {
	if !m.evicted {
		e.sequence++
		m.number = e.sequence
	}
	for _, d := range m.to {
		d.endpoint.last++
		d.number = d.endpoint.last
	}
}

// enqueueLocked lines up the deliveries of a message to hooks that are still there.
func (e *Engine) enqueueLocked(m *message, written bool) {
	e.settings.Observe.Accepted(m.typ, len(m.to))
	m.written = written && m.number != 0
	if !m.evicted && !written && e.settings.Storage != nil {
		e.unwritten[m] = struct{}{}
		e.unwrittenBytes += m.size
		e.changed()
	}
	e.cacheLocked(m)
	m.open++ // it is not closed before all are lined up, even if some are dropped at once
	for _, d := range m.to {
		ep := d.endpoint
		if ep.deleted {
			d.state, d.endpoint = Dropped, nil
			e.settings.Observe.Finished(m.typ, Dropped, DropDeleted)
			e.touchLocked(m)
			continue
		}
		if was := ep.volatile[m.instance]; m.number == 0 && was != nil {
			e.replaceLocked(was, m)
			continue
		}
		m.open++
		e.pending++
		ep.remember(d)
		ep.queue.add(d)
		if m.number == 0 {
			ep.volatile[m.instance] = d
		}
		e.boundLocked(ep)
		e.lineUpLocked(ep)
	}
	if m.open--; m.open == 0 {
		e.closedLocked(m)
	}
	if e.settings.Storage == nil || e.unwrittenBytes > 0 {
		e.boundMemoryLocked()
	}
}

// replaceLocked sends newer levels in the place of older ones that wait.
func (e *Engine) replaceLocked(was *delivery, m *message) {
	old := was.message
	old.refs--
	old.open--
	if old.open == 0 {
		e.uncacheLocked(old)
	}
	was.message, was.attempts = m, 0
	m.open++
	m.refs++
	e.settings.Observe.Finished(m.typ, Dropped, DropReplace)
}
