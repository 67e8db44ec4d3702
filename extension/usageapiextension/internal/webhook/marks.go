package webhook

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// A Mark makes events known: of those with the same key only one with a higher sequence than
// all before is new. The zero Key is none.
type Mark struct {
	Key      [16]byte
	Sequence uint64
	// State is remembered with it, at most MaxState bytes.
	State []byte
}

// MaxState is how long the state of a mark is at most.
const MaxState = 64

const (
	markShards = 64
	// marksPerShard and markAge bound how many are remembered, and for how long.
	marksPerShard = 4096
	markAge       = 7 * 24 * time.Hour
)

// marks is the marks that are known. Those of messages that are in the storage are there with
// them, and only written by themselves when the message goes.
type marks struct {
	shards [markShards]map[[16]byte]mark
	dirty  map[int]struct{}
}

type mark struct {
	sequence uint64
	state    []byte
	number   uint64 // of the message that has it; 0 where none has
	touched  int64  // unix s
}

func newMarks() marks {
	m := marks{dirty: map[int]struct{}{}}
	for i := range m.shards {
		m.shards[i] = map[[16]byte]mark{}
	}
	return m
}

func (ms *marks) get(key [16]byte) (m Mark, ok bool) {
	k, ok := ms.shards[markShardOf(key)][key]
	return Mark{key, k.sequence, k.state}, ok
}

// markShardOf takes the last byte: the first ones of some UUIDs are a time.
func markShardOf(key [16]byte) int { return int(key[15]) % markShards }

func (ms *marks) set(m Mark, number uint64, now time.Time) {
	i := markShardOf(m.Key)
	ms.shards[i][m.Key] = mark{m.Sequence, m.State, number, now.Unix()}
	if number == 0 {
		ms.dirty[i] = struct{}{}
	}
	if len(ms.shards[i]) > marksPerShard+marksPerShard/8 {
		ms.prune(i, now)
	}
}

// release has a mark written by itself, because its message goes.
func (ms *marks) release(key [16]byte, number uint64) {
	i := markShardOf(key)
	if m, ok := ms.shards[i][key]; ok && m.number == number {
		m.number = 0
		ms.shards[i][key] = m
		ms.dirty[i] = struct{}{}
	}
}

// prune forgets marks that are too old, and the oldest where there are too many.
func (ms *marks) prune(i int, now time.Time) {
	shard, before := ms.shards[i], now.Add(-markAge).Unix()
	var keys [][16]byte
	for key, m := range shard {
		if m.touched < before {
			delete(shard, key)
			continue
		}
		keys = append(keys, key)
	}
	if over := len(keys) - marksPerShard; over > 0 {
		slices.SortFunc(keys, func(a, b [16]byte) int { return cmp.Compare(shard[a].touched, shard[b].touched) })
		for _, key := range keys[:over] {
			delete(shard, key)
		}
	}
	ms.dirty[i] = struct{}{}
}

func (ms *marks) len() (n int) {
	for i := range ms.shards {
		n += len(ms.shards[i])
	}
	return n
}

func markKey(shard int) string { return fmt.Sprintf("marks.%02x", shard) }

// encode returns the value of a shard.
func (ms *marks) encode(i int) []byte {
	value := wire.Begin(nil, wire.KindMarks)
	value = binary.AppendUvarint(value, uint64(len(ms.shards[i])))
	for key, m := range ms.shards[i] {
		value = append(value, key[:]...)
		value = binary.AppendUvarint(value, m.sequence)
		value = binary.AppendVarint(value, m.touched)
		value = wire.AppendString(value, string(m.state))
	}
	return wire.Seal(value)
}

// decode takes what encode returned.
func (ms *marks) decode(i int, value []byte) error {
	payload, err := wire.Open(value, wire.KindMarks)
	if err != nil {
		return err
	}
	d := wire.NewDecoder(payload)
	shard := map[[16]byte]mark{}
	for range d.Count() {
		var key [16]byte
		d.Bytes(key[:])
		m := mark{sequence: d.Uint(), touched: d.Int()}
		if state := d.String(); state != "" {
			m.state = []byte(state)
		}
		if d.Err() == nil && markShardOf(key) == i && len(m.state) <= MaxState {
			shard[key] = m
		}
	}
	if err := d.End(); err != nil {
		return err
	}
	ms.shards[i] = shard
	return nil
}
