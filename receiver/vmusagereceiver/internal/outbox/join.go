package outbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// maxJoin bounds how many chunks are read back to be joined in one go.
const maxJoin = 240

// makeRoom joins what may be joined until the outbox is within its bounds, and
// gives up the oldest chunks where that is not enough.
func (o *Outbox) makeRoom(ctx context.Context) error {
	for {
		group, acrossHours := o.joinable()
		if group == nil {
			break
		}
		if gained, err := o.joinGroup(ctx, group, acrossHours); err != nil {
			return err
		} else if !gained {
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytesLocked() > o.settings.MaxBytes && len(o.chunks) > 1 {
		i := slices.IndexFunc(o.chunks, func(c *Chunk) bool { return !c.offering })
		c := o.chunks[i] // there are two, and one at a time is offered
		o.counts.Dropped += int64(c.periods)
		o.removeLocked(c)
	}
	return nil
}

func (o *Outbox) bytesLocked() (n int64) {
	for _, c := range o.chunks {
		n += c.bytes
	}
	return n
}

// joinable returns the oldest chunks that were never offered and may be joined
// now: those of one UTC hour, or where the outbox is still too large and there
// are no such hours left, of several. It returns nil where all is within bounds.
func (o *Outbox) joinable() (group []*Chunk, acrossHours bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	full := o.bytesLocked() > o.settings.MaxBytes
	old := int64(0)
	if o.settings.MaxAge > 0 {
		old = o.settings.Clock().Add(-o.settings.MaxAge).UnixNano()
	}
	var all []*Chunk
	for _, c := range o.chunks {
		if !c.parked || !full && c.end >= old {
			continue
		}
		all = append(all, c)
		if len(group) > 0 && (hourOf(c.start) != hourOf(group[0].start) || len(group) == maxJoin) {
			if len(group) > 1 {
				return group, false
			}
			group = nil
		}
		if len(group) > 0 || !c.joined { // a group begins with one that is new to joining
			group = append(group, c)
		}
	}
	if len(group) > 1 {
		return group, false
	}
	if !full || len(all) < 2 {
		return nil, false
	}
	return all[:min(len(all), maxJoin)], true
}

func hourOf(ns int64) int64 { return ns / int64(time.Hour) }

// joinGroup replaces chunks by ones with the periods of each stream joined, and
// reports whether that made them fewer bytes. Periods of before and after a
// change of owner or flavor or with different gaps stay apart, as do those of different UTC hours
// unless acrossHours.
func (o *Outbox) joinGroup(ctx context.Context, group []*Chunk, acrossHours bool) (bool, error) {
	var periods []usage.Period
	var before int64
	for _, c := range group {
		ps, err := o.Load(ctx, c)
		if err != nil {
			return false, err
		}
		periods = append(periods, ps...)
		before += c.bytes
	}
	// Stable: the periods of a stream are in order, and so are the streams.
	slices.SortStableFunc(periods, func(a, b usage.Period) int {
		if c := strings.Compare(string(a.Stream.ID[:]), string(b.Stream.ID[:])); c != 0 {
			return c
		}
		return int(min(max(int64(a.Sequence)-int64(b.Sequence), -1), 1)) //nolint:gosec // counts periods
	})
	joined := periods[:0:0]
	for i := range periods {
		if n := len(joined); n == 0 || !join(&joined[n-1], &periods[i], acrossHours) {
			joined = append(joined, periods[i])
		}
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.ContainsFunc(group, func(c *Chunk) bool { return !c.parked }) {
		return true, nil // one may be offered by now: look again without it
	}
	if len(joined) < len(periods) {
		first := slices.Index(o.chunks, group[0])
		var made int64
		chunks := newChunks(joined, &o.next)
		for _, c := range chunks {
			c.parked, c.joined = true, true
			c.bytes = min(c.bytes, before*int64(c.periods)/int64(len(periods))+1) // until it is written
			made += c.bytes
		}
		for _, c := range group {
			o.removeLocked(c)
		}
		o.chunks = slices.Insert(o.chunks, min(first, len(o.chunks)), chunks...)
		o.counts.Joined += int64(len(periods) - len(joined))
		return true, nil
	}
	for _, c := range group {
		c.joined = true // nothing to gain: do not look again
	}
	return !acrossHours && len(joined) == len(periods), nil
}

// join adds q to p where q follows it in the same stream, and reports whether it did.
func join(p, q *usage.Period, acrossHours bool) bool {
	if p.Stream != q.Stream || q.FirstSequence() != p.Sequence+1 || p.End != q.Start || p.Final ||
		!p.Instance.Equal(&q.Instance) || !sameFlavor(p.Flavor, q.Flavor) || p.Metered != q.Metered || gaps(p) != gaps(q) ||
		!acrossHours && hourOf(p.Start) != hourOf(q.Start) {
		return false
	}
	length := p.Duration + q.Duration
	for m := range usage.NumMeters {
		p.Usage[m] += q.Usage[m]
		p.Quality[m] = max(p.Quality[m], q.Quality[m])
		p.Coverage[m] = int32(weigh(int64(p.Coverage[m]), p.Duration, int64(q.Coverage[m]), q.Duration)) //nolint:gosec // between two of them
	}
	for u := range p.Stats {
		s, t := &p.Stats[u], &q.Stats[u]
		if !s.Valid {
			*s = *t
		} else if t.Valid {
			s.Avg = weigh(s.Avg, p.Duration, t.Avg, q.Duration)
			s.Max = max(s.Max, t.Max)
		}
	}
	p.Devices = joinDevices(p.Devices, q.Devices)
	p.Joined = max(p.Joined, 1) + max(q.Joined, 1)
	p.Sequence, p.End, p.Duration = q.Sequence, q.End, length
	p.Totals = q.Totals
	p.Flavor = q.Flavor
	p.ClockStepped = p.ClockStepped || q.ClockStepped
	p.Final = q.Final
	return true
}

// sameFlavor is whether no change of flavor lies between: the size of the
// storage is informative, and file systems grow.
func sameFlavor(a, b usage.Flavor) bool {
	a.StorageBytes = b.StorageBytes
	return a == b
}

// gaps are the meters that are not known. Only periods with the same ones are
// joined: what is known of one stays known.
func gaps(p *usage.Period) (s usage.MeterSet) {
	for m := range p.Metered.All() {
		if p.Quality[m] == usage.Gap {
			s.Add(m)
		}
	}
	return s
}

func weigh(a, da, b, db int64) int64 {
	if da+db <= 0 {
		return max(a, b)
	}
	return int64((float64(a)*float64(da) + float64(b)*float64(db)) / float64(da+db))
}

func joinDevices(a, b []usage.DeviceUsage) []usage.DeviceUsage {
	out := slices.Clone(a)
	for i := range b {
		d := &b[i]
		at, found := slices.BinarySearchFunc(out, d, func(x usage.DeviceUsage, d *usage.DeviceUsage) int {
			if x.Class != d.Class {
				return int(x.Class) - int(d.Class)
			}
			return strings.Compare(x.ID, d.ID)
		})
		if !found {
			out = slices.Insert(out, at, *d)
			continue
		}
		for k := range d.Amounts {
			out[at].Amounts[k] += d.Amounts[k]
		}
	}
	return out
}
