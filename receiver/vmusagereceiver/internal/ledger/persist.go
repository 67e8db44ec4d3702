package ledger

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// shardSize is about how large a value with accounts gets. One that is damaged
// costs the streams in it and no others.
const shardSize = 64 << 10

// A Snapshot is all that a ledger knows between two readings, as sealed values.
// It is the caller's; giving it to the next Snapshot uses its memory again.
type Snapshot struct {
	Shards [][]byte
}

// Snapshot writes all accounts into s.
func (l *Ledger) Snapshot(s *Snapshot) {
	n := 0
	next := func() []byte {
		if n == len(s.Shards) {
			s.Shards = append(s.Shards, nil)
		}
		n++
		return wire.Begin(s.Shards[n-1][:0], wire.KindAccounts)
	}
	b := next()
	// Every shard has the scans: whichever is left knows them.
	appendScans := func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(len(l.scans)))
		for _, source := range slices.Sorted(maps.Keys(l.scans)) {
			b = appendInstant(wire.AppendString(b, source), l.scans[source])
		}
		return b
	}
	b = appendScans(b)
	for _, a := range l.accounts {
		if len(b) > shardSize {
			s.Shards[n-1] = wire.Seal(b)
			b = appendScans(next())
		}
		b = a.append(b)
		if a.apart != 0 {
			wire.Need(b, wire.FormatSampled)
		}
	}
	s.Shards[n-1] = wire.Seal(b)
	s.Shards = s.Shards[:n]
}

// Restore adds the accounts of one shard of a snapshot. Their next reading
// closes their period: it is bridged by the counters that survived. The error
// wraps one of wire's; nothing of the shard is taken then.
func (l *Ledger) Restore(shard []byte) error {
	payload, err := wire.Open(shard, wire.KindAccounts)
	if err != nil {
		return err
	}
	d := wire.NewDecoder(payload)
	scans := map[string]reading.Instant{}
	for range d.Count() {
		source := d.String()
		scans[source] = instant(d)
	}
	var accounts []*account
	for !d.Done() {
		a := &account{due: true, restored: true}
		a.read(d)
		accounts = append(accounts, a)
	}
	if err := d.End(); err != nil {
		return err
	}
	for _, a := range accounts {
		if a.open.Instance.ID == "" {
			return fmt.Errorf("%w: an account without an instance", wire.ErrCorrupt)
		}
	}
	maps.Copy(l.scans, scans)
	for _, a := range accounts {
		l.accounts[a.open.Instance.ID] = a
	}
	return nil
}

func (a *account) append(b []byte) []byte {
	b = wire.AppendPeriod(b, &a.open)
	b = appendInstant(b, a.began)
	b = appendInstant(b, a.last)
	b = binary.AppendUvarint(b, uint64(a.scanned))
	b = binary.AppendUvarint(b, uint64(len(a.counters)))
	for i := range a.counters {
		c := &a.counters[i]
		b = append(b, byte(c.first))
		b = wire.AppendString(b, c.id)
		b = wire.AppendString(b, c.model)
		b = binary.AppendUvarint(b, c.birth)
		b = append(b, c.flags())
		for k := range c.last {
			b = binary.AppendUvarint(b, c.last[k])
			b = binary.AppendVarint(b, c.used[k])
		}
		if c.sampling != nil {
			b = c.sampling.append(b)
		}
	}
	for _, l := range a.levels {
		b = wire.AppendBool(binary.AppendVarint(b, l.Bytes), l.Valid)
	}
	for _, v := range a.carry {
		b = binary.AppendUvarint(b, v)
	}
	for g := range a.groups {
		b = binary.AppendVarint(binary.AppendVarint(b, a.groups[g]), a.covered[g])
	}
	for _, e := range a.stats {
		b = binary.AppendUvarint(binary.AppendVarint(binary.AppendVarint(b, e.max), e.weight), e.sum)
	}
	return b
}

func (a *account) read(d *wire.Decoder) {
	d.Period(&a.open)
	a.open.Coverage = [usage.NumMeters]int32{}
	a.began, a.last = instant(d), instant(d)
	a.scanned = usage.MeterSet(d.Uint()) //nolint:gosec // bits of a set
	for range d.Count() {
		c := counter{first: usage.Meter(d.Byte()), id: d.String(), model: d.String(), birth: d.Uint()}
		flags := d.Byte()
		c.absent, c.base = flags&flagAbsent != 0, flags&flagBase != 0
		for k := range c.last {
			c.last[k], c.used[k] = d.Uint(), d.Int()
		}
		if flags&flagSampled != 0 {
			c.sampling = &sampling{}
			c.sampling.read(d)
			c.sampling.kind = samplingKind(flags >> kindShift & 3)
		}
		// The meters of the counter must exist; a checksum that fits says they do.
		c.first = min(c.first, usage.NumMeters-1)
		if c.sampling != nil {
			a.apart.Add(c.first)
		}
		a.counters = append(a.counters, c)
	}
	for k := range a.levels {
		a.levels[k] = reading.Level{Bytes: d.Int(), Valid: d.Bool()}
	}
	for m := range a.carry {
		a.carry[m] = d.Uint()
	}
	for g := range a.groups {
		a.groups[g], a.covered[g] = d.Int(), d.Int()
	}
	for u := range a.stats {
		a.stats[u].max, a.stats[u].weight, a.stats[u].sum = d.Int(), d.Int(), d.Uint()
	}
}

// What a counter's byte of flags says; format 1 knows the first alone.
const (
	flagAbsent = 1 << iota
	flagSampled
	flagBase

	kindShift = 3 // two bits: the kind of a sampling
)

func (c *counter) flags() (f byte) {
	if c.absent {
		f |= flagAbsent
	}
	if c.base {
		f |= flagBase
	}
	if c.sampling != nil {
		f |= flagSampled | byte(c.sampling.kind)<<kindShift
	}
	return f
}

func (s *sampling) append(b []byte) []byte {
	b = binary.AppendUvarint(b, s.covered)
	for _, v := range [...]int64{s.at, s.blind, s.grown, s.expected, s.dark} {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func (s *sampling) read(d *wire.Decoder) {
	*s = sampling{covered: d.Uint(), at: d.Int(), blind: d.Int(), grown: d.Int(), expected: d.Int(), dark: d.Int()}
}

func appendInstant(b []byte, at reading.Instant) []byte {
	return wire.AppendString(binary.AppendVarint(binary.AppendVarint(b, at.Boot), at.Wall), at.BootID)
}

func instant(d *wire.Decoder) reading.Instant {
	return reading.Instant{Boot: d.Int(), Wall: d.Int(), BootID: d.String()}
}
