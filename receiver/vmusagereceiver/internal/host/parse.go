package host

import (
	"bytes"
	"errors"
	"math"
)

// errFormat is the cause of every error about the content of a file.
var errFormat = errors.New("not in the format that the kernel documents")

func blank(c byte) bool { return c == ' ' || c == '\t' }

// field cuts the next run of non-blanks off a line.
func field(l []byte) (f, rest []byte) {
	i := 0
	for i < len(l) && blank(l[i]) {
		i++
	}
	j := i
	for j < len(l) && !blank(l[j]) {
		j++
	}
	return l[i:j], l[j:]
}

// line cuts the next line off b.
func line(b []byte) (l, rest []byte) {
	l, rest, _ = bytes.Cut(b, []byte{'\n'})
	return l, rest
}

// leading parses the decimal digits at the start of b and returns how many
// there are: 0 where there is none, or where they do not fit into 64 bits.
func leading(b []byte) (n uint64, digits int) {
	i := 0
	for i < len(b) && b[i]-'0' <= 9 {
		d := uint64(b[i] - '0')
		if i >= 19 && (i > 19 || n > (math.MaxUint64-d)/10) { // 19 digits always fit, 21 never do
			return 0, 0
		}
		n = n*10 + d
		i++
	}
	return n, i
}

// number parses decimal digits; ok is false for anything else and for what
// does not fit into 64 bits.
func number(b []byte) (n uint64, ok bool) {
	n, digits := leading(b)
	return n, digits > 0 && digits == len(b)
}

// numbers parses the fields of a line into into and returns how many there
// were; ok is false where one is no number.
func numbers(l []byte, into []uint64) (n int, ok bool) {
	i := 0
	for n < len(into) {
		for i < len(l) && blank(l[i]) {
			i++
		}
		if i == len(l) {
			return n, true
		}
		v, digits := leading(l[i:])
		i += digits
		if digits == 0 || i < len(l) && !blank(l[i]) {
			return n, false
		}
		into[n] = v
		n++
	}
	return n, true
}
