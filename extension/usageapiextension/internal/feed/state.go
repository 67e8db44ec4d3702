package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A state is what is remembered of an instance, in the State of its mark: what it was when
// that was last written. There is no more room than for an owner by two UUIDs; everything else is
// as short as it can be.
type state struct {
	stopped  bool
	epoch    uint16  // what happened in between is not known where it is another
	stream   [5]byte // of a random id
	start    uint32  // of the stream, unix s
	sequence uint32  // of the period
	run      uint32  // hash
	flavor   flavor
	written  uint16 // days since 1970
	owner    keptOwner
}

// A flavor is as much of one as a change of it is one of the flavor, and as is remembered.
type flavor struct {
	vcpus  uint16
	memory uint64 // KiB, below 2^40
	gpus   uint8
}

const (
	stateFormat = 1
	ownerSize   = webhook.MaxState - (1 + 2 + 5 + 4 + 4 + 4 + (2 + 5 + 1) + 2)
	day         = 24 * 60 * 60 // s
)

// within returns the number between 0 and most that is next to v.
func within(v int64, most uint64) uint64 { return min(uint64(max(v, 0)), most) } //nolint:gosec // not negative

// stateOf returns the state that a period shows. What has no room is cut to the most that has.
//
//nolint:gosec // within says the bounds
func stateOf(epoch uint16, p *usage.Period) state {
	s := state{
		stopped: p.Final, epoch: epoch,
		start: uint32(within(p.Stream.Start/1e9, math.MaxUint32)), sequence: uint32(min(p.Sequence, math.MaxUint32)),
		run: uint32(fnv1a(fnvOffset, p.Stream.Run)), flavor: flavorOf(p.Flavor),
		written: uint16(within(p.End/1e9/day, math.MaxUint16)), owner: ownerOf(&p.Instance).keep(),
	}
	copy(s.stream[:], p.Stream.ID[:])
	return s
}

func flavorOf(f usage.Flavor) flavor {
	return flavor{
		vcpus:  uint16(within(f.VCPUs, math.MaxUint16)), //nolint:gosec // within says the bounds
		memory: within(f.MemoryBytes>>10, 1<<40-1),
		gpus:   uint8(within(f.GPUs, math.MaxUint8)), //nolint:gosec // within says the bounds
	}
}

func (f flavor) usage() usage.Flavor {
	return usage.Flavor{VCPUs: int64(f.vcpus), MemoryBytes: int64(f.memory) << 10, GPUs: int64(f.gpus)} //nolint:gosec // below 2^40
}

// append appends the state: at most webhook.MaxState bytes.
func (s *state) append(dst []byte) []byte {
	be := binary.BigEndian
	head := byte(stateFormat << 1)
	if s.stopped {
		head |= 1
	}
	dst = be.AppendUint16(append(dst, head), s.epoch)
	dst = append(dst, s.stream[:]...)
	dst = be.AppendUint32(dst, s.start)
	dst = be.AppendUint32(dst, s.sequence)
	dst = be.AppendUint32(dst, s.run)
	dst = be.AppendUint16(dst, s.flavor.vcpus)
	dst = be.AppendUint64(dst, s.flavor.memory<<24|uint64(s.flavor.gpus)<<16|uint64(s.written))
	return append(dst, s.owner.text()...)
}

// parseState reads what append wrote. ok is false where it is of another format.
func parseState(b []byte) (s state, ok bool) {
	const fixed = webhook.MaxState - ownerSize
	if len(b) <= fixed || len(b) > webhook.MaxState || b[0]>>1 != stateFormat {
		return state{}, false
	}
	be := binary.BigEndian
	s.stopped = b[0]&1 != 0
	s.epoch = be.Uint16(b[1:])
	copy(s.stream[:], b[3:])
	s.start, s.sequence, s.run = be.Uint32(b[8:]), be.Uint32(b[12:]), be.Uint32(b[16:])
	rest := be.Uint64(b[22:])
	s.flavor = flavor{be.Uint16(b[20:]), rest >> 24, uint8(rest >> 16)} //nolint:gosec // one byte of it
	s.written = uint16(rest)                                            //nolint:gosec // two bytes of it
	s.owner.n = uint8(copy(s.owner.bytes[:], b[fixed:]))                //nolint:gosec // at most ownerSize
	if !s.owner.valid() {
		return state{}, false
	}
	return s, true
}

// An owner is whose an instance is; "" is nobody's.
type owner struct{ user, org string }

func ownerOf(i *usage.Instance) owner { return owner{i.UserID, i.OrgID} }

// A keptOwner is an owner as it is remembered: two texts, each with a byte before it that says
// how long it is or that it is a UUID in as many bytes as it has. What has no room is a hash, and
// only told apart from others. Equal owners are equal.
type keptOwner struct {
	bytes [ownerSize]byte
	n     uint8
}

const (
	asUUID = 0xff
	hashed = 0xfe
)

func (k *keptOwner) text() []byte { return k.bytes[:k.n] }

func (o owner) keep() (k keptOwner) {
	b, fits := appendKept(k.bytes[:0], o.user)
	if fits {
		b, fits = appendKept(b, o.org)
	}
	if !fits {
		k = keptOwner{}
		sum := fnv1a(fnv1a(fnv1a(fnvOffset, o.user), "\xff"), o.org) // 0xff is in no text
		b = binary.BigEndian.AppendUint64(append(k.bytes[:0], hashed), sum)
	}
	k.n = uint8(len(b)) //nolint:gosec // at most ownerSize
	return k
}

// appendKept appends a text where dst has room.
func appendKept(dst []byte, s string) (_ []byte, fits bool) {
	if id, ok := parseUUID(s); ok {
		if cap(dst)-len(dst) < 1+len(id) {
			return dst, false
		}
		return append(append(dst, asUUID), id[:]...), true
	}
	if cap(dst)-len(dst) < 1+len(s) {
		return dst, false
	}
	return append(append(dst, byte(len(s))), s...), true
}

// owner returns whose it is; ok is false where that is not known any more.
func (k *keptOwner) owner() (o owner, ok bool) {
	user, rest, ok1 := keptText(k.text())
	org, rest, ok2 := keptText(rest)
	if !ok1 || !ok2 || len(rest) > 0 {
		return owner{}, false
	}
	return owner{user.String(), org.String()}, true
}

// valid reports whether it is one that keep returns.
func (k *keptOwner) valid() bool {
	b := k.text()
	if len(b) > 0 && b[0] == hashed {
		return len(b) == 1+8
	}
	_, b, user := keptText(b)
	_, b, org := keptText(b)
	return user && org && len(b) == 0
}

// A kept is a text that appendKept wrote.
type kept struct {
	text []byte
	uuid bool
}

func (k kept) String() string {
	if k.uuid {
		return formatUUID([16]byte(k.text))
	}
	return string(k.text)
}

// keptText splits off the first text of b.
func keptText(b []byte) (k kept, rest []byte, ok bool) {
	if len(b) == 0 {
		return kept{}, nil, false
	}
	n := int(b[0])
	if k.uuid = n == asUUID; k.uuid {
		n = 16
	}
	if b = b[1:]; len(b) < n {
		return kept{}, nil, false
	}
	k.text = b[:n]
	return k, b[n:], true
}

// newer reports whether a period is newer than the state. Of two streams the one that began
// later is: a host that lost an instance to another says so when it likes.
func newer(now, was *state) bool {
	switch c := bytes.Compare(now.stream[:], was.stream[:]); {
	case c == 0:
		return now.sequence > was.sequence
	case now.start != was.start:
		return now.start > was.start
	default:
		return c > 0
	}
}

// FNV-1a of 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/. That of the standard library
// allocates.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnv1a(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// The keys of marks are hashes of what they are about.
const (
	keyLifecycle = "lifecycle/"
	keyEpoch     = "lifecycle epoch"
)

func markKey(kind, id string) [16]byte {
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], kind...), id...))
	return [16]byte(sum[:16])
}
