package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Violation returns the lines for a violation of a threshold, each with its
// newline: when, who and how bad, then what is measured and since when. Times
// are UTC. With color, ANSI sequences set the lines off.
func Violation(e *event.Violation, color bool) string {
	p := pen{color: color}
	p.put(dim, instant(e.Timestamp*1e9)+" UTC")
	p.put(plain, "  ")
	p.subject(e)
	p.put(plain, "  ")
	p.state(e.Exact)
	p.put(plain, "\n  ")
	p.measured(e)
	p.episode(e.Exact)
	p.put(plain, "\n")
	if e.Config.Description != "" {
		p.put(dim, "  "+Printable(e.Config.Description)+"\n")
	}
	return p.String()
}

func (p *pen) subject(e *event.Violation) {
	var i usage.Instance
	if e.Exact != nil {
		i = e.Exact.Instance
	}
	switch e.Config.Per {
	case usage.PerUser:
		p.put(bold, "all of user "+Printable(e.UserID))
		return
	case usage.PerOrg:
		name := i.OrgID
		if name == "" {
			name = unknown // 1.0
		}
		p.put(bold, "all of organization "+Printable(name))
		return
	}
	if i.Name != "" && i.Name != e.InstanceID {
		p.put(bold, Printable(i.Name))
		p.put(dim, " ("+Printable(e.InstanceID)+")")
	} else {
		p.put(bold, Printable(e.InstanceID))
	}
	p.put(dim, "  owner ")
	p.put(plain, owner(e.UserID, i.OrgID))
}

// state writes how bad it is.
func (p *pen) state(v *usage.Violation) {
	switch {
	case v == nil: // 1.0 does not say
		p.put(yellow, "violation")
	case v.State == usage.Resolved:
		p.put(green, v.Level.String()+" resolved")
		if v.Reason != "" {
			p.put(dim, ", "+Printable(strings.ReplaceAll(v.Reason, "_", " ")))
		}
	case v.State == usage.NoData:
		p.put(yellow, v.Level.String()+", no data")
	case v.Level == usage.LevelCritical:
		p.put(red, "critical")
	default:
		p.put(yellow, v.Level.String())
	}
}

// measured writes the rule, what it is about and the two values.
func (p *pen) measured(e *event.Violation) {
	c := &e.Config
	what := c.Resource + c.Metric // one of them
	if e.Exact != nil && e.Exact.Series != "" {
		what += " of " + e.Exact.Series
	}
	if c.Window != "" {
		what += " in a " + c.Window
	}
	p.put(plain, Printable(c.ID))
	p.label("  " + Printable(what) + " ")
	p.put(plain, quantity(e.CurrentValue, c.Unit))
	p.label(" (threshold: " + c.Direction + " " + quantity(e.ThresholdValue, c.Unit) + ")")
}

// episode writes what 1.1 knows of before.
func (p *pen) episode(v *usage.Violation) {
	if v == nil {
		return
	}
	p.label("  since " + instant(v.Since) + " UTC")
	if v.Rule.Window != "" {
		p.label(", window from " + instant(v.WindowStart) + " UTC")
	}
	if v.Count > 0 {
		p.label(fmt.Sprintf(", repeat %d", v.Count))
	}
	if v.Suppressed > 0 {
		p.put(yellow, fmt.Sprintf(", and %d more kept back", v.Suppressed))
	}
}

// quantity shows a value to three places.
func quantity(v float64, unit string) string {
	s := strconv.FormatFloat(v, 'g', 4, 64)
	if a := math.Abs(v); v == 0 || a >= 0.01 && a < 1e15 {
		s = strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
	}
	return strings.TrimRight(s+" "+Printable(unit), " ")
}
