package event

import "encoding/json"

// A field is one of a JSON object: the key as text, and the value as it is
// written, without white space around it.
type field struct {
	key   []byte
	value []byte
}

// appendFields appends the fields of the object that raw is, in their order. raw
// is valid JSON without white space before it: what follows takes nothing apart
// that has to be checked again.
func appendFields(dst []field, raw []byte) []field {
	i := space(raw, 1) // behind the brace
	for raw[i] != '}' {
		end := skip(raw, i)
		key := raw[i+1 : end-1]
		if !plainText(key) {
			key = []byte(unquote(raw[i:end]))
		}
		i = space(raw, space(raw, end)+1) // behind the colon
		end = skip(raw, i)
		dst = append(dst, field{key, raw[i:end:end]})
		if i = space(raw, end); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return dst
}

// itemsOf returns the elements of the array that raw is, likewise; ok is false
// where it is none.
func itemsOf(raw []byte) (items [][]byte, ok bool) {
	if raw[0] != '[' {
		return nil, false
	}
	i := space(raw, 1)
	for raw[i] != ']' {
		end := skip(raw, i)
		items = append(items, raw[i:end:end])
		if i = space(raw, end); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return items, true
}

// space returns where white space that begins at i ends.
func space(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r' {
		i++
	}
	return i
}

// skip returns where the value that begins at i ends.
func skip(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch raw[i] {
			case '"':
				i = skipString(raw, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	default: // a number, true, false or null; something follows, because it is within another
		for !endsValue(raw[i]) {
			i++
		}
		return i
	}
}

func endsValue(b byte) bool {
	switch b {
	case ',', '}', ']', ' ', '\n', '\t', '\r':
		return true
	default:
		return false
	}
}

func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// plainText reports whether what is between quotes stands for itself.
func plainText(text []byte) bool {
	for _, b := range text {
		if !plain(b) {
			return false
		}
	}
	return true
}

// unquote returns the text of a JSON string, quotes included in raw.
func unquote(raw []byte) string {
	if text := raw[1 : len(raw)-1]; plainText(text) {
		return string(text)
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it is valid
	return s
}
