package feed

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// watch returns the epoch in which instances are watched. It is a new one where something may
// have come in unwatched: then what an instance was before is not compared with what it is, since
// nobody could say when that changed.
func (r *reader) watch() uint16 {
	key := markKey(keyEpoch, "")
	m, known := r.batch.Known(key)
	today := within(time.Now().Unix()/day, math.MaxUint16)
	missed := r.feed.unwatched.Swap(false)
	touched, _ := binary.Uvarint(m.State)
	if missed || !known || touched != today {
		if missed || !known {
			m.Sequence++
		}
		r.batch.Set(webhook.Mark{Key: key, Sequence: m.Sequence, State: binary.AppendUvarint(nil, today)})
	}
	return uint16(m.Sequence) //nolint:gosec // one each time that hooks come after there were none
}

// live offers what a period shows of the life of its instance: that it differs from what the
// instance was. A period that is not newer shows nothing. A state that does not change is written
// once a day all the same: marks that are not touched are forgotten after a week.
func (r *reader) live(p *usage.Period) {
	key := markKey(keyLifecycle, p.Instance.ID)
	m, _ := r.batch.Known(key)
	was, known := parseState(m.State)
	now := stateOf(r.epoch, p)
	if known && !newer(&now, &was) {
		return
	}
	watched := known && was.epoch == now.epoch
	if watched && same(&was, &now) && now.written == was.written {
		return
	}
	var s [webhook.MaxState]byte
	l := life{reader: r, period: p, mark: webhook.Mark{Key: key, Sequence: m.Sequence, State: now.append(s[:0])}}
	if begins(p, &was, &now, known, watched) {
		l.offer(event.Started, p.Start, event.Previous{})
	}
	if watched && was.flavor != now.flavor {
		l.offer(event.Resized, p.Start, event.Previous{Flavor: was.flavor.usage(), HasFlavor: true})
	}
	if watched && was.owner != now.owner {
		l.handOver(&was)
	}
	if p.Final {
		l.offer(event.Stopped, p.End, event.Previous{})
	}
	if !l.accepted {
		l.mark.Sequence++
		r.batch.Set(l.mark)
	}
}

// same reports whether nothing changed but the time.
func same(a, b *state) bool {
	return a.stream == b.stream && a.run == b.run && a.flavor == b.flavor && a.owner == b.owner && a.stopped == b.stopped
}

// begins reports whether a run of the instance begins with a period: it is the first of its
// stream, or the run is another than before. It does not where metering alone began anew.
func begins(p *usage.Period, was, now *state, known, watched bool) bool {
	if known && !was.stopped && was.run == now.run {
		return false
	}
	if p.FirstSequence() == 1 {
		// A first period without length says that what was known of the instance was lost:
		// only who remembers the run can tell.
		lost := p.Duration == 0 && p.WorstQuality() == usage.Gap
		return known || !lost
	}
	return watched && was.stream == now.stream
}

// A life offers changes of one instance that one period shows. They share a mark: each has
// the next sequence, and the state that is after all of them.
type life struct {
	reader   *reader
	period   *usage.Period
	mark     webhook.Mark
	accepted bool // one of them: its mark is written with it
}

func (l *life) offer(c event.Change, at int64, before event.Previous) {
	p := l.period
	sequence := p.FirstSequence() // which joining with later periods does not change
	if c == event.Stopped {
		sequence = p.Sequence // nor with earlier ones
	}
	l.reader.lifecycle = event.Lifecycle{
		ID: event.LifecycleID(p.Stream.ID, c, event.ToOwner, sequence), Change: c, Recipient: event.ToOwner,
		At: at, Instance: p.Instance, Flavor: p.Flavor, Previous: before, Stream: p.Stream, Sequence: p.Sequence,
	}
	l.send(ownerOf(&p.Instance))
}

// handOver tells both owners. The one before hears neither whose the instance is now nor what
// else is new about it.
func (l *life) handOver(was *state) {
	p := l.period
	before, known := was.owner.owner()
	l.offer(event.OwnerChanged, p.Start, event.Previous{UserID: before.user, OrgID: before.org, HasOwner: known})
	if before == (owner{}) {
		return
	}
	l.reader.lifecycle = event.Lifecycle{
		ID:     event.LifecycleID(p.Stream.ID, event.OwnerChanged, event.ToPreviousOwner, p.FirstSequence()),
		Change: event.OwnerChanged, Recipient: event.ToPreviousOwner, At: p.Start, Flavor: was.flavor.usage(),
		Instance: usage.Instance{ID: p.Instance.ID, Hypervisor: p.Instance.Hypervisor, UserID: before.user, OrgID: before.org},
	}
	l.send(before)
}

// send offers the reader's event to who sees what belongs to an owner.
func (l *life) send(to owner) {
	r := l.reader
	e := r.about(webhook.InstanceLifecycle, r.lifecycle.ID, r.lifecycle.At, &l.period.Instance)
	e.UserID, e.OrgID = to.user, to.org
	l.mark.Sequence++
	l.accepted = r.batch.Offer(e, l.mark, r.lifecycleBody) == webhook.Accepted || l.accepted
}
