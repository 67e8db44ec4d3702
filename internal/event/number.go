package event

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// million is how many of the unit of the last place make one: decimals have at
// most six places.
const million = 1_000_000

// floorDiv returns how many whole units of per are in v, rounded down, also
// before 1970.
func floorDiv(v, per int64) int64 {
	q := v / per
	if v%per < 0 {
		q--
	}
	return q
}

// wholeSeconds returns the whole seconds that a meter in us moved on from
// total-used to total. The differences of floors telescope: over the events of a
// stream they add up to the floor of the total, whatever the periods were.
func wholeSeconds(total, used int64) int64 {
	return floorDiv(total, million) - floorDiv(total-used, million)
}

// natural returns v, or 0 where a caller breaks the promise that amounts are
// never negative.
func natural(v int64) uint64 { return uint64(max(v, 0)) }

// appendRatio appends a*b/d in millionths, that is a*b/d/1e6, as a decimal,
// rounded half up. It appends 0 where d is 0: nothing was allotted, or no time passed.
func appendRatio(dst []byte, a, b, d uint64) []byte {
	if d == 0 {
		return append(dst, '0')
	}
	hi, lo := bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, d/2, 0)
	hi += carry // a*b is below 2^127
	if hi == 0 {
		return appendMillionths(dst, 0, lo/d)
	}
	qhi, r := hi/d, hi%d
	qlo, _ := bits.Div64(r, lo, d)
	return appendMillionths(dst, qhi, qlo)
}

// appendMillionths appends the 128-bit number hi:lo divided by 1e6, without
// trailing zeros.
func appendMillionths(dst []byte, hi, lo uint64) []byte {
	var fraction uint64
	if hi == 0 {
		lo, fraction = lo/million, lo%million
		dst = appendUint(dst, lo)
	} else {
		hi, fraction = hi/million, hi%million
		lo, fraction = bits.Div64(fraction, lo, million)
		dst = appendUint128(dst, hi, lo)
	}
	if fraction == 0 {
		return dst
	}
	digits := eightDigits(fraction * 100) // two zeros more, which go with the trailing ones
	dst = append(dst, '.')
	return put(dst, digits, 8-bits.LeadingZeros64(digits)/8)
}

// appendUint128 appends hi:lo in decimal. hi is below 1e19, so that what is left
// of the last 19 digits fits 64 bits.
func appendUint128(dst []byte, hi, lo uint64) []byte {
	if hi == 0 {
		return appendUint(dst, lo)
	}
	const e16, e8, e3 = 1e16, 1e8, 1e3
	upper, lower := bits.Div64(hi, lo, e16*e3)
	dst = appendUint(dst, upper)
	dst = put(dst, eightDigits(lower/e16)>>40, 3)
	dst = put(dst, eightDigits(lower/e8%e8), 8)
	return put(dst, eightDigits(lower%e8), 8)
}

// appendUint appends v in decimal.
func appendUint(dst []byte, v uint64) []byte {
	const e8 = 1e8
	if v > math.MaxInt64 {
		return put(appendInt(dst, int64(v/e8)), eightDigits(v%e8), 8)
	}
	return appendInt(dst, int64(v))
}

// appendInt appends v in decimal, as strconv.AppendInt does in more time:
// integers are most of an event.
func appendInt(dst []byte, v int64) []byte {
	const e8 = 1e8
	switch u := uint64(v); {
	case u < 10:
		return append(dst, byte('0'+u))
	case u < 100:
		return append(dst, byte('0'+u/10), byte('0'+u%10))
	case u < e8:
		digits := eightDigits(u)
		leading := bits.TrailingZeros64(digits) / 8 // zeros
		return put(dst, digits>>(8*leading&63), 8-leading)
	case v >= 0:
		return put(appendInt(dst, v/e8), eightDigits(u%e8), 8)
	case -u < e8:
		return appendInt(append(dst, '-'), -v)
	default: // not by way of -v, which the least has not
		return put(appendInt(append(dst, '-'), int64(-u/e8)), eightDigits(-u%e8), 8)
	}
}

// eightDigits returns the decimal digits of v, which is below 1e8, as the bytes
// of a word, the highest digit in the lowest byte. It divides all parts at once:
// two halves of four digits, then four pairs, then the digits, each in a lane
// wide enough that no product reaches the next.
func eightDigits(v uint64) uint64 {
	const (
		lanes4 = 0x0000_007f_0000_007f
		lanes2 = 0x000f_000f_000f_000f
	)
	v = v/10_000 | v%10_000<<32
	q := v * 10_486 >> 20 & lanes4 // x/100 for x < 10,000
	v = q | (v-q*100)<<16
	q = v * 103 >> 10 & lanes2 // x/10 for x < 100
	return q | (v-q*10)<<8
}

// put appends the first n of eight digits, n at most 8.
func put(dst []byte, digits uint64, n int) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, digits|0x3030_3030_3030_3030)
	return dst[:len(dst)-8+n]
}
