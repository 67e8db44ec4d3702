package verify

import (
	"math"
	"strconv"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Amounts are sums of usage by meter. In JSON they are an object of exact
// integers whose keys are the fields of events, "cpu_time_us".
type Amounts struct {
	Metered usage.MeterSet // what there are sums of
	Of      usage.Amounts
}

// add adds amounts that are not negative. Where a sum would exceed 64 bits it
// stays at the largest, and add returns the meter.
func (a *Amounts) add(metered usage.MeterSet, of *usage.Amounts) (m usage.Meter, ok bool) {
	a.Metered |= metered
	m, ok = 0, true
	for n := range metered.All() {
		if a.Of[n] > math.MaxInt64-of[n] {
			a.Of[n] = math.MaxInt64
			m, ok = n, false
			continue
		}
		a.Of[n] += of[n]
	}
	return m, ok
}

// MarshalJSON writes the meters in their order.
func (a Amounts) MarshalJSON() ([]byte, error) {
	dst := []byte{'{'}
	for m := range a.Metered.All() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, m.Info().Field...)
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, a.Of[m], 10)
	}
	return append(dst, '}'), nil
}
