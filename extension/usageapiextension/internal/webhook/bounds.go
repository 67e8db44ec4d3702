package webhook

import "slices"

// boundLocked drops what is too much, for one hook and for all.
func (e *Engine) boundLocked(ep *endpoint) {
	l := &e.settings.Limits
	for len(ep.queue)+ep.inFlight > l.PerHook {
		d := ep.oldest()
		if d == nil {
			break
		}
		e.dropLocked(d, DropPending)
	}
	if e.pending <= l.Pending {
		return
	}
	// Whoever has most loses some, at once: to look for them costs.
	most := ep
	for _, other := range e.endpoints {
		if len(other.queue) > len(most.queue) {
			most = other
		}
	}
	for range max(1, len(most.queue)/100) {
		if d := most.oldest(); d != nil {
			e.dropLocked(d, DropPending)
		}
	}
	e.lineUpLocked(most)
}

// boundMemoryLocked drops the oldest of what is only in memory, where that is too much.
func (e *Engine) boundMemoryLocked() {
	for i := 0; e.memoryLocked() > e.settings.Limits.Memory && i < len(e.bodies); i++ {
		m := e.bodies[i]
		if m == nil || m.body == nil || m.written || m.number == 0 || m.open == 0 {
			continue
		}
		for _, d := range m.to {
			if ep := d.endpoint; ep != nil && d.place >= 0 { // what is being sent is done with soon
				e.dropLocked(d, DropMemory)
				e.lineUpLocked(ep)
			}
		}
		if m.open == 0 {
			e.evictLocked(m)
		}
	}
}

// memoryLocked is how many bytes of bodies are in memory alone; without a storage, of those that
// wait.
func (e *Engine) memoryLocked() int64 {
	if e.settings.Storage == nil {
		return e.bodyBytes - e.finishedBytes
	}
	return e.unwrittenBytes
}

// dropLocked gives up on a delivery that is in the queue.
func (e *Engine) dropLocked(d *delivery, why Drop) {
	ep := d.endpoint
	ep.queue.remove(d)
	ep.dropped++
	e.finishLocked(d, Dropped, why)
}

// finishLocked notes that a delivery waits no longer, which is not in the queue any more.
func (e *Engine) finishLocked(d *delivery, s State, why Drop) {
	m, ep := d.message, d.endpoint
	d.state = s
	m.open--
	e.pending--
	if ep.volatile[m.instance] == d {
		delete(ep.volatile, m.instance)
	}
	e.settings.Observe.Finished(m.typ, s, why)
	e.touchLocked(m)
	e.touchHookLocked(ep)
	for _, f := range ep.finish(d, e.settings.Limits.History) {
		if f.message != m && f.message.refs == 0 && f.message.open == 0 {
			e.evictLocked(f.message)
		}
	}
	if m.open == 0 {
		e.closedLocked(m)
	}
}

// closedLocked is of a message of which no delivery waits: its payload is kept for a while,
// so that it can be sent again.
func (e *Engine) closedLocked(m *message) {
	// While nothing can be written, half of the memory is for what waits.
	full := !m.written && e.settings.Storage != nil && e.unwrittenBytes > e.settings.Limits.Memory/2
	if m.evicted || m.refs == 0 || full {
		e.evictLocked(m)
		return
	}
	if m.written {
		e.uncacheLocked(m)
	}
	m.closed = e.finished.PushBack(m)
	e.finishedBytes += m.size
	for e.finishedBytes > e.settings.Limits.HistoryBytes {
		e.evictLocked(e.finished.Front().Value.(*message))
	}
}

// reopenedLocked is of a message that is to be sent again, or forgotten.
func (e *Engine) reopenedLocked(m *message) {
	if m.closed != nil {
		e.finished.Remove(m.closed)
		m.closed = nil
		e.finishedBytes -= m.size
	}
}

// evictLocked forgets a message. The next flush removes it from the storage.
func (e *Engine) evictLocked(m *message) {
	e.reopenedLocked(m)
	m.evicted = true
	if _, is := e.unwritten[m]; is {
		delete(e.unwritten, m)
		e.unwrittenBytes -= m.size
	}
	e.uncacheLocked(m)
	e.touchLocked(m)
}

// touchLocked notes that what is in the storage of a message is out of date.
func (e *Engine) touchLocked(m *message) {
	if m.number != 0 && e.settings.Storage != nil {
		e.dirty[m] = struct{}{}
		e.changed()
	}
}

// touchHookLocked notes the same of a hook.
func (e *Engine) touchHookLocked(ep *endpoint) {
	if !ep.deleted && e.settings.Storage != nil {
		e.states[shardOf(ep.hook.ID)] = struct{}{}
		e.changed()
	}
}

// cacheLocked notes a body that is in memory, and drops the oldest of those that are in the
// storage, too, where they are too many. One that is nowhere else ever stays as long as it waits.
func (e *Engine) cacheLocked(m *message) {
	if m.body == nil || m.number == 0 {
		return
	}
	e.bodies = append(e.bodies, m)
	e.bodyCount++
	e.bodyBytes += m.size
	for i := 0; e.bodyBytes-e.unwrittenBytes > bodyMemory && i < len(e.bodies); i++ {
		if m := e.bodies[i]; m.written {
			e.uncacheLocked(m)
		}
	}
	first := 0
	for first < len(e.bodies) && e.bodies[first].body == nil {
		e.bodies[first] = nil
		first++
	}
	e.bodies = e.bodies[first:]
	if len(e.bodies) > 2*e.bodyCount+64 {
		e.bodies = slices.DeleteFunc(e.bodies, func(m *message) bool { return m.body == nil })
	}
}

// uncacheLocked drops a body from memory.
func (e *Engine) uncacheLocked(m *message) {
	if m.body == nil {
		return
	}
	m.body = nil
	if m.number != 0 {
		e.bodyCount--
		e.bodyBytes -= m.size
	}
}
