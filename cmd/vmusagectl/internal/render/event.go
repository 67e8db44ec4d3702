// Package render shows usage events to people: a few aligned lines for each.
package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// unknown stands where an event does not know an amount, which is not zero.
const unknown = "?"

// Event returns the lines for an event, each with its newline: when, which
// instance and whose, then what it used. Times are UTC. Exact amounts are taken
// where the event has them. With color, ANSI sequences set the lines off.
func Event(e *event.Event, color bool) string {
	p := pen{color: color}
	p.head(e)
	p.compute(e)
	p.transfer(e)
	return p.String()
}

// Other returns the line for an event that is not a usage event of a known
// version: its JSON as it came, on one line.
func Other(json []byte) string {
	return Printable(strings.Join(strings.Fields(string(json)), " ")) + "\n"
}

// head writes when, who and how sure.
func (p *pen) head(e *event.Event) {
	p.put(dim, period(e.Start, e.End))
	p.put(plain, "  ")
	name := ""
	if e.Period != nil {
		name = e.Period.Instance.Name
	}
	if name != "" && name != e.InstanceID {
		p.put(bold, Printable(name))
		p.put(dim, " ("+Printable(e.InstanceID)+")")
	} else {
		p.put(bold, Printable(e.InstanceID))
	}
	p.put(dim, "  owner ")
	p.put(plain, owner(e.UserID, e.OrgID))
	p.quality(e.Period)
	p.put(plain, "\n")
}

func (p *pen) quality(period *usage.Period) {
	if period == nil {
		return // 1.0 does not say
	}
	worst := period.WorstQuality()
	color := map[usage.Quality]style{usage.Measured: green, usage.Recovered: yellow, usage.Gap: red}[worst]
	p.put(plain, "  ")
	p.put(color, worst.String())
	if c := period.LeastCoverage(); c < usage.FullCoverage {
		p.put(color, fmt.Sprintf(", %.1f %% sampled", float64(c)/(usage.FullCoverage/100)))
	}
	if period.ClockStepped {
		p.put(yellow, ", clock stepped")
	}
	if period.Final {
		p.put(yellow, ", final")
	}
}

// compute writes CPU, memory and storage.
func (p *pen) compute(e *event.Event) {
	m := &e.Metrics
	p.label("  cpu     ")
	p.put(plain, seconds(e, usage.CPUTime, m.CPUSeconds)+percent(m.CPUPercentAvg))
	p.label("  memory  ")
	p.put(plain, gib(m.MemoryGB)+percent(m.MemoryPercent))
	p.label("  storage ")
	p.put(plain, strings.TrimRight(gib(m.StorageGB), " "))
	p.put(plain, "\n")
}

// transfer writes network and, where the instance has one, GPU.
func (p *pen) transfer(e *event.Event) {
	m := &e.Metrics
	p.label("  net out ")
	p.put(plain, fmt.Sprintf("%-20s", transferred(e, usage.NetworkTransmitBytes, m.NetworkEgressMB)))
	p.label("  net in  ")
	in := transferred(e, usage.NetworkReceiveBytes, m.NetworkIngressMB)
	if !hasGPU(e) {
		p.put(plain, in+"\n")
		return
	}
	p.put(plain, fmt.Sprintf("%-21s", in))
	p.label("  gpu     ")
	p.put(plain, strings.TrimRight(seconds(e, usage.GPUActive, m.GPUSeconds), " ")+"\n")
}

func hasGPU(e *event.Event) bool {
	if e.Period != nil {
		return e.Period.Metered.HasClass(usage.GPU)
	}
	return e.Metrics.GPUSeconds == nil || *e.Metrics.GPUSeconds != 0
}

// period shows two instants, and the second one's date only where it differs.
func period(start, end int64) string {
	from, to := time.Unix(start, 0).UTC(), time.Unix(end, 0).UTC()
	layout := time.TimeOnly
	if from.Format(time.DateOnly) != to.Format(time.DateOnly) {
		layout = time.DateTime
	}
	return from.Format(time.DateTime) + " - " + to.Format(layout) + " UTC"
}

func owner(user, org string) string {
	switch {
	case user == "" && org == "":
		return "none"
	case org == "":
		return Printable(user)
	case user == "":
		return "of " + Printable(org)
	default:
		return Printable(user) + " of " + Printable(org)
	}
}
