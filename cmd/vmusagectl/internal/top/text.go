package top

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

const (
	unknown  = "-"
	ellipsis = "…"
)

// columnsOf is how many columns of a terminal a rune takes: two where Unicode says wide
// (UAX #11), none where it is put over the one before.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// clean is text that a terminal shows as it is: nothing that it obeys, and nothing that changes the
// width of what is before it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xfe00 && r <= 0xfe0f { // variation selectors
			return -1
		}
		return r
	}, render.Printable(s))
}

// oneLine is a message of several lines.
func oneLine(s string) string { return clean(strings.ReplaceAll(s, "\n", "; ")) }

// cut shortens s to n columns at most.
func cut(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	at, room := 0, n-columns(ellipsis)
	for i, r := range s {
		if room -= columnsOf(r); room < 0 {
			at = i
			break
		}
	}
	return s[:at] + ellipsis
}

// fit makes s n columns wide.
func fit(s string, n int, right bool) string {
	s = cut(s, n)
	pad := strings.Repeat(" ", max(0, n-columns(s)))
	if right {
		return pad + s
	}
	return s + pad
}

// bytes is a number of bytes in the largest unit that leaves at least 1, in 6 columns.
func bytes(n *float64) string {
	if n == nil {
		return unknown
	}
	v, unit := *n, 0
	units := [...]string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	for v >= 1023.5 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	digits := 0
	if unit > 0 && v < 99.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[unit]
}

func percent(share *float64) string {
	if share == nil {
		return unknown
	}
	return strconv.FormatFloat(*share*100, 'f', 1, 64)
}

func count(n *float64) string {
	if n == nil {
		return unknown
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

// seconds is an age in 4 columns, up to 99 days.
func seconds(age *float64) string {
	if age == nil {
		return unknown
	}
	switch s := int64(min(*age, 1e15)); {
	case s < 100:
		return strconv.FormatInt(s, 10) + "s"
	case s < 100*60:
		return strconv.FormatInt(s/60, 10) + "m"
	case s < 48*3600:
		return strconv.FormatInt(s/3600, 10) + "h"
	default:
		return strconv.FormatInt(s/86400, 10) + "d"
	}
}

func text(s *string) string {
	if s == nil {
		return unknown
	}
	return clean(*s)
}

// grouped writes 10000 as 10,000.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
