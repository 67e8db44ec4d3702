package threshold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

func (e *Engine) restore(values map[string][]byte) error {
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(values)) {
		entries, quotas, err := decodeShard(values[k])
		if err != nil {
			errs = append(errs, &ValueError{Key: k, Err: err})
			continue
		}
		for i := range entries {
			e.restoreEntry(&entries[i])
		}
		for _, q := range quotas {
			e.restoreQuota(q)
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) restoreEntry(p *episode) {
	k := key{p.rule.ID, p.subject.InstanceID, p.series}
	if e.entries[k] != nil {
		return // the same twice is nothing that was written here
	}
	n := e.admit(k)
	if n == nil {
		e.stats.Refused++
		return
	}
	n.state, n.exists, n.saved = *p, true, p.last
	n.state.restored = true
	e.shards[n.spot.shard].addEntry(n)
	if p.closed {
		n.over = e.closed.PushBack(n)
	}
	e.schedule(n)
}

func (e *Engine) restoreQuota(q *quota) {
	if e.quotas[q.key] != nil {
		return
	}
	if len(e.quotas) >= e.cfg.MaxQuotas || e.streams+len(q.marks) > e.cfg.MaxStreams {
		e.stats.Refused++
		return
	}
	q.exists, q.timer = true, timer{index: -1, quota: q}
	q.spot.shard = shardOf(q.key.subject)
	e.quotas[q.key] = q
	e.streams += len(q.marks)
	e.shards[q.spot.shard].addQuota(q)
	e.timers.set(&q.timer, e.dueQuota(q, &q.state))
}

// decodeShard reads what encode wrote. What it returns is within all bounds: times
// are in range, levels are levels, and what is on has a rule.
func decodeShard(value []byte) ([]episode, []*quota, error) {
	payload, err := wire.Open(value, wire.KindEpisodes)
	if err != nil {
		return nil, nil, err
	}
	d := wire.NewDecoder(payload)
	var rules []*Rule
	for range d.Count() {
		rules = append(rules, decodeRule(d))
	}
	rule := func() (*Rule, error) {
		i := d.Uint()
		if d.Err() == nil && i >= uint64(len(rules)) {
			return nil, fmt.Errorf("%w: rule %d of %d", wire.ErrCorrupt, i, len(rules))
		}
		if d.Err() != nil {
			return nil, d.Err()
		}
		return rules[i], nil
	}
	var entries []episode
	for range d.Count() {
		r, err := rule()
		if err != nil {
			return nil, nil, err
		}
		p := episode{rule: r}
		p.decode(d)
		if d.Err() == nil && !p.valid() {
			return nil, nil, fmt.Errorf("%w: an episode of rule %q is none", wire.ErrCorrupt, r.ID)
		}
		entries = append(entries, p)
	}
	var quotas []*quota
	for range d.Count() {
		r, err := rule()
		if err != nil {
			return nil, nil, err
		}
		q := &quota{marks: map[uuid.UUID]mark{}}
		q.state.rule = r
		q.decode(d)
		if d.Err() == nil && !q.valid() {
			return nil, nil, fmt.Errorf("%w: a quota of rule %q is none", wire.ErrCorrupt, r.ID)
		}
		quotas = append(quotas, q)
	}
	return entries, quotas, d.End()
}

func (p *episode) decode(d *wire.Decoder) {
	p.measure = decodeHash(d)
	p.subject = decodeSubject(d)
	p.series = d.String()
	for _, s := range [...]*signal{&p.warning, &p.critical} {
		s.on, s.turning, s.turn = d.Bool(), d.Bool(), d.Int()
	}
	p.since = d.Int()
	p.was = Level(d.Byte())
	said := d.Byte()
	p.said = Level(said & saidMask)
	if said&^saidMask != 0 {
		p.offered = offer{made: true, level: Level(said &^ offeredBit >> offeredShift)}
	}
	p.closed, p.silent = d.Bool(), d.Bool()
	p.saidAt = d.Int()
	decodeCounts(d, &p.counts)
	p.last = d.Int()
	p.value, p.limit = d.Float(), d.Float()
}

func (p *episode) valid() bool {
	for _, at := range [...]int64{p.since, p.last, p.saidAt, p.warning.turn, p.critical.turn} {
		if at < 0 || at > maxTime {
			return false
		}
	}
	return p.was <= Critical && p.said <= Critical && p.offered.level <= Critical && (p.warning.on || !p.critical.on) &&
		(p.closed || p.warning.on || p.warning.turning)
}

func decodeHash(d *wire.Decoder) uint64 {
	var b [8]byte
	d.Bytes(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func decodeSubject(d *wire.Decoder) Subject {
	return Subject{InstanceID: d.String(), UserID: d.String(), OrgID: d.String(), Labels: decodeLabels(d)}
}

func decodeCounts(d *wire.Decoder, counts *[NumLevels]uint32) {
	for i := range counts {
		counts[i] = uint32(d.Uint()) //nolint:gosec // written from 32 bits
	}
}

func (q *quota) decode(d *wire.Decoder) {
	s := &q.state
	s.measure, s.values = decodeHash(d), decodeHash(d)
	s.subject = decodeSubject(d)
	s.series = d.String()
	s.last = d.Int()
	for _, w := range [...]*window{&s.cur, &s.prev} {
		w.start, w.end, w.amount, w.allotment = d.Int(), d.Int(), d.Int(), d.Int()
		w.level, w.said, w.ended = Level(d.Byte()), Level(d.Byte()), d.Bool()
		decodeCounts(d, &w.counts)
	}
	for range d.Count() {
		var id uuid.UUID
		d.Bytes(id[:])
		m := mark{end: d.Int(), n: d.Count()}
		for i := range min(m.n, len(m.runs)) { // more are refused by valid
			m.runs[i] = run{d.Uint(), d.Uint()}
		}
		q.marks[id] = m
	}
	_, subject := s.rule.subjectOf(&s.subject)
	q.key = key{s.rule.ID, subject, s.series}
}

func (q *quota) valid() bool {
	s := &q.state
	if s.last < 0 || s.last > maxTime || s.cur.end == 0 || !s.cur.valid() || s.prev.end != 0 && (!s.prev.valid() || s.prev.end != s.cur.start) ||
		s.prev.end == 0 && s.prev != (window{}) || !s.rule.Calendar() {
		return false
	}
	for _, m := range q.marks {
		if m.n < 1 || m.n > len(m.runs) || m.end < 0 || m.end > maxTime {
			return false
		}
		for i, r := range m.runs[:m.n] {
			if r.first > r.last || i > 0 && r.first <= m.runs[i-1].last {
				return false
			}
		}
	}
	return true
}

func (w *window) valid() bool {
	const month = 40 * 24 * int64(time.Hour) // or a little more
	return w.start >= -month && w.start < w.end && w.end <= maxTime+month && w.amount >= 0 && w.allotment >= 0 &&
		w.level <= Critical && w.said <= Critical
}
