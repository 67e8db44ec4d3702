package verify

import (
	"math"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// checkEvent checks what an event says on its own, beyond what its decoder does:
// that its end is not before its start, and that no amount is negative.
func checkEvent(p *usage.Period, found finder) {
	for m := range p.Metered.All() {
		used, total := p.Usage[m], p.Totals[m]
		if used > total {
			found.addf(Totals, "%s: the usage %d exceeds the total %d", m.Info().Field, used, total)
		} else if p.FirstSequence() == 1 && used != total {
			found.addf(Totals, "%s: the stream begins with this event, its usage is %d and its total %d", m.Info().Field, used, total)
		}
	}
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
			found.addf(Devices, "%s: the usage is %d, the sum over the devices is %d", m.Info().Field, p.Usage[m], sums[m])
		}
	}
}
