package render

import (
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// Hook returns the lines for what a webhook was sent: a line with when, of which type and under
// which id, then the event as [Event] and [Violation] show it, or its JSON.
func Hook(eventType, timestamp, id string, data []byte, color bool) string {
	p := pen{color: color}
	p.put(dim, Printable(timestamp)+"  ")
	p.put(bold, Printable(eventType))
	p.put(dim, "  "+Printable(id))
	p.put(plain, "\n")
	if e, err := event.Decode(data); err == nil {
		p.put(plain, Event(e, color))
	} else if v, err := event.DecodeViolation(data); err == nil {
		p.put(plain, Violation(v, color))
	} else {
		p.put(plain, "  "+Other(data))
	}
	return p.String()
}
