package threshold

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// fromAny reads a list of rules or a map that has one.
func (d *decoder) fromAny(value any) {
	switch v := value.(type) {
	case []any:
		d.anyRules(v)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !d.topKey(0, key) {
				continue
			}
			rules, ok := v[key].([]any)
			if !ok {
				d.document(0, "rules", "must be a list: write rules: [] for no rules")
				continue
			}
			d.anyRules(rules)
		}
		d.topDone(0)
	case nil:
	default:
		d.topLevel(0)
	}
}

func (d *decoder) anyRules(rules []any) {
	for _, rule := range rules {
		n, err := readAny(rule, 1)
		if err != nil {
			d.stop(err)
			return
		}
		if !d.rule(&n) {
			return
		}
	}
}

func readAny(value any, depth int) (node, error) {
	n := node{}
	if depth > MaxDepth {
		return n, tooDeep(0)
	}
	switch v := value.(type) {
	case nil:
	case bool:
		n.kind, n.yes = boolNode, v
	case string:
		n.kind, n.text = textNode, v
	case []any:
		n.kind = listNode
		for _, item := range v {
			i, err := readAny(item, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, i)
		}
	case map[string]any:
		n.kind = mapNode
		for _, key := range slices.Sorted(maps.Keys(v)) {
			f, err := readAny(v[key], depth+1)
			if err != nil {
				return n, err
			}
			n.fields = append(n.fields, field{key: key, value: f})
		}
	default:
		number := reflect.ValueOf(value)
		if !number.CanConvert(reflect.TypeFor[float64]()) {
			return n, &stopError{0, fmt.Sprintf("a value is a %T, which no document has", value)}
		}
		n.kind, n.number = numberNode, number.Convert(reflect.TypeFor[float64]()).Float()
		n.text = fmt.Sprint(value)
	}
	return n, nil
}
