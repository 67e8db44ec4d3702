package alerts

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// encodeLocked returns the value to be kept: what has begun and is not over, and what is over and
// not told yet.
func (a *Alerts) encodeLocked() []byte {
	n := len(a.ended)
	for _, ep := range a.open {
		if ep.begun {
			n++
		}
	}
	value := binary.AppendUvarint(wire.Begin(nil, wire.KindAlerts), uint64(n)) //nolint:gosec // a length
	for _, ep := range a.sortedLocked() {
		if ep.begun {
			value = ep.append(value)
		}
	}
	for _, ep := range a.ended {
		value = ep.append(value)
	}
	return wire.Seal(value)
}

func (ep *episode) append(dst []byte) []byte {
	dst = wire.AppendString(wire.AppendString(dst, ep.source), string(ep.name))
	dst = wire.AppendString(wire.AppendString(dst, ep.owner.UserID), ep.owner.OrgID)
	dst = wire.AppendBool(dst, ep.owner.Admin)
	dst = binary.AppendVarint(dst, ep.since)
	dst = wire.AppendBool(dst, ep.told)
	dst = wire.AppendString(dst, ep.reason) // of what is over
	dst = binary.AppendVarint(dst, ep.end)
	dst = binary.AppendUvarint(dst, uint64(len(ep.details)))
	for i := range ep.details {
		d := &ep.details[i]
		dst = wire.AppendString(wire.AppendString(dst, d.Key), d.Text)
		dst = binary.AppendVarint(wire.AppendBool(dst, d.Numeric), d.Number)
	}
	return dst
}

// Restore takes what was kept, before Run and before anything is set. What is not over is
// wrong until somebody says otherwise, or for Settle. The error wraps one of [wire]: then
// nothing is taken. What finds no room is left out and counted.
func (a *Alerts) Restore(value []byte) error {
	payload, err := wire.Open(value, wire.KindAlerts)
	if err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	d := wire.NewDecoder(payload)
	var all []*episode
	for range d.Count() {
		all = append(all, decode(d))
	}
	if err := d.End(); err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	forget := time.Now().Add(a.settings.Settle)
	for _, ep := range all {
		switch {
		case ep.since < 0 || ep.since > lastTime || ep.end < 0 || ep.end > lastTime || !ep.name.valid() || a.open[ep.key] != nil:
			continue // nothing that was ever kept
		case len(a.open)+len(a.ended) >= a.settings.Max:
			a.dropped++
			continue
		case ep.reason != "":
			a.ended = append(a.ended, ep)
		default:
			ep.forget = forget
			a.open[ep.key] = ep
		}
		a.latest = max(a.latest, ep.since)
	}
	a.nudge()
	return nil
}

// lastTime is before the end of times by far.
const lastTime = 1 << 62

func decode(d *wire.Decoder) *episode {
	ep := &episode{begun: true}
	ep.source, ep.name = cut(d.String(), maxText), Name(d.String())
	ep.owner = webhook.Owner{UserID: d.String(), OrgID: d.String(), Admin: d.Bool()}
	ep.since, ep.told = d.Int(), d.Bool()
	ep.reason, ep.end = d.String(), d.Int()
	var details []event.Detail
	for range d.Count() {
		details = append(details, event.Detail{Key: d.String(), Text: d.String(), Numeric: d.Bool(), Number: d.Int()})
	}
	ep.details = bounded(details)
	return ep
}
