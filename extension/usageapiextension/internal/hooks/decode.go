package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/internal/nearest"
)

// A decoder reads a body that is JSON, and notes all that is wrong with it.
type decoder struct {
	patch bool // null removes; else it is as if it were not there
	wrong []problem.Invalid
	meant []string // members that something unknown is taken for
}

// maxWrong is how much of what is wrong is told.
const maxWrong = 100

// A place is where in the body something is.
type place []string

func (p place) below(key string) place { return append(slices.Clip(p), key) }

func (d *decoder) note(at place, format string, args ...any) {
	if len(d.wrong) < maxWrong {
		d.wrong = append(d.wrong, problem.Invalid{Pointer: resource.Pointer(at...), Detail: fmt.Sprintf(format, args...)})
	}
}

// object calls take for each member of an object that is known; nil for known takes all.
func (d *decoder) object(at place, text json.RawMessage, known []string, take func(key string, at place, value json.RawMessage)) {
	if text[0] != '{' {
		d.note(at, "is %s: it must be an object", kind(text))
		return
	}
	seen := map[string]bool{}
	tokens := json.NewDecoder(bytes.NewReader(text))
	_, _ = tokens.Token() // the brace
	for tokens.More() {
		token, err := tokens.Token()
		key, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || tokens.Decode(&value) != nil {
			return // it was held for valid JSON before
		}
		below := at.below(key)
		switch {
		case seen[key]:
			d.note(below, "is there twice")
		case known != nil && !slices.Contains(known, key):
			if len(at) == 0 && slices.Contains(ofTheServer, key) {
				d.note(below, "is set by the server: leave it out")
				break
			}
			detail, meant := nearest.Unknown(key, known)
			d.note(below, "%s", detail)
			d.meant = append(d.meant, meant)
		default:
			take(key, below, value)
		}
		seen[key] = true
	}
}

// text reads a text.
func (d *decoder) text(at place, value json.RawMessage) (text string, ok bool) {
	if value[0] != '"' || json.Unmarshal(value, &text) != nil {
		d.note(at, "is %s: it must be a text", kind(value))
		return "", false
	}
	return text, true
}

// texts reads a list of texts, and calls check for each. Those that are there twice are left for who uses
// them, so that places stay right.
func (d *decoder) texts(at place, value json.RawMessage, most int, check func(at place, text string)) []string {
	var items []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &items) != nil {
		d.note(at, "is %s: it must be a list of texts", kind(value))
		return nil
	}
	if len(items) > most {
		d.note(at, "has %d values: at most %d", len(items), most)
		return nil
	}
	texts := make([]string, 0, len(items))
	for i, item := range items {
		below := at.below(strconv.Itoa(i))
		if text, ok := d.text(below, item); ok {
			check(below, text)
			texts = append(texts, text)
		}
	}
	return texts
}

// plain notes what is wrong with a text that is at least so long.
func (d *decoder) plain(at place, text string, least, most int) {
	switch {
	case len(text) < least:
		d.note(at, "must not be empty")
	case len(text) > most:
		d.note(at, "has %d bytes: at most %d", len(text), most)
	case strings.ContainsFunc(text, unicode.IsControl):
		d.note(at, "must have no control characters")
	}
}

// null reports whether a value is null. Where it may not be, why says so in a patch.
func (d *decoder) null(at place, value json.RawMessage, why string) bool {
	if value[0] != 'n' {
		return false
	}
	if d.patch && why != "" {
		d.note(at, "must not be null: %s", why)
	}
	return true
}

// kind says for people what a value is.
func kind(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f', 'n':
		return string(value)
	default:
		return "a number"
	}
}

// quote shows a text, as much of it as is good to read.
func quote(text string) string {
	const most = 64
	if len(text) <= most {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.ToValidUTF8(text[:most], "")) + "..."
}
