package threshold

import "strings"

// maxUnit is the length of the longest unit that is looked at.
const maxUnit = 63

// A unit is a UCUM unit (https://ucum.org/ucum, case sensitive) as a ratio of
// integers to the base units of its dimension. Ratios of integers stay exact
// where powers of ten below one would not.
type unit struct {
	dim      dimension
	num, den float64
}

// A dimension has the exponents of byte, second, joule, degree and volt.
type dimension [5]int8

const (
	dimByte = iota
	dimSecond
	dimJoule
	dimDegree
	dimVolt
)

// parseUnit reads products and quotients of units with a prefix: "GiBy",
// "MiBy.s", "kBy/s", "1", "%", "{packet}". Annotations in braces are 1.
// It does not allocate.
func parseUnit(s string) (unit, bool) {
	u := unit{num: 1, den: 1}
	if s == "" || len(s) > maxUnit {
		return u, false
	}
	divide := false
	for {
		end := termEnd(s)
		t, ok := parseTerm(s[:end])
		if !ok {
			return u, false
		}
		sign := int8(1)
		if divide {
			t.num, t.den = t.den, t.num
			sign = -1
		}
		u.num *= t.num
		u.den *= t.den
		for i := range u.dim {
			u.dim[i] += sign * t.dim[i]
		}
		if end == len(s) {
			return u, true
		}
		divide = s[end] == '/'
		s = s[end+1:]
	}
}

// termEnd returns where the first term of s ends: at a dot or a slash that is
// not within braces.
func termEnd(s string) int {
	braces := false
	for i := range len(s) {
		switch s[i] {
		case '{':
			braces = true
		case '}':
			braces = false
		case '.', '/':
			if !braces {
				return i
			}
		}
	}
	return len(s)
}

func parseTerm(s string) (unit, bool) {
	if open := strings.IndexByte(s, '{'); open >= 0 {
		if !annotation(s[open:]) {
			return unit{}, false
		}
		if s = s[:open]; s == "" {
			s = "1"
		}
	}
	if u, _, ok := atom(s); ok {
		return u, true
	}
	for cut := 1; cut <= 2 && cut < len(s); cut++ {
		num, den, known := prefix(s[:cut])
		u, metric, ok := atom(s[cut:])
		if known && ok && metric {
			u.num *= num
			u.den *= den
			return u, true
		}
	}
	return unit{}, false
}

func annotation(s string) bool {
	return len(s) > 2 && s[len(s)-1] == '}' && strings.Count(s, "{") == 1 && strings.Count(s, "}") == 1
}

// atom returns a unit without prefix, and whether it may have one.
func atom(s string) (u unit, metric, ok bool) {
	u = unit{num: 1, den: 1}
	switch s {
	case "1":
		return u, false, true
	case "%":
		u.den = 100
		return u, false, true
	case "By":
		u.dim[dimByte] = 1
		return u, true, true
	case "bit":
		u.dim[dimByte], u.den = 1, 8
		return u, true, true
	case "GB": // legacy, as in events of version 1.0
		u.dim[dimByte], u.num = 1, 1<<30
		return u, false, true
	case "MB":
		u.dim[dimByte], u.num = 1, 1<<20
		return u, false, true
	case "s":
		u.dim[dimSecond] = 1
		return u, true, true
	case "min":
		u.dim[dimSecond], u.num = 1, 60
		return u, false, true
	case "h":
		u.dim[dimSecond], u.num = 1, 3600
		return u, false, true
	case "d":
		u.dim[dimSecond], u.num = 1, 86400
		return u, false, true
	case "Hz":
		u.dim[dimSecond] = -1
		return u, true, true
	case "J":
		u.dim[dimJoule] = 1
		return u, true, true
	case "W":
		u.dim[dimJoule], u.dim[dimSecond] = 1, -1
		return u, true, true
	case "Cel":
		u.dim[dimDegree] = 1
		return u, false, true
	case "V":
		u.dim[dimVolt] = 1
		return u, true, true
	default:
		return u, false, false
	}
}

func prefix(s string) (num, den float64, ok bool) {
	switch s {
	case "n":
		return 1, 1e9, true
	case "u":
		return 1, 1e6, true
	case "m":
		return 1, 1e3, true
	case "k":
		return 1e3, 1, true
	case "M":
		return 1e6, 1, true
	case "G":
		return 1e9, 1, true
	case "T":
		return 1e12, 1, true
	case "P":
		return 1e15, 1, true
	case "Ki":
		return 1 << 10, 1, true
	case "Mi":
		return 1 << 20, 1, true
	case "Gi":
		return 1 << 30, 1, true
	case "Ti":
		return 1 << 40, 1, true
	case "Pi":
		return 1 << 50, 1, true
	default:
		return 0, 0, false
	}
}

// in returns how many of o one u is; ok is false where they measure different things.
func (u unit) in(o unit) (factor float64, ok bool) {
	return (u.num * o.den) / (u.den * o.num), u.dim == o.dim
}

// perSecond returns the unit of a rate of u.
func (u unit) perSecond() unit {
	u.dim[dimSecond]--
	return u
}
