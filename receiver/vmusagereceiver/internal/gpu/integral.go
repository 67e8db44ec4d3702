package gpu

import (
	"math/bits"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// microsPerMiBs is a MiBy.s in bytes times us.
const microsPerMiBs = 1_000_000 << 20

// maxLevel bounds a level in bytes. No GPU has as much; a driver that says so is wrong.
const maxLevel = 1 << 50

// integral adds up a level over time: it holds from one poll to the next, at
// most for a while. The remainder of each step is carried into the next.
type integral struct {
	amount  uint64 // MiBy.s
	carry   uint64 // bytes times us, below microsPerMiBs
	covered uint64 // us for which the level was known
	level   uint64 // bytes
	valid   bool   // somebody saw the level
	at      int64  // us of CLOCK_BOOTTIME up to which it is accounted for
}

func (m *integral) begin(at reading.Instant) { *m = integral{at: at.Boot / 1000} }

// add says what the level is at that instant: before, the last one held, for at
// most hold us. ok is false where it could not be seen.
func (m *integral) add(at reading.Instant, bytes uint64, ok bool, hold int64) {
	now := at.Boot / 1000
	if now > m.at {
		if m.valid {
			m.hold(uint64(min(now-m.at, hold)))
		}
		m.at = now
	}
	if m.valid = ok && bytes <= maxLevel; m.valid {
		m.level = bytes
	}
}

func (m *integral) hold(us uint64) {
	m.covered += us
	hi, lo := bits.Mul64(m.level, us)
	lo, c := bits.Add64(lo, m.carry, 0)
	// level <= 2^50 and a step is shorter than a day of us: the quotient fits.
	q, r := bits.Div64(hi+c, lo, microsPerMiBs)
	m.amount += q
	m.carry = r
}
