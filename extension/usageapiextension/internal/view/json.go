package view

import (
	"math"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// A writer appends JSON. Commas come by themselves.
type writer struct{ b []byte }

// comma separates what is next from what was before.
func (w *writer) comma() {
	if n := len(w.b); n > 0 {
		switch w.b[n-1] {
		case '{', '[', ':':
		default:
			w.b = append(w.b, ',')
		}
	}
}

// key begins a member of an object; keys are of the program, and need no escapes.
func (w *writer) key(k string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) open(k string, bracket byte) {
	if k != "" {
		w.key(k)
	} else {
		w.comma()
	}
	w.b = append(w.b, bracket)
}

func (w *writer) end(bracket byte) { w.b = append(w.b, bracket) }

func (w *writer) null(k string) {
	w.key(k)
	w.b = append(w.b, "null"...)
}

func (w *writer) text(k, v string) {
	w.key(k)
	w.b = AppendText(w.b, v)
}

// orNull writes a text, and null for none.
func (w *writer) orNull(k, v string) {
	if v == "" {
		w.null(k)
		return
	}
	w.text(k, v)
}

func (w *writer) integer(k string, v int64, known bool) {
	if !known {
		w.null(k)
		return
	}
	w.key(k)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *writer) number(k string, v float64, known bool) {
	if !known {
		w.null(k)
		return
	}
	w.key(k)
	w.b = AppendNumber(w.b, v)
}

// seconds writes milliseconds as seconds.
func (w *writer) seconds(k string, millis int64, known bool) {
	w.number(k, float64(millis)/1000, known)
}

func (w *writer) boolean(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
}

// time writes unix ns by RFC 3339, in UTC and with all digits that there are.
func (w *writer) time(k string, ns int64) {
	w.key(k)
	w.b = append(w.b, '"')
	w.b = time.Unix(0, ns).UTC().AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
}

// AppendNumber appends a number, and null for what is none.
func AppendNumber(b []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(b, int64(v), 10) // most are whole, and this is faster
	}
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(b, "null"...)
	case math.Abs(v) < 1e15:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	default:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
}

// AppendText appends a text as JSON has it. Anyone may have sent it.
func AppendText(b []byte, s string) []byte { return event.AppendString(b, s) }
