package threshold

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// TestDocuments reads each file of testdata/documents. Its golden file has its
// problems, or else its rules.
func TestDocuments(t *testing.T) {
	paths, err := filepath.Glob("testdata/documents/*[nl]")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			fleet := strings.HasPrefix(filepath.Base(path), "example")
			got := told(t, data, Options{Source: File, Fleet: fleet})
			if *update {
				require.NoError(t, os.WriteFile(path+".golden", []byte(got), 0o600))
			}
			want, err := os.ReadFile(path + ".golden")
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
}

// told returns what Parse makes of a document, for people.
func told(t *testing.T, data []byte, o Options) string {
	rules, err := Parse(data, o)
	if err != nil {
		assert.Empty(t, rules)
		var problems *DocumentError
		require.ErrorAs(t, err, &problems)
		return err.Error() + "\n"
	}
	document, err := Encode(rules)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, document, "", "  "))
	return b.String() + "\n"
}

// TestWrittenDocumentsAreReadAsTheSame goes there and back in all three forms.
func TestWrittenDocumentsAreReadAsTheSame(t *testing.T) {
	for _, name := range []string{"example.yaml", "anchors.yaml", "list.json"} {
		data, err := os.ReadFile("testdata/documents/" + name)
		require.NoError(t, err)
		o := Options{Source: Inline, Fleet: true}
		want, err := Parse(data, o)
		require.NoError(t, err)

		document, err := Encode(want)
		require.NoError(t, err)
		got, err := Parse(document, o)
		require.NoError(t, err)
		assert.Equal(t, want, got)

		var value any
		if require.NoError(t, json.Unmarshal(document, &value)); strings.HasSuffix(name, ".yaml") {
			require.NoError(t, yaml.Unmarshal(data, &value))
		}
		got, err = Decode(value, o)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	empty, err := Encode(nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"rules": []}`, string(empty))
}

func TestDefaults(t *testing.T) {
	r := parse(t, `[{id: a, resource: disk_io, type: absolute, unit: By, warning: 1}]`)[0]
	want := &Rule{
		ID: "a", Enabled: true, Resource: DiskIO, Type: Absolute, Unit: "By", Scale: 1, Warning: 1, HasWarning: true,
		Direction: Above, NoData: NoDataKeep, NoDataAfter: 5 * time.Minute, Window: WindowPeriod, Timezone: time.UTC,
		Per: PerInstance, Action: "notify", Source: File, Measure: r.Measure,
	}
	assert.Equal(t, want, r)
}

func TestProblemsHaveFacts(t *testing.T) {
	_, err := Parse([]byte("rules:\n- id: a\n  resource: cpu\n  type: percentage\n  warning: 180\n"), Options{})
	var d *DocumentError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, []Problem{{
		Line: 5, Index: 0, Rule: "a", Key: "warning", Value: "180",
		Detail: "must be at most 100: cpu is a share of what was allotted",
	}}, d.Problems)

	_, err = Decode([]any{map[string]any{"id": "a", "resource": "cpu", "type": "percentage", "warning": 180}}, Options{})
	assert.EqualError(t, err, `rules[0] "a": warning is 180: must be at most 100: cpu is a share of what was allotted`)
}

func TestDecodeRefuses(t *testing.T) {
	for want, value := range map[string]any{
		"the document is no list of rules":                              "rules",
		"rules must be a list":                                          map[string]any{"rules": "a"},
		"rules is missing":                                              map[string]any{},
		"a value is a struct {}, which no":                              []any{map[string]any{"id": struct{}{}}},
		"rule is no key of a document":                                  map[string]any{"rule": []any{}, "rules": []any{}},
		"a rule is a map such as":                                       []any{5},
		"lists and maps lie more than 8 deep":                           deepValue(20),
		"selector.user_id must be a text or a list of texts, not a map": []any{map[string]any{"selector": map[string]any{"user_id": map[string]any{}}}},
	} {
		_, err := Decode(value, Options{})
		require.ErrorContains(t, err, want)
	}
	rules, err := Decode(nil, Options{})
	require.NoError(t, err)
	assert.Empty(t, rules)
}

func deepValue(depth int) any {
	if depth == 0 {
		return nil
	}
	return []any{deepValue(depth - 1)}
}

func rule(more string) string {
	return "- {id: r, resource: cpu, type: percentage, warning: 80" + more + "}\n"
}

// TestHostileDocuments are refused, with a short message, before they cost much.
func TestHostileDocuments(t *testing.T) {
	bomb := "- &a {user_id: [x, x, x, x, x, x, x, x, x, x]}\n"
	for i := range 8 {
		name, last := string(rune('b'+i)), string(rune('a'+i))
		bomb += "- &" + name + " [" + strings.TrimSuffix(strings.Repeat("*"+last+", ", 10), ", ") + "]\n"
	}
	flat := "- &a [" + strings.TrimSuffix(strings.Repeat("x, ", 1000), ", ") + "]\n" + strings.Repeat("- {id: *a}\n", 1100)
	texts := func(prefix string, n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("%s%d", prefix, i))
		}
		return ", selector: {user_id: [" + strings.Join(list, ", ") + "]}"
	}
	for _, tt := range []struct{ name, document, want string }{
		{"long description", rule(`, description: "` + strings.Repeat("x", 1<<20) + `"`), `... (1048576 bytes): must have at most 4096 bytes`},
		{"long id", `[{id: ` + strings.Repeat("x", 1<<20) + `, resource: cpu, type: percentage, warning: 80}]`, "must have at most 128 bytes"},
		{"long selector", rule(`, selector: {user_id: ` + strings.Repeat("x", 257) + `}`), "must have at most 256 bytes"},
		{"long pattern", rule(`, selector: {user_id: "` + strings.Repeat("*a", 129) + `"}`), "must have at most 256 bytes"},
		{"long key", `[{"` + strings.Repeat("x", 1<<16) + `": 1}]`, "is not known"},
		{"long label", `[{"id": "a", "labels": {"` + strings.Repeat("x", 1<<16) + `": "a"}}]`, "must have keys of 1 to 256 bytes"},
		{"long attribute", `[{"id": "a", "metric": "a", "attributes": {"` + strings.Repeat("x", 1<<16) + `": ""}}]`, "must have keys of 1 to 256 bytes"},
		{"long unit", `[{id: a, metric: a, type: absolute, unit: ` + strings.Repeat("By.", 1<<16) + `By, warning: 1}]`, "must have at most 63 bytes"},
		{"long zone", rule(`, window: day, timezone: ` + strings.Repeat("x", 1<<16)), "IANA"},
		{"many values", rule(texts("a", MaxValues+1)), "has 10001 values: at most 10000"},
		{"many patterns", rule(texts("a*", MaxGlobs+1)), "has 101 patterns: at most 100"},
		{"deep", strings.Repeat("[", 10_000), "line"},
		{"deeper", strings.Repeat("[", 100_000), "exceeded max depth"},
		{"deep JSON", strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000), "more than 8 deep"},
		{"deep indents", "rules:\n- " + strings.Repeat("- ", 5_000) + "a", "more than 8 deep"},
		{"a billion laughs", bomb, "deep in each other"},
		{"flat aliases", flat, "aliases stand for more than 1000000 values"},
		{"an alias of itself", "- &a {id: *a}", "deep in each other"},
		{"a document of only itself", "&a [*a]", "deep in each other"},
		{"large", strings.Repeat(" ", MaxDocument+1), "at most 67108864"},
		{"binary", "\x00\x01\x02", "no YAML"},
		{"no UTF-8", "- {id: \xff}", "no YAML"},
		{"no UTF-8 in JSON", "[{\"id\": \"\xff\"}]", "no YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.document), Options{})
			require.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 100_000)
		})
	}
}

func TestTooManyRules(t *testing.T) {
	rule := []byte(`{"id":"a"},`)
	document := append([]byte("["), bytes.Repeat(rule, 1_000_000)...)
	document[len(document)-1] = ']'
	_, err := Parse(document, Options{})
	var d *DocumentError
	require.ErrorAs(t, err, &d)
	assert.Len(t, d.Problems, MaxProblems)
	assert.Greater(t, d.More, maxCounted)
	assert.Contains(t, err.Error(), "the rest was not read\nand 10")

	values := make([]any, MaxRules+1)
	for i := range values {
		values[i] = map[string]any{"id": fmt.Sprint(i), "resource": "cpu", "type": "percentage", "warning": 80}
	}
	_, err = Decode(values, Options{})
	assert.EqualError(t, err, "rules has more than 200000 rules")
}

func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/documents/*[nl]")
	require.NoError(f, err)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{Source: API, Fleet: true}
		rules, err := Parse(data, o)
		if err != nil {
			assert.Empty(t, rules)
			assert.Less(t, len(err.Error()), 200_000)
			return
		}
		document, err := Encode(rules)
		require.NoError(t, err)
		again, err := Parse(document, o)
		require.NoError(t, err, "%s", document)
		assert.Equal(t, rules, again)
		set, err := Compile(rules)
		if err != nil {
			return
		}
		s := Subject{InstanceID: "vm-1", UserID: "u", OrgID: "o", Labels: []Label{{"env", "prod"}}}
		for _, r := range set.Match(&s).Rules() {
			value, limit, ok := r.Value(1, 2, 3)
			if ok {
				r.LevelOf(value)
				assert.GreaterOrEqual(t, limit, 0.0)
			}
		}
	})
}
