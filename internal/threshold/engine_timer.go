package threshold

import "container/heap"

// A timer says when something happens to an entry or a quota by time alone, at
// the earliest: measurements put it off without moving it in the heap.
type timer struct {
	due   int64
	index int // in the heap; -1 outside
	entry *entry
	quota *quota
}

func (t *timer) key() key {
	if t.entry != nil {
		return t.entry.key
	}
	return t.quota.key
}

// timers is a heap of them, the next first, in an order that does not depend on chance.
type timers []*timer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].key().less(h[j].key())
}

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop is for container/heap.
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

func (h *timers) remove(t *timer) {
	if t.index >= 0 {
		heap.Remove(h, t.index)
	}
}

// set has t ring at due, or before. Later than it would ring already is left to it.
func (h *timers) set(t *timer, due int64) {
	switch {
	case t.index < 0:
		t.due = due
		heap.Push(h, t)
	case due < t.due:
		t.due = due
		heap.Fix(h, t.index)
	}
}

// schedule sets the timer of an entry that nobody works on.
func (e *Engine) schedule(n *entry) {
	if n.tx != nil || !n.exists {
		return
	}
	if due, ok := e.dueEntry(n, &n.state); ok {
		e.timers.set(&n.timer, due)
	}
}

// dueEntry returns when something happens to an entry by time alone.
func (e *Engine) dueEntry(n *entry, p *episode) (int64, bool) {
	if n.gone != Measured && !p.closed {
		return 0, true
	}
	step, due := p.next(&e.cfg, e.resumed)
	return due, step != stepNone
}
