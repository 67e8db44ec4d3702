package threshold

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// numShards is how many values hold what is remembered. Keys are fixed, because a
// storage cannot list what is in it, and many, because a value is written whole
// when anything in it changes: of 10,000 episodes each has two or three. It is part
// of the format.
const numShards = 4096

// A shard is what one value holds: all of some subjects.
type shard struct {
	entries []*entry
	quotas  []*quota
}

// A spot is where in which shard something is.
type spot struct{ shard, pos int }

func shardOf(subject string) int {
	h := fnv.New32a()
	h.Write([]byte(subject))
	return int(h.Sum32() % numShards)
}

func (s *shard) addEntry(n *entry) {
	n.spot.pos = len(s.entries)
	s.entries = append(s.entries, n)
}

func (s *shard) removeEntry(n *entry) {
	last := len(s.entries) - 1
	s.entries[n.spot.pos] = s.entries[last]
	s.entries[n.spot.pos].spot.pos = n.spot.pos
	s.entries[last] = nil
	s.entries = s.entries[:last]
}

func (s *shard) addQuota(q *quota) {
	q.spot.pos = len(s.quotas)
	s.quotas = append(s.quotas, q)
}

func (s *shard) removeQuota(q *quota) {
	last := len(s.quotas) - 1
	s.quotas[q.spot.pos] = s.quotas[last]
	s.quotas[q.spot.pos].spot.pos = q.spot.pos
	s.quotas[last] = nil
	s.quotas = s.quotas[:last]
}

// A Change is a value to write to a storage, or nil where the key is to be deleted.
type Change struct {
	Key   string
	Value []byte
}

// Keys returns the keys of all values that there may be.
func Keys() []string {
	keys := make([]string, numShards)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	return keys
}

func keyOf(shard int) string { return fmt.Sprintf("episodes.%03x", shard) }

// Flush hands write what was committed since the last time that it returned nil,
// ordered by key, and nothing if there is nothing. It is to be one batch. Calls wait for
// one another, so that an older value is never written over a newer one;
// transactions do not wait for them.
func (e *Engine) Flush(write func([]Change) error) error {
	e.flushing.Lock()
	defer e.flushing.Unlock()
	shards, changes := e.takeDirty()
	if len(changes) == 0 {
		return nil
	}
	err := write(changes)
	if err != nil {
		e.mu.Lock()
		for _, s := range shards {
			e.dirty[s] = struct{}{}
		}
		e.mu.Unlock()
	}
	return err
}

// takeDirty encodes one shard after the other, so that transactions need not wait
// for all. Nothing relies on two shards being of the same instant.
func (e *Engine) takeDirty() ([]int, []Change) {
	e.mu.Lock()
	shards := slices.Sorted(maps.Keys(e.dirty))
	e.mu.Unlock()
	changes := make([]Change, len(shards))
	for i, s := range shards {
		e.mu.Lock()
		delete(e.dirty, s)
		changes[i] = Change{Key: keyOf(s), Value: e.shards[s].encode()}
		e.mu.Unlock()
	}
	return shards, changes
}

// encode returns the value of a shard: the rules, and what refers to them.
func (s *shard) encode() []byte {
	if len(s.entries) == 0 && len(s.quotas) == 0 {
		return nil
	}
	var rules []*Rule
	ref := func(r *Rule) uint64 {
		i := slices.Index(rules, r)
		if i < 0 {
			i = len(rules)
			rules = append(rules, r)
		}
		return uint64(i) //nolint:gosec // an index
	}
	var body []byte
	body = binary.AppendUvarint(body, uint64(len(s.entries)))
	for _, n := range s.entries {
		body = n.state.append(binary.AppendUvarint(body, ref(n.state.rule)))
		n.saved = n.state.last
	}
	body = binary.AppendUvarint(body, uint64(len(s.quotas)))
	for _, q := range s.quotas {
		body = q.append(binary.AppendUvarint(body, ref(q.state.rule)))
	}
	b := wire.Begin(nil, wire.KindEpisodes)
	b = binary.AppendUvarint(b, uint64(len(rules)))
	for _, r := range rules {
		b = r.append(b)
	}
	return wire.Seal(append(b, body...))
}

// Restore reads what [Engine.Flush] wrote, by key, into a new engine, before its
// first transaction and before Replace. A value that cannot be read is left out, and
// is what the error, an [errors.Join] of one [ValueError] each, says; the others
// are remembered all the same.
//
// Time does not go on while nobody looks: how long nothing was measured counts from
// the first Tick after it.
func (e *Engine) Restore(values map[string][]byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.restore(values)
}

// A ValueError says that a value of a storage cannot be read. It wraps one of the errors of package wire.
type ValueError struct {
	Key string
	Err error
}

// Error names the key.
func (e *ValueError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap returns what is wrong.
func (e *ValueError) Unwrap() error { return e.Err }

// What was offered lies beside what was said, in one byte.
const (
	offeredBit   = 0x80
	offeredShift = 4
	saidMask     = 0x0f
)

func (p *episode) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.measure)
	b = p.subject.append(b)
	b = wire.AppendString(b, p.series)
	b = p.warning.append(b)
	b = p.critical.append(b)
	b = binary.AppendVarint(b, p.since)
	said := byte(p.said)
	if p.offered.made {
		said |= offeredBit | byte(p.offered.level)<<offeredShift
	}
	b = append(b, byte(p.was), said)
	b = wire.AppendBool(wire.AppendBool(b, p.closed), p.silent)
	b = binary.AppendVarint(b, p.saidAt)
	b = appendCounts(b, &p.counts)
	b = binary.AppendVarint(b, p.last)
	return wire.AppendFloat(wire.AppendFloat(b, p.value), p.limit)
}

func (s *signal) append(b []byte) []byte {
	b = wire.AppendBool(wire.AppendBool(b, s.on), s.turning)
	return binary.AppendVarint(b, s.turn)
}

func appendCounts(b []byte, counts *[NumLevels]uint32) []byte {
	for _, n := range counts {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func (s *Subject) append(b []byte) []byte {
	for _, t := range [...]string{s.InstanceID, s.UserID, s.OrgID} {
		b = wire.AppendString(b, t)
	}
	return appendLabels(b, s.Labels)
}

func appendLabels(b []byte, labels []Label) []byte {
	b = binary.AppendUvarint(b, uint64(len(labels)))
	for _, l := range labels {
		b = wire.AppendString(wire.AppendString(b, l.Key), l.Value)
	}
	return b
}

func (q *quota) append(b []byte) []byte {
	s := &q.state
	b = binary.LittleEndian.AppendUint64(b, s.measure)
	b = binary.LittleEndian.AppendUint64(b, s.values)
	b = s.subject.append(b)
	b = wire.AppendString(b, s.series)
	b = binary.AppendVarint(b, s.last)
	b = s.cur.append(b)
	b = s.prev.append(b)
	b = binary.AppendUvarint(b, uint64(len(q.marks)))
	for _, id := range sortedIDs(q.marks) {
		m := q.marks[id]
		b = append(b, id[:]...)
		b = binary.AppendVarint(b, m.end)
		b = binary.AppendUvarint(b, uint64(m.n)) //nolint:gosec // at most 4
		for _, r := range m.runs[:m.n] {
			b = binary.AppendUvarint(binary.AppendUvarint(b, r.first), r.last)
		}
	}
	return b
}

func sortedIDs(marks map[uuid.UUID]mark) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(marks))
	for id := range marks {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

func (w *window) append(b []byte) []byte {
	for _, v := range [...]int64{w.start, w.end, w.amount, w.allotment} {
		b = binary.AppendVarint(b, v)
	}
	b = append(b, byte(w.level), byte(w.said))
	return appendCounts(wire.AppendBool(b, w.ended), &w.counts)
}
