package event

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/google/uuid"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as the JSON string that events have it as.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

// appendString appends s as a JSON string, byte for byte as encoding/json with
// SetEscapeHTML(false) does: U+2028 and U+2029 are escaped, and each byte that is
// no UTF-8 becomes \ufffd.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if !allPlain(s) {
		return appendEscaped(dst, s)
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

// allPlain reports whether s stands for itself. It looks at eight bytes at a
// time; the last eight may overlap those before.
func allPlain(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if !plain(s[i]) {
				return false
			}
		}
		return true
	}
	for len(s) > 8 {
		if !plainWord(word(s)) {
			return false
		}
		s = s[min(8, len(s)-8):]
	}
	return plainWord(word(s))
}

// word returns the first eight bytes of s.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// plainWord reports whether all bytes of w are plain. A byte below n leaves its
// high bit set when n is taken from it; a borrow can only come from such a byte.
func plainWord(w uint64) bool {
	const ones = 0x0101_0101_0101_0101
	below := (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)
	return (w|below)&(ones<<7) == 0
}

// plain reports whether an ASCII byte stands for itself within a JSON string.
func plain(b byte) bool {
	return b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\'
}

// appendEscaped appends s, some of which is not plain, and the closing quote.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if plain(b) {
			i++
			continue
		}
		if b < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendControl(dst, b)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendControl appends the escape of an ASCII byte that is not plain.
func appendControl(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xf])
	}
}

// appendUUID appends id as a JSON string.
func appendUUID(dst []byte, id uuid.UUID) []byte {
	a, b := eightHex(id[0:4]), eightHex(id[4:8])
	c, d := eightHex(id[8:12]), eightHex(id[12:16])
	le := binary.LittleEndian
	dst = le.AppendUint64(append(dst, '"'), a)
	dst = le.AppendUint32(append(dst, '-'), uint32(b))
	dst = le.AppendUint32(append(dst, '-'), uint32(b>>32))
	dst = le.AppendUint32(append(dst, '-'), uint32(c))
	dst = le.AppendUint32(append(dst, '-'), uint32(c>>32))
	return append(le.AppendUint64(dst, d), '"')
}

// eightHex returns the hexadecimal digits of four bytes as the bytes of a word,
// the first in the lowest byte.
func eightHex(b []byte) uint64 {
	const ones = 0x0101_0101_0101_0101
	v := uint64(binary.LittleEndian.Uint32(b))
	v = (v | v<<16) & 0x0000_ffff_0000_ffff
	v = (v | v<<8) & 0x00ff_00ff_00ff_00ff // a byte in the low half of each lane of two
	v = (v>>4 | v<<8) & (ones * 0xf)       // its high nibble first
	letters := (v + ones*6) >> 4 & ones    // 1 where the digit is above 9
	return v + ones*'0' + letters*('a'-'0'-10)
}
