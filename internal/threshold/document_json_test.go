package threshold

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// value returns a node as encoding/json has it.
func (n *node) value() any {
	switch n.kind {
	case boolNode:
		return n.yes
	case numberNode:
		return json.Number(n.text)
	case textNode:
		return n.text
	case listNode:
		list := []any{}
		for i := range n.items {
			list = append(list, n.items[i].value())
		}
		return list
	case mapNode:
		m := map[string]any{}
		for i := range n.fields {
			m[n.fields[i].key] = n.fields[i].value.value()
		}
		return m
	default:
		return nil
	}
}

func TestJSONLines(t *testing.T) {
	j := &jsonReader{data: []byte("\n[1,\n{\"a\"\n:\n2, \"b\": [\n]\n}, \"x\\n\"\n,\nnull]"), line: 1, keys: map[string]string{}}
	n, err := j.read(1)
	require.NoError(t, err)
	assert.Equal(t, []any{json.Number("1"), map[string]any{"a": json.Number("2"), "b": []any{}}, "x\n", nil}, n.value())
	assert.Equal(t, []int{2, 2, 3, 7, 9}, []int{n.line, n.items[0].line, n.items[1].line, n.items[2].line, n.items[3].line})
	assert.Equal(t, []int{4, 5}, []int{n.items[1].fields[0].line, n.items[1].fields[1].line})
}

// FuzzJSON compares with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`[{"a": [1, -2.5e3, true, false, null, "x\"\\\u00e9\ud83d\udd25"], "b": {}}]`, `{"":[],"\t":[[]]}`, ` [ ] `, `[1e999]`, `["\ud800"]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || !utf8.Valid(data) {
			return
		}
		j := &jsonReader{data: append(data, ' '), line: 1, keys: map[string]string{}}
		n, err := j.read(1)
		if err == nil {
			dec := json.NewDecoder(bytes.NewReader(data))
			dec.UseNumber()
			var want any
			require.NoError(t, dec.Decode(&want))
			assert.Equal(t, want, n.value())
		}
		skip := &jsonReader{data: append(data, ' '), line: 1, keys: map[string]string{}}
		skip.skip()
		if err == nil {
			assert.Equal(t, j.at, skip.at)
		}
	})
}
