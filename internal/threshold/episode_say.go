package threshold

import (
	"crypto/sha1" //nolint:gosec // what RFC 9562 section 5.5 prescribes for version 5; not a secret
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// say announces something of an episode, if no rate limit keeps it back.
func (tx *Tx) say(n *entry, state State, level Level, at int64, why Reason) {
	p := n.work
	kind := kindOf(state, level == p.said)
	mark := &p.kept
	switch {
	case kind == KindNoData, kind == KindResolved:
		mark = nil
	case mark.level != level, mark.repeat != (kind == KindRepeat):
		*mark = kept{} // it was of something else
	}
	suppressed, ok := tx.allow(p.rule, &p.subject, at, kind == KindResolved, mark)
	if !ok {
		if mark == nil || mark.level == OK {
			tx.work.stats.Suppressed[kind]++
		}
		if mark != nil {
			mark.level, mark.repeat = level, kind == KindRepeat
		}
		return
	}
	p.kept, p.offered = kept{}, offer{}
	counter := &p.counts[OK]
	if state == Firing {
		p.said, p.saidAt = level, at
		counter = &p.counts[level]
	}
	tx.announce(Announcement{
		Episode: episodeID(n.key, p.since),
		Rule:    p.rule, Subject: p.subject.clone(), Series: p.series,
		State: state, Reason: why, Level: level, Value: p.value, Limit: p.limit,
		At: at, Since: p.since, Count: *counter, Window: p.rule.Window, Suppressed: suppressed,
	}, kind)
	*counter++
}

func kindOf(state State, same bool) Kind {
	switch {
	case state == Resolved:
		return KindResolved
	case state == NoneSeen:
		return KindNoData
	case same:
		return KindRepeat
	default:
		return KindTransition
	}
}

// announce adds what follows from the rest, and counts.
func (tx *Tx) announce(a Announcement, kind Kind) {
	a.ID = announcementID(&a)
	a.Threshold = a.Rule.Warning
	if a.Level == Critical {
		a.Threshold = a.Rule.Critical
	}
	if a.Threshold != 0 {
		a.Ratio = a.Value / a.Threshold
	}
	tx.said = append(tx.said, a)
	tx.work.stats.Announced[kind]++
}

// namespace is that of the ids, a random UUID.
func namespace() uuid.UUID {
	return uuid.UUID{0x8f, 0x1c, 0x55, 0xd2, 0x3a, 0x07, 0x4e, 0x6b, 0x9d, 0x41, 0x70, 0xc9, 0x2e, 0xb8, 0x13, 0xf6}
}

// episodeID is the UUIDv5 of rule, subject and series, each with its length before
// it (a varint), and the unix ns of the start (a varint).
func episodeID(k key, since int64) uuid.UUID {
	ns := namespace()
	name := append(make([]byte, 0, 256), ns[:]...)
	name = wire.AppendString(wire.AppendString(wire.AppendString(name, k.rule), k.subject), k.series)
	return version5(binary.AppendVarint(name, since))
}

// announcementID is the UUIDv5, in the namespace of the episode, of state (with
// its length), level (a byte) and count (a varint). An episode is one of a rule and a subject.
func announcementID(a *Announcement) uuid.UUID {
	name := append(make([]byte, 0, 64), a.Episode[:]...)
	name = append(wire.AppendString(name, string(a.State)), byte(a.Level))
	return version5(binary.AppendUvarint(name, uint64(a.Count)))
}

func version5(name []byte) uuid.UUID {
	sum := sha1.Sum(name) //nolint:gosec // see the import
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x50 // version 5
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}
