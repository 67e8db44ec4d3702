package webhook

import (
	"container/heap"
	"container/list"
	"slices"
	"time"

	"github.com/google/uuid"
)

// message is an event that at least one hook takes. All but what is said to be fixed is guarded
// by the engine's mu.
type message struct {
	event   // fixed
	mark    Mark
	number  uint64        // of all messages: its place in the storage; 0 where it is not to be written
	written bool          // body is in the storage
	closed  *list.Element // in the engine's finished; nil where a delivery waits
	evicted bool          // nothing of it is in the storage any more, or ever will be

	body []byte // nil where it is only in the storage
	size int64  // of body

	to   []*delivery
	open int // deliveries that wait
	refs int // deliveries that their hooks remember
}

// event is what is kept of an Event.
type event struct {
	id                  uuid.UUID
	typ                 Type
	at, accepted        int64 // unix ns
	instance, user, org string
	alertUser, alertOrg string
}

// as returns what decides who may hear of it.
func (m *message) as() Event {
	return Event{
		Type: m.typ, At: m.at, InstanceID: m.instance, UserID: m.user, OrgID: m.org,
		Owner: Owner{UserID: m.alertUser, OrgID: m.alertOrg},
	}
}

// delivery is a message on its way to one hook.
type delivery struct {
	message  *message
	endpoint *endpoint
	number   uint64 // of the endpoint
	state    State
	attempts int
	due      time.Time
	planned  time.Time // when it was due before it was hurried; zero where it was not
	resent   int64     // when its owner wanted it again, in unix ns; 0 where it was not
	sending  bool
	log      []Attempt
	place    int // in the queue; -1 where it is not
}

// maxLog is how many attempts of a delivery are remembered.
const maxLog = 12

// since is since when it waits, in unix ns.
func (d *delivery) since() int64 { return max(d.message.accepted, d.resent) }

func (d *delivery) logged(a Attempt) {
	if len(d.log) >= maxLog {
		d.log = slices.Delete(d.log, 0, 1)
	}
	d.log = append(d.log, a)
}

// view returns what its owner is shown.
func (d *delivery) view() Delivery {
	m := d.message
	v := Delivery{
		Number: d.number, EventID: m.id.String(), Type: m.typ, At: time.Unix(0, m.at), Accepted: time.Unix(0, m.accepted),
		State: d.state, Attempts: d.attempts, Log: slices.Clone(d.log),
	}
	if d.state == Pending {
		v.Due = d.due
	}
	return v
}

// queue is the deliveries of an endpoint that wait, the next one first.
type queue []*delivery

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if !a.due.Equal(b.due) {
		return a.due.Before(b.due)
	}
	return a.number < b.number
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for package heap.
func (q *queue) Push(x any) {
	d := x.(*delivery)
	d.place = len(*q)
	*q = append(*q, d)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	old := *q
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	d.place = -1
	return d
}

func (q *queue) add(d *delivery) { heap.Push(q, d) }

func (q *queue) remove(d *delivery) {
	if d.place >= 0 {
		heap.Remove(q, d.place)
	}
}
