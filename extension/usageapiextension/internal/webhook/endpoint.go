package webhook

import (
	"container/heap"
	"context"
	"slices"
	"time"
)

// endpoint is a hook and what waits for it. The engine's mu guards all of it.
type endpoint struct {
	hook *Hook // replaced, never changed

	queue    queue
	order    []*delivery          // those that are remembered, by number; forgotten ones are taken out now and then
	finished []*delivery          // of them, those that wait no longer, in that order
	volatile map[string]*delivery // those of levels that wait, by instance
	last     uint64               // number of the newest delivery
	dropped  uint64

	inFlight int
	testing  bool
	running  context.Context //nolint:containedctx // ends what is being sent
	cancel   context.CancelFunc
	idle     chan struct{} // closed when nothing is being sent any more; nil where nobody waits for that
	deleted  bool

	fails                                  int // attempts that failed, one after the other
	failingSince, lastSuccess, lastFailure time.Time
	blocked                                time.Time // nothing is sent before
	bucket                                 bucket
	slow                                   bool      // the last attempt took long, however it ended
	taken                                  time.Time // when the last attempt began, so that all have their turn

	ready time.Time // of the next attempt, as it is in the line
	line  *line     // nil where it is in none
	place int       // in it
}

func newEndpoint(h *Hook) *endpoint {
	ep := &endpoint{hook: h, volatile: map[string]*delivery{}}
	ep.running, ep.cancel = context.WithCancel(context.Background())
	return ep
}

func (ep *endpoint) failing() bool { return ep.fails > 0 }

// ailing reports whether an endpoint may hold up workers.
func (ep *endpoint) ailing() bool { return ep.failing() || ep.slow }

// next returns when the next attempt may be made; ok is false where something else has to
// happen first.
func (ep *endpoint) next(l *Limits) (at time.Time, ok bool) {
	room := l.Concurrency
	if ep.fails >= breakerAfter {
		room = 1 // to see whether it is back
	}
	if ep.hook.Status != Registered || len(ep.queue) == 0 || ep.inFlight >= room {
		return at, false
	}
	at = ep.queue[0].due
	for _, t := range [...]time.Time{ep.blocked, ep.bucket.next, ep.taken} {
		if t.After(at) {
			at = t
		}
	}
	return at, true
}

// view returns what its owner is shown.
func (ep *endpoint) view(now time.Time) View {
	v := View{
		Hook: *ep.hook, Pending: len(ep.queue) + ep.inFlight, Dropped: ep.dropped,
		LastSuccess: ep.lastSuccess, LastFailure: ep.lastFailure, FailingSince: ep.failingSince,
	}
	if ep.blocked.After(now) {
		v.BlockedUntil = ep.blocked
	}
	return v
}

// remember adds a delivery to those that its owner is shown.
func (ep *endpoint) remember(d *delivery) {
	at := len(ep.order)
	for at > 0 && ep.order[at-1].number > d.number { // a number is given before an event is written
		at--
	}
	ep.order = slices.Insert(ep.order, at, d)
	d.message.refs++
}

// finish notes that a delivery waits no longer, and forgets the oldest of these. It
// returns those that it forgot.
func (ep *endpoint) finish(d *delivery, history int) (forgotten []*delivery) {
	ep.finished = append(ep.finished, d)
	if over := len(ep.finished) - history; over > 0 {
		forgotten = slices.Clone(ep.finished[:over])
		ep.finished = slices.Delete(ep.finished, 0, over)
	}
	for _, f := range forgotten {
		f.message.refs--
		f.endpoint = nil
	}
	if len(ep.order) > 2*(len(ep.finished)+len(ep.queue)+ep.inFlight)+16 {
		ep.order = slices.DeleteFunc(ep.order, func(d *delivery) bool { return d.endpoint == nil })
	}
	return forgotten
}

// hurry has everything that waits be sent now. What fails then is tried again when it was to be.
func (ep *endpoint) hurry(now time.Time) {
	for _, d := range ep.queue {
		if d.due.After(now) {
			d.planned, d.due = d.due, now
		}
	}
	heap.Init(&ep.queue)
}

// oldest returns the delivery that waits and has the lowest number, which is not being sent; nil for none.
func (ep *endpoint) oldest() *delivery {
	for _, d := range ep.order {
		if d.endpoint != nil && d.place >= 0 {
			return d
		}
	}
	return nil
}

// bucket lets so many through at once, and one more each time some time has passed.
type bucket struct {
	next time.Time // zero, or when one more goes through
	full time.Time // when it is as if nothing ever went through
}

// take lets one through.
func (b *bucket) take(now time.Time, burst int, every time.Duration) {
	if burst < 0 || every <= 0 {
		return
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(every)
	// With burst of them spent, full is burst*every away, and one more has to wait for one.
	b.next = b.full.Add(-time.Duration(burst-1) * every)
	if b.next.Before(now) {
		b.next = now
	}
}

// line is endpoints, that whose next attempt is first before all others.
type line []*endpoint

func (l line) Len() int           { return len(l) }
func (l line) Less(i, j int) bool { return l[i].ready.Before(l[j].ready) }

func (l line) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i, j
}

// Push is for package heap.
func (l *line) Push(x any) {
	ep := x.(*endpoint)
	ep.place, ep.line = len(*l), l
	*l = append(*l, ep)
}

// Pop is for package heap.
func (l *line) Pop() any {
	old := *l
	ep := old[len(old)-1]
	old[len(old)-1] = nil
	*l = old[:len(old)-1]
	ep.line = nil
	return ep
}

// put puts an endpoint where it belongs in the line.
func (l *line) put(ep *endpoint, ready time.Time) {
	if ep.line == l {
		ep.ready = ready
		heap.Fix(l, ep.place)
		return
	}
	ep.leave()
	ep.ready = ready
	heap.Push(l, ep)
}

// leave takes an endpoint out of the line that it is in.
func (ep *endpoint) leave() {
	if ep.line != nil {
		heap.Remove(ep.line, ep.place)
	}
}
