package threshold

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// A jsonReader reads what is known to be valid JSON in UTF-8, one rule at a time,
// and counts lines.
type jsonReader struct {
	data []byte
	at   int
	line int
	keys map[string]string // those seen, since there are few
}

// fromJSON reads data, which is valid JSON in UTF-8 and a list or a map.
func (d *decoder) fromJSON(data []byte) {
	j := &jsonReader{data: data, line: 1, keys: map[string]string{}}
	if j.peek() == '[' {
		d.jsonRules(j)
		return
	}
	top := j.line
	for more := j.open(); more; more = j.more() {
		key := j.key()
		switch known := d.topKey(j.line, key); {
		case !known:
			j.skip()
		case j.peek() != '[':
			d.document(j.line, "rules", "must be a list: write [] for no rules")
			return
		case !d.jsonRules(j):
			return
		}
	}
	d.topDone(top)
}

// jsonRules reads a list, and reports whether to go on.
func (d *decoder) jsonRules(j *jsonReader) bool {
	for more := j.open(); more; more = j.more() {
		n, err := j.read(1)
		if err != nil {
			d.stop(err)
			return false
		}
		if !d.rule(&n) {
			return false
		}
	}
	return true
}

// peek returns the byte that the next token begins with, and moves to its line.
func (j *jsonReader) peek() byte {
	for {
		switch c := j.data[j.at]; c {
		case '\n':
			j.line++
			j.at++
		case ' ', '\t', '\r':
			j.at++
		default:
			return c
		}
	}
}

// open enters a list or a map, and reports whether anything is in it.
func (j *jsonReader) open() bool {
	j.peek()
	j.at++
	return !j.closed()
}

// more goes on to the next thing in a list or a map, if there is one.
func (j *jsonReader) more() bool {
	if j.closed() {
		return false
	}
	j.at++ // the comma
	return true
}

func (j *jsonReader) closed() bool {
	if c := j.peek(); c != ']' && c != '}' {
		return false
	}
	j.at++
	return true
}

// key reads a key and the colon after it.
func (j *jsonReader) key() string {
	j.peek()
	text := j.quoted()
	if j.peek() == ':' {
		j.at++
	}
	key, ok := j.keys[string(text)]
	if !ok {
		key = string(text)
		if len(j.keys) < 1000 {
			j.keys[key] = key
		}
	}
	return key
}

// quoted reads a text, which the next byte opens.
func (j *jsonReader) quoted() []byte {
	from := j.at + 1
	end := bytes.IndexAny(j.data[from:], `"\`) + from
	if j.data[end] == '"' {
		j.at = end + 1
		return j.data[from:end]
	}
	for j.data[end] != '"' {
		if j.data[end] == '\\' {
			end++
		}
		end++
	}
	var text string
	_ = json.Unmarshal(j.data[j.at:end+1], &text) // valid
	j.at = end + 1
	return []byte(text)
}

// read reads a value.
func (j *jsonReader) read(depth int) (node, error) {
	c := j.peek()
	n := node{line: j.line}
	if depth > MaxDepth {
		return n, tooDeep(j.line)
	}
	switch c {
	case '"':
		n.kind, n.text = textNode, string(j.quoted())
	case 'n':
		j.word()
	case 't', 'f':
		n.kind, n.yes = boolNode, len(j.word()) == len("true")
	case '[':
		n.kind = listNode
		for more := j.open(); more; more = j.more() {
			item, err := j.read(depth + 1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
	case '{':
		n.kind = mapNode
		return n, j.readMap(&n, depth)
	default:
		n.kind, n.text = numberNode, string(j.word())
		var err error
		if n.number, err = strconv.ParseFloat(n.text, 64); err != nil {
			n.number = math.NaN() // more than it can hold
		}
	}
	return n, nil
}

func (j *jsonReader) readMap(n *node, depth int) error {
	for more := j.open(); more; more = j.more() {
		key := j.key()
		f := field{key: key, line: j.line}
		var err error
		if f.value, err = j.read(depth + 1); err != nil {
			return err
		}
		n.fields = append(n.fields, f)
	}
	return nil
}

// word reads up to what ends a number, true, false or null.
func (j *jsonReader) word() []byte {
	from := j.at
	j.at += bytes.IndexAny(j.data[from:], ",]} \t\r\n")
	return j.data[from:j.at]
}

// skip passes over a value, however deep.
func (j *jsonReader) skip() {
	for depth := 0; ; {
		switch j.peek() {
		case '"':
			j.quoted()
		case '[', '{':
			depth++
			j.at++
		case ']', '}':
			depth--
			j.at++
		case ',', ':':
			j.at++
		default:
			j.word()
		}
		if depth == 0 {
			return
		}
	}
}
