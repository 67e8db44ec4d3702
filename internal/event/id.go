package event

import (
	"crypto/sha1" //nolint:gosec // what RFC 9562 section 5.5 prescribes for version 5; not a secret

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// ID returns the id of the event of p: the UUIDv5 (RFC 9562) whose namespace is
// the stream's id and whose name is "sequence/start/end" in decimal, the bounds
// in unix ns. It depends on nothing else, so that every offer of a period, in
// every version, has the same id. It does not allocate.
func ID(p *usage.Period) uuid.UUID {
	var buf [16 + 3*20 + 2 + 8]byte // 20: the digits of the largest uint64, or of the least int64 and its sign; 8: what put writes beyond
	name := append(buf[:0], p.Stream.ID[:]...)
	name = appendUint(name, p.Sequence)
	name = append(name, '/')
	name = appendInt(name, p.Start)
	name = append(name, '/')
	name = appendInt(name, p.End)

	return versionFive(name)
}

// NamedID returns the UUIDv5 (RFC 9562) of a name in a namespace. It does not allocate where
// the name has at most 200 bytes.
func NamedID(namespace uuid.UUID, name []byte) uuid.UUID {
	var buf [216]byte
	return versionFive(append(append(buf[:0], namespace[:]...), name...))
}

// versionFive makes the id of a namespace and a name behind it.
func versionFive(name []byte) uuid.UUID {
	sum := sha1.Sum(name) //nolint:gosec // see the import
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x50 // version 5
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}
