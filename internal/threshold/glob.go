package threshold

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Patterns are: * for any text, ? for one character, [a-z] and [!a-z] for one of
// a class, \ before a character that is to mean itself. They match whole texts.

// isGlob reports whether s means something else than itself.
func isGlob(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// checkGlob says what is wrong with a pattern; "" is nothing.
func checkGlob(pattern string) string {
	for i := 0; i < len(pattern); {
		switch pattern[i] {
		case '\\':
			if i++; i == len(pattern) {
				return `ends in \: write \\ for a backslash`
			}
			_, n := utf8.DecodeRuneInString(pattern[i:])
			i += n
		case '[':
			n, fault := checkClass(pattern[i:])
			if fault != "" {
				return fault
			}
			i += n
		default:
			i++
		}
	}
	return ""
}

func checkClass(s string) (length int, fault string) {
	i := 1
	if strings.HasPrefix(s[i:], "!") {
		i++
	}
	for first := true; ; first = false {
		if i == len(s) {
			return 0, `has a [ without ]: write \[ for a bracket`
		}
		if s[i] == ']' && !first {
			return i + 1, ""
		}
		lo, n := classChar(s[i:])
		hi := lo
		if n == 0 {
			return 0, `ends in \: write \\ for a backslash`
		}
		if i += n; len(s) > i+1 && s[i] == '-' && s[i+1] != ']' {
			hi, n = classChar(s[i+1:])
			if n == 0 {
				return 0, `ends in \: write \\ for a backslash`
			}
			i += 1 + n
		}
		if lo > hi {
			return 0, fmt.Sprintf("has the empty range %c-%c: write %c-%c", lo, hi, hi, lo)
		}
	}
}

// classChar returns the character that s begins with, and its length in s; 0
// where s is but a backslash.
func classChar(s string) (r rune, length int) {
	if s[0] == '\\' {
		r, n := utf8.DecodeRuneInString(s[1:])
		if n == 0 {
			return 0, 0
		}
		return r, n + 1
	}
	return utf8.DecodeRuneInString(s)
}

// matchGlob reports whether a valid pattern matches the whole of text. It takes
// at most len(pattern)*len(text) steps: only the last * is ever tried again,
// since what an earlier one could take instead, the last one can take, too.
func matchGlob(pattern, text string) bool {
	p, t := 0, 0
	star, again := -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, again = p, t
			p++
			continue
		}
		if dp, dt, ok := matchOne(pattern[p:], text[t:]); ok {
			p += dp
			t += dt
			continue
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(text[again:])
		again += n
		p, t = star+1, again
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches the character that text begins with, and returns the lengths
// of what matched.
func matchOne(pattern, text string) (inPattern, inText int, ok bool) {
	if pattern == "" {
		return 0, 0, false
	}
	r, n := utf8.DecodeRuneInString(text)
	switch pattern[0] {
	case '?':
		return 1, n, true
	case '[':
		length, in := matchClass(pattern, r)
		return length, n, in
	case '\\':
		pattern = pattern[1:]
		inPattern = 1
	}
	want, length := utf8.DecodeRuneInString(pattern)
	same := length == n && pattern[:length] == text[:n]
	return inPattern + length, n, same && want == r
}

func matchClass(s string, r rune) (length int, in bool) {
	i := 1
	not := s[i] == '!'
	if not {
		i++
	}
	for first := true; first || s[i] != ']'; first = false {
		lo, n := classChar(s[i:])
		hi := lo
		if i += n; s[i] == '-' && s[i+1] != ']' {
			hi, n = classChar(s[i+1:])
			i += 1 + n
		}
		in = in || lo <= r && r <= hi
	}
	return i + 1, in != not
}
