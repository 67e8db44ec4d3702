package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// AppendString appends a string with its length before it.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendBool appends a byte.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendFloat appends the eight bytes of f.
func AppendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

// A Decoder takes a payload apart. After the first error every call returns
// zero, so that only the end needs a look at Err. It never panics and never
// allocates more than the payload can hold.
type Decoder struct {
	rest []byte
	err  error
}

// NewDecoder returns a Decoder of a payload, which it does not change.
func NewDecoder(payload []byte) *Decoder { return &Decoder{rest: payload} }

// Err returns the first error, which wraps [ErrCorrupt].
func (d *Decoder) Err() error { return d.err }

// Done reports whether all was read.
func (d *Decoder) Done() bool { return len(d.rest) == 0 }

// End is Err, or an error where something is left over.
func (d *Decoder) End() error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail("%d bytes are left over", len(d.rest))
	}
	return d.err
}

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
	}
	d.rest = nil
}

// Uint reads what binary.AppendUvarint wrote.
func (d *Decoder) Uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// Int reads what binary.AppendVarint wrote.
func (d *Decoder) Int() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// Count reads how many of something follow, each at least one byte long.
func (d *Decoder) Count() int {
	n := d.Uint()
	if n > uint64(len(d.rest)) {
		d.fail("%d elements in %d bytes", n, len(d.rest))
		return 0
	}
	return int(n)
}

// Bool reads what AppendBool wrote.
func (d *Decoder) Bool() bool { return d.Byte() != 0 }

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.rest) == 0 {
		d.fail("a byte is missing")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// String reads what AppendString wrote.
func (d *Decoder) String() string {
	n := d.Count()
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// Float reads what AppendFloat wrote.
func (d *Decoder) Float() float64 {
	var b [8]byte
	d.Bytes(b[:])
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

// Bytes fills b.
func (d *Decoder) Bytes(b []byte) {
	if len(d.rest) < len(b) {
		d.fail("%d bytes are missing", len(b)-len(d.rest))
		return
	}
	copy(b, d.rest)
	d.rest = d.rest[len(b):]
}
