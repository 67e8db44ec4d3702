package threshold

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// A jsonReader reads valid JSON token by token, so that a rule at a time is in
// memory, and knows on which line it is.
type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	line  int
	until int64 // lines are counted up to here
}

// fromJSON reads data, which is valid JSON.
func (d *decoder) fromJSON(data []byte) {
	j := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	j.dec.UseNumber()
	if j.next() == json.Delim('[') {
		d.jsonRules(j)
		return
	}
	top := j.line
	for j.dec.More() {
		key, _ := j.next().(string)
		if !d.topKey(j.line, key) {
			var skipped json.RawMessage
			_ = j.dec.Decode(&skipped) // valid
			continue
		}
		if t := j.next(); t != json.Delim('[') {
			d.document(j.line, "rules", "must be a list: write [] for no rules")
			return
		}
		if !d.jsonRules(j) {
			return
		}
	}
	d.topDone(top)
}

// jsonRules reads the rules of a list up to its end.
func (d *decoder) jsonRules(j *jsonReader) bool {
	for j.dec.More() {
		n, err := j.read(j.next(), 1)
		if err != nil {
			d.stop(err)
			return false
		}
		if !d.rule(&n) {
			return false
		}
	}
	j.next()
	return true
}

// next returns the next token, which there is, and moves on to its line.
func (j *jsonReader) next() json.Token {
	t, _ := j.dec.Token()
	end := j.dec.InputOffset()
	j.line += bytes.Count(j.data[j.until:end], []byte{'\n'})
	j.until = end
	return t
}

// read reads the value that begins with a token.
func (j *jsonReader) read(t json.Token, depth int) (node, error) {
	n := node{line: j.line}
	if depth > MaxDepth {
		return n, tooDeep(j.line)
	}
	switch v := t.(type) {
	case nil:
		n.kind = nullNode
	case bool:
		n.kind, n.yes = boolNode, v
	case string:
		n.kind, n.text = textNode, v
	case json.Number:
		n.kind, n.text = numberNode, v.String()
		var err error
		if n.number, err = strconv.ParseFloat(n.text, 64); err != nil {
			n.number = math.NaN() // more than it can hold
		}
	case json.Delim:
		n.kind = listNode
		if v == '{' {
			n.kind = mapNode
		}
		return n, j.readAll(&n, depth)
	}
	return n, nil
}

// readAll reads what is in a list or a map.
func (j *jsonReader) readAll(n *node, depth int) error {
	for j.dec.More() {
		var f field
		if n.kind == mapNode {
			f.key, _ = j.next().(string)
			f.line = j.line
		}
		var err error
		if f.value, err = j.read(j.next(), depth+1); err != nil {
			return err
		}
		if n.kind == mapNode {
			n.fields = append(n.fields, f)
		} else {
			n.items = append(n.items, f.value)
		}
	}
	j.next()
	return nil
}
