package threshold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Bounds of a document.
const (
	// MaxDocument is the size of a document in bytes.
	MaxDocument = 64 << 20
	// MaxDepth is how deep lists and maps may lie in each other.
	MaxDepth = 8
	// MaxAliased is how many values YAML aliases may stand for, all together.
	MaxAliased = 1_000_000
)

// Options say how a document is read.
type Options struct {
	// Source becomes [Rule.Source].
	Source Source
	// Fleet says that whoever checks the rules sees all usage of an owner; without
	// it a rule per user or organization is refused.
	Fleet bool
}

// Parse reads the rules of a document in YAML or JSON: a list of rules, or a map
// with such a list under rules. Where anything is wrong the error is a
// [*DocumentError], and there are no rules.
func Parse(data []byte, o Options) ([]*Rule, error) {
	d := newDecoder(o)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := bytes.TrimSpace(data)
	switch {
	case len(data) > MaxDocument:
		d.document(0, "", fmt.Sprintf("the document has %d bytes: at most %d", len(data), MaxDocument))
	case len(text) == 0:
		// Not the same as no rules: that is what a file looks like that is being written.
		d.document(0, "", "the document is empty: write rules: [] for no rules")
	case (text[0] == '{' || text[0] == '[') && json.Valid(data) && utf8.Valid(data):
		d.fromJSON(data)
	default:
		d.fromYAML(data)
	}
	return d.done()
}

// Decode reads rules from values, as a configuration has them after it was
// parsed: a list of maps, or a map with such a list under rules. Errors are those
// of Parse, without lines.
func Decode(value any, o Options) ([]*Rule, error) {
	d := newDecoder(o)
	d.fromAny(value)
	return d.done()
}

// A node is a value of a document, whatever it was written in.
type node struct {
	kind   nodeKind
	line   int
	text   string  // of a text; of a number, how it was written
	number float64 // of a number
	yes    bool    // of a bool
	items  []node
	fields []field
}

type field struct {
	key   string
	line  int
	value node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	listNode
	mapNode
)

func (k nodeKind) String() string {
	return [...]string{"nothing", "true or false", "a number", "a text", "a list", "a map"}[k]
}

// get returns the line of a key, or that of the map.
func (n *node) lineOf(key string) int {
	for i := range n.fields {
		if n.fields[i].key == key {
			return n.fields[i].line
		}
	}
	return n.line
}

// A stopError ends the reading of a document: what follows cannot be understood.
type stopError struct {
	line   int
	detail string
}

func (e *stopError) Error() string { return e.detail }

func tooDeep(line int) error {
	return &stopError{line, fmt.Sprintf("lists and maps lie more than %d deep in each other", MaxDepth)}
}
