package event

import (
	"math"
	"strconv"
)

// appendFloat appends the shortest decimal that is read back as f, byte for byte
// as encoding/json does: with an exponent below 1e-6 and from 1e21 on. f is finite.
func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // 1e-09 is 1e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
