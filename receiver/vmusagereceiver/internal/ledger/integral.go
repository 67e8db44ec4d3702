package ledger

import (
	"math"
	"math/bits"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// How many products of level and nanosecond make one unit of a meter.
const (
	nanosPerMicro = 1_000                     // a count over ns, in us
	nanosPerMiBs  = (1 << 20) * 1_000_000_000 // bytes over ns, in MiBy.s
)

// integrate adds level times dt nanoseconds to meter m, in whole units of
// divisor; what is left over is carried into the next call.
func (a *account) integrate(m usage.Meter, level, dt int64, divisor uint64) {
	if level <= 0 || dt <= 0 || !a.open.Metered.Has(m) {
		return
	}
	hi, lo := bits.Mul64(uint64(level), uint64(dt))
	lo, carry := bits.Add64(lo, a.carry[m], 0)
	hi += carry
	if hi >= divisor { // more than 2^63 units: no machine is that large
		return
	}
	whole, rest := bits.Div64(hi, lo, divisor)
	if whole > math.MaxInt64/2 {
		return
	}
	a.open.Usage[m] += int64(whole)
	a.carry[m] = rest
}
