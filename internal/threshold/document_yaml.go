package threshold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fromYAML reads the only YAML document of data.
func (d *decoder) fromYAML(data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, next yaml.Node
	if err := dec.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) { // nothing but comments
			d.document(0, "", "the document is empty: write rules: [] for no rules")
			return
		}
		d.stop(yamlError(err))
		return
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			d.stop(yamlError(err))
			return
		}
		d.document(next.Line, "", "a second document begins: put all rules into one list")
		return
	}
	y := yamlReader{}
	top := root.Content[0]
	if top.Kind == yaml.AliasNode {
		top = top.Alias
	}
	switch top.Kind {
	case yaml.SequenceNode:
		d.yamlRules(&y, top)
	case yaml.MappingNode:
		d.yamlTop(&y, top)
	default:
		d.topLevel(top.Line)
	}
}

func (d *decoder) yamlTop(y *yamlReader, top *yaml.Node) {
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if !d.topKey(key.Line, key.Value) {
			continue
		}
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind != yaml.SequenceNode {
			d.document(value.Line, "rules", "must be a list: write rules: [] for no rules")
			continue
		}
		d.yamlRules(y, value)
	}
	d.topDone(top.Line)
}

func (d *decoder) yamlRules(y *yamlReader, list *yaml.Node) {
	for _, item := range list.Content {
		n, err := y.read(item, 1)
		if err != nil {
			d.stop(err)
			return
		}
		if !d.rule(&n) {
			return
		}
	}
}

// yamlLine is how the library says where it stopped.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func yamlError(err error) error {
	text := err.Error()
	line := 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return &stopError{line, "no YAML: " + strings.TrimPrefix(text, "yaml: ")}
}

// A yamlReader turns YAML nodes into nodes, aliases into what they stand for.
type yamlReader struct {
	aliased int // nodes read below an alias
	within  int // how many aliases we are in
}

func (y *yamlReader) read(in *yaml.Node, depth int) (node, error) {
	n := node{line: in.Line}
	if depth > MaxDepth {
		return n, tooDeep(in.Line)
	}
	if y.within > 0 {
		if y.aliased++; y.aliased > MaxAliased {
			return n, &stopError{in.Line, fmt.Sprintf("aliases stand for more than %d values", MaxAliased)}
		}
	}
	switch in.Kind {
	case yaml.AliasNode:
		y.within++
		target, err := y.read(in.Alias, depth+1) // a level, so that an alias of what it is in ends
		y.within--
		target.line = in.Line
		return target, err
	case yaml.SequenceNode:
		n.kind = listNode
		n.items = make([]node, 0, len(in.Content))
		for _, item := range in.Content {
			value, err := y.read(item, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, value)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapNode
		return n, y.readMap(in, &n, depth)
	default:
		return n, readScalar(in, &n)
	}
}

func (y *yamlReader) readMap(in *yaml.Node, n *node, depth int) error {
	n.fields = make([]field, 0, len(in.Content)/2)
	var merged []node
	for i := 0; i+1 < len(in.Content); i += 2 {
		key := in.Content[i]
		value, err := y.read(in.Content[i+1], depth+1)
		switch {
		case err != nil:
			return err
		case key.Kind != yaml.ScalarNode:
			return &stopError{key.Line, "a key is no text"}
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
		default:
			n.fields = append(n.fields, field{key.Value, key.Line, value})
		}
	}
	for _, m := range merged {
		from := []node{m}
		if m.kind == listNode {
			from = m.items
		}
		for _, f := range from {
			if f.kind != mapNode {
				return &stopError{m.line, "<< merges maps, and this is " + f.kind.String()}
			}
			for _, inherited := range f.fields {
				if !hasField(n.fields, inherited.key) {
					n.fields = append(n.fields, inherited)
				}
			}
		}
	}
	return nil
}

func hasField(fields []field, key string) bool {
	for i := range fields {
		if fields[i].key == key {
			return true
		}
	}
	return false
}

func readScalar(in *yaml.Node, n *node) error {
	n.text = in.Value
	switch in.ShortTag() {
	case "!!null":
		n.kind = nullNode
	case "!!bool":
		n.kind = boolNode
		return scalarError(in, in.Decode(&n.yes))
	case "!!int", "!!float":
		n.kind = numberNode
		if err := in.Decode(&n.number); err != nil {
			n.number = math.NaN() // more than it can hold
		}
	default: // times of day, binary: what was written
		n.kind = textNode
	}
	return nil
}

func scalarError(in *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return &stopError{in.Line, "no YAML: " + err.Error()}
}
