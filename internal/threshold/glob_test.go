package threshold

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{"*", []string{"", "a", "a/b"}, nil},
		{"a*", []string{"a", "ab", "a/b"}, []string{"", "ba"}},
		{"*a", []string{"a", "ba", "aa"}, []string{"ab"}},
		{"a*b*c", []string{"abc", "axbxc", "abcbc"}, []string{"ab", "acb"}},
		{"**", []string{"", "a"}, nil},
		{"?", []string{"a", "é"}, []string{"", "ab"}},
		{"vm-[0-9]", []string{"vm-3"}, []string{"vm-x", "vm-33", "vm-"}},
		{"[!0-9]", []string{"x"}, []string{"3", ""}},
		{"[]]", []string{"]"}, []string{"["}},
		{"[!]]", []string{"["}, []string{"]"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{"[*?]", []string{"*", "?"}, []string{"a"}},
		{`[\]\\]`, []string{"]", `\`}, []string{"["}},
		{`\*`, []string{"*"}, []string{"a", `\*`}},
		{`a\[`, []string{"a["}, []string{"a"}},
		{"é?", []string{"éé"}, []string{"é"}},
		{"*é*", []string{"aéb"}, []string{"aeb"}},
	} {
		require.Empty(t, checkGlob(tt.pattern), tt.pattern)
		for _, s := range tt.yes {
			assert.True(t, matchGlob(tt.pattern, s), "%s matches %s", tt.pattern, s)
		}
		for _, s := range tt.no {
			assert.False(t, matchGlob(tt.pattern, s), "%s does not match %s", tt.pattern, s)
		}
	}
}

func TestGlobsThatAreNone(t *testing.T) {
	for pattern, want := range map[string]string{
		`a\`:    `ends in \`,
		"[a":    "has a [ without ]",
		"[":     "has a [ without ]",
		"[]":    "has a [ without ]",
		"[!]":   "has a [ without ]",
		"[z-a]": "has the empty range z-a",
		`[\`:    `ends in \`,
		`[a-\`:  `ends in \`,
	} {
		assert.Contains(t, checkGlob(pattern), want, pattern)
	}
}

// Exponential matchers take longer than the age of the universe for this one.
func TestGlobBomb(t *testing.T) {
	pattern := strings.Repeat("*a", MaxText/2-1) + "*b"
	assert.False(t, matchGlob(pattern, strings.Repeat("a", 10_000)))
	assert.True(t, matchGlob(pattern, strings.Repeat("a", 10_000)+"b"))
}

// globRegexp is the pattern as a regular expression.
func globRegexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	in, first := false, false
	for i := 0; i < len(pattern); {
		r, n := utf8.DecodeRuneInString(pattern[i:])
		i += n
		switch {
		case r == '\\':
			r, n = utf8.DecodeRuneInString(pattern[i:])
			i += n
			b.WriteString(`\x{` + hexOf(r) + `}`)
			first = false
		case in && r == ']' && !first:
			in = false
			b.WriteString("]")
		case in && r == '-' && !first && i < len(pattern) && pattern[i] != ']' && ranged(b.String()):
			b.WriteString("-")
		case in:
			b.WriteString(`\x{` + hexOf(r) + `}`)
			first = false
		case r == '*':
			b.WriteString(".*")
		case r == '?':
			b.WriteString(".")
		case r == '[':
			b.WriteString("[")
			in, first = true, true
			if i < len(pattern) && pattern[i] == '!' {
				b.WriteString("^")
				i++
			}
		default:
			b.WriteString(`\x{` + hexOf(r) + `}`)
		}
	}
	return regexp.MustCompile(b.String() + `\z`)
}

// ranged reports whether a - may follow: what is before is a character that does
// not end a range itself.
func ranged(s string) bool {
	last := strings.LastIndex(s, `\x{`)
	return last > 0 && s[last-1] != '-'
}

func hexOf(r rune) string {
	const digits = "0123456789abcdef"
	s := ""
	for ; r > 0; r /= 16 {
		s = string(digits[r%16]) + s
	}
	return s
}

func FuzzGlob(f *testing.F) {
	for _, pattern := range []string{"*", "a*b?c", "[a-z]*", "[!a-]?", `\*x`, "[]a]", "[a-b-c]", "é*", `[\]-z]`} {
		f.Add(pattern, "aXbYc")
		f.Add(pattern, "é-]")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if checkGlob(pattern) != "" || len(pattern) > MaxText {
			return
		}
		got := matchGlob(pattern, text)
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || strings.Contains(pattern, "\x00") {
			return // no regular expression says the same
		}
		assert.Equal(t, globRegexp(pattern).MatchString(text), got, "%q %q", pattern, text)
	})
}
