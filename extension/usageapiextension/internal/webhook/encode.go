package webhook

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// hookShards is how many values hold the hooks: keys are fixed, and a change writes its value
// whole. It is part of the format.
const hookShards = 64

func shardOf(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % hookShards)
}

func hookKey(shard int) string     { return fmt.Sprintf("hooks.%02x", shard) }
func bodyKey(number uint64) string { return fmt.Sprintf("body.%d", number) }
func toKey(number uint64) string   { return fmt.Sprintf("to.%d", number) }

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixNano())
}

func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func appendTexts[T ~string](dst []byte, list []T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = wire.AppendString(dst, string(s))
	}
	return dst
}

func textsOf[T ~string](d *wire.Decoder) (list []T) {
	for range d.Count() {
		list = append(list, T(d.String()))
	}
	return list
}

// appendHook appends a hook, and what of its endpoint outlives the process.
func appendHook(dst []byte, h *Hook, ep *endpoint) []byte {
	for _, s := range [...]string{h.ID, h.Owner.UserID, h.Owner.OrgID, h.CreatedBy, h.URL, h.Description, string(h.Status), h.Reason} {
		dst = wire.AppendString(dst, s)
	}
	dst = wire.AppendBool(dst, h.Owner.Admin)
	dst = binary.AppendUvarint(dst, h.Version)
	dst = appendTime(appendTime(dst, h.RegisteredAt), h.Since)
	dst = appendTexts(dst, h.Types)
	f := &h.Filter
	dst = appendTexts(appendTexts(appendTexts(dst, f.InstanceIDs), f.UserIDs), f.OrgIDs)
	dst = binary.AppendUvarint(dst, uint64(len(f.Levels)))
	for _, l := range f.Levels {
		dst = append(dst, byte(l))
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Labels)))
	for _, l := range f.Labels {
		dst = wire.AppendString(wire.AppendString(dst, l.Key), l.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(h.Secrets)))
	for _, s := range h.Secrets {
		dst = appendTime(wire.AppendString(dst, s.Key.Reveal()), s.Until)
	}
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, ep.last), ep.dropped)
	return appendTime(dst, ep.failingSince)
}

// decodeHooks returns the endpoints of a value.
func decodeHooks(value []byte) (eps []*endpoint, err error) {
	payload, err := wire.Open(value, wire.KindHooks)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	for range d.Count() {
		h := &Hook{ID: d.String()}
		h.Owner.UserID, h.Owner.OrgID = d.String(), d.String()
		h.CreatedBy, h.URL, h.Description, h.Status, h.Reason = d.String(), d.String(), d.String(), Status(d.String()), d.String()
		h.Owner.Admin, h.Version = d.Bool(), d.Uint()
		h.RegisteredAt, h.Since = timeOf(d.Int()), timeOf(d.Int())
		h.Types = textsOf[Type](d)
		f := &h.Filter
		f.InstanceIDs, f.UserIDs, f.OrgIDs = textsOf[string](d), textsOf[string](d), textsOf[string](d)
		for range d.Count() {
			f.Levels = append(f.Levels, usage.ThresholdLevel(d.Byte()))
		}
		for range d.Count() {
			f.Labels = append(f.Labels, usage.Label{Key: d.String(), Value: d.String()})
		}
		for range d.Count() {
			key, err := signing.ParseSecret(d.String())
			if err != nil && d.Err() == nil {
				return nil, fmt.Errorf("%w: the secret of %q: %w", wire.ErrCorrupt, h.ID, err)
			}
			h.Secrets = append(h.Secrets, Secret{key, timeOf(d.Int())})
		}
		ep := newEndpoint(h)
		ep.last, ep.dropped, ep.failingSince = d.Uint(), d.Uint(), timeOf(d.Int())
		if d.Err() != nil {
			break
		}
		if err := h.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", wire.ErrCorrupt, err)
		}
		eps = append(eps, ep)
	}
	return eps, d.End()
}

// check says what no hook can be.
func (h *Hook) check() error {
	switch {
	case h.ID == "", h.URL == "", len(h.Types) == 0:
		return fmt.Errorf("hook %q has no id, URL or types", h.ID)
	case len(h.Secrets) == 0, !h.Secrets[0].Until.IsZero():
		return fmt.Errorf("hook %q has no secret", h.ID)
	case h.Status != Registered && h.Status != Paused && h.Status != Disabled:
		return fmt.Errorf("hook %q has the status %q", h.ID, h.Status)
	}
	return nil
}

// encodeBody returns the value with what is sent.
func encodeBody(body []byte) []byte {
	return wire.Seal(append(wire.Begin(make([]byte, 0, len(body)+16), wire.KindBody), body...))
}

// states are the states in the order of the numbers with which they are written.
func states() [4]State { return [...]State{Pending, Delivered, Failed, Dropped} }

// encodeLocked returns the value with all of a message but its body.
func (m *message) encodeLocked() []byte {
	value := wire.Begin(nil, wire.KindMessage)
	value = append(value, m.id[:]...)
	for _, s := range [...]string{string(m.typ), m.instance, m.user, m.org, m.alertUser, m.alertOrg} {
		value = wire.AppendString(value, s)
	}
	value = binary.AppendVarint(binary.AppendVarint(value, m.at), m.accepted)
	value = binary.AppendVarint(value, m.size)
	value = append(value, m.mark.Key[:]...)
	value = wire.AppendString(binary.AppendUvarint(value, m.mark.Sequence), string(m.mark.State))
	n := 0
	for _, d := range m.to {
		if d.endpoint != nil {
			n++
		}
	}
	value = binary.AppendUvarint(value, uint64(n))
	all := states()
	for _, d := range m.to {
		if d.endpoint == nil {
			continue
		}
		value = wire.AppendString(value, d.endpoint.hook.ID)
		value = binary.AppendUvarint(value, d.number)
		value = append(value, byte(slices.Index(all[:], d.state))) //nolint:gosec // one of them
		value = binary.AppendUvarint(value, uint64(d.attempts))    //nolint:gosec // not negative
		value = appendTime(value, d.due)
		var last Attempt
		if len(d.log) > 0 {
			last = d.log[len(d.log)-1]
		}
		value = binary.AppendVarint(appendTime(value, last.At), int64(last.Status))
		value = binary.AppendVarint(value, int64(last.Latency))
		value = wire.AppendString(value, last.Error)
	}
	return wire.Seal(value)
}

// decodeMessage returns a message. Those of its deliveries whose hook is not there are left out.
func decodeMessage(number uint64, value []byte, hooks map[string]*endpoint) (*message, error) {
	payload, err := wire.Open(value, wire.KindMessage)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	m := &message{number: number, written: true}
	d.Bytes(m.id[:])
	m.typ, m.instance, m.user, m.org, m.alertUser, m.alertOrg = Type(d.String()), d.String(), d.String(), d.String(), d.String(), d.String()
	m.at, m.accepted, m.size = d.Int(), d.Int(), d.Int()
	d.Bytes(m.mark.Key[:])
	m.mark.Sequence = d.Uint()
	if state := d.String(); state != "" {
		m.mark.State = []byte(state)
	}
	for range d.Count() {
		to := &delivery{message: m, endpoint: hooks[d.String()], number: d.Uint(), place: -1}
		code := d.Byte()
		to.attempts, to.due = int(min(d.Uint(), 1<<20)), timeOf(d.Int()) //nolint:gosec // bounded
		last := Attempt{At: timeOf(d.Int()), Status: int(d.Int()), Latency: time.Duration(d.Int()), Error: d.String()}
		if d.Err() != nil {
			break
		}
		all := states()
		if int(code) >= len(all) {
			return nil, fmt.Errorf("%w: a delivery has the state %d", wire.ErrCorrupt, code)
		}
		to.state = all[code]
		if !last.At.IsZero() {
			to.log = []Attempt{last}
		}
		if to.endpoint != nil {
			m.to = append(m.to, to)
		}
	}
	if m.size < 0 || len(m.mark.State) > MaxState {
		return nil, fmt.Errorf("%w: sizes", wire.ErrCorrupt)
	}
	return m, d.End()
}
