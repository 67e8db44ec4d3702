package verify

import (
	"math"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// checkEvent checks what an event says on its own, beyond what its decoder does:
// that its end is not before its start, and that no amount is negative.
func checkEvent(p *usage.Period, found finder) {
	var totals, devices perMeter
	for m := range p.Metered.All() {
		used, total := p.Usage[m], p.Totals[m]
		if used > total {
			totals.addf(m, "the usage %d exceeds the total %d", used, total)
		} else if p.FirstSequence() == 1 && used != total {
			totals.addf(m, "the stream begins with this event, its usage is %d and its total %d", used, total)
		}
	}
	totals.end(Totals, found)
	var sums usage.Amounts
	for i := range p.Devices {
		d := &p.Devices[i]
		for k, amount := range d.Amounts {
			m := d.Class.Meter(k)
			if sums[m] > math.MaxInt64-amount {
				found.addf(Sum, "%s: the sum over the devices exceeds 64 bits", m.Info().Field)
				return
			}
			sums[m] += amount
		}
	}
	for m := range p.Metered.All() {
		if _, _, device := m.Device(); device && sums[m] != p.Usage[m] {
			devices.addf(m, "the usage is %d, the sum over the devices is %d", p.Usage[m], sums[m])
		}
	}
	devices.end(Devices, found)
}
