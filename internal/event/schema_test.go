package event

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func compileSchemas(t testing.TB) (schemas [numVersions]*jsonschema.Schema) {
	t.Helper()
	for v := range numVersions {
		schemas[v] = compileSchema(t, Schema(v))
	}
	return schemas
}

func compileSchema(t testing.TB, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4) // to notice a schema that names no draft: it has no $defs
	id := doc.(map[string]any)["$id"].(string)
	require.NoError(t, c.AddResource(id, doc))
	schema, err := c.Compile(id)
	require.NoError(t, err)
	assert.Equal(t, 2020, schema.DraftVersion)
	return schema
}

func checkSchema(t testing.TB, s *jsonschema.Schema, data []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err, "%s", data)
	require.NoError(t, s.Validate(doc), "%s", data)
}

func TestSamplesFitSchema(t *testing.T) {
	schemas := compileSchemas(t)
	for name, p := range samples() {
		for v := range numVersions {
			t.Run(name+"-"+v.String(), func(t *testing.T) {
				checkSchema(t, schemas[v], AppendUsage(nil, v, p))
			})
		}
	}
}

// TestSchemaExamples keeps the examples what the encoder writes.
func TestSchemaExamples(t *testing.T) {
	schemas := compileSchemas(t)
	want := map[Version][]*usage.Period{V1_0: {hostPeriod()}, V1_1: {hostPeriod(), gapPeriod()}}
	for v, periods := range want {
		var doc struct{ Examples []json.RawMessage }
		require.NoError(t, json.Unmarshal(Schema(v), &doc))
		require.Len(t, doc.Examples, len(periods))
		for i, p := range periods {
			checkSchema(t, schemas[v], doc.Examples[i])
			assert.JSONEq(t, string(AppendUsage(nil, v, p)), string(doc.Examples[i]))
		}
	}
}

// TestDocsExamples holds the document for consumers to the same.
func TestDocsExamples(t *testing.T) {
	schemas := compileSchemas(t)
	text, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	require.Len(t, blocks, 2*int(numVersions))
	violations := compileViolationSchemas(t)
	for v := range numVersions {
		checkSchema(t, schemas[v], blocks[v][1])
		assert.JSONEq(t, string(AppendUsage(nil, v, hostPeriod())), string(blocks[v][1]))
		of := blocks[numVersions+v][1]
		checkSchema(t, violations[v], of)
		assert.JSONEq(t, string(AppendViolation(nil, v, cpuViolation())), string(of))
	}
	for m := range usage.NumMeters {
		assert.Contains(t, string(text), "`"+m.Info().Field+"`")
		assert.Contains(t, string(text), "`"+m.String()+"`")
	}
}

// TestSchemaNamesEveryMember notices a field that the encoder writes and its
// schema does not describe, at any depth: 1.1 lets unknown ones pass.
func TestSchemaNamesEveryMember(t *testing.T) {
	schemas := compileSchemas(t)
	for name, p := range samples() {
		for v := range numVersions {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(AppendUsage(nil, v, p)))
			require.NoError(t, err)
			described(t, name, schemas[v], doc)
		}
	}
}

func described(t *testing.T, path string, s *jsonschema.Schema, doc any) {
	t.Helper()
	for s.Ref != nil {
		s = s.Ref
	}
	switch doc := doc.(type) {
	case map[string]any:
		for key, value := range doc {
			child, ok := s.Properties[key]
			if !ok && (strings.HasSuffix(path, ".labels") || strings.HasSuffix(path, ".meters")) {
				child, ok = s.AdditionalProperties.(*jsonschema.Schema)
			}
			if assert.True(t, ok, "%s.%s is not in the schema", path, key) {
				described(t, path+"."+key, child, value)
			}
		}
	case []any:
		for _, value := range doc {
			described(t, path+"[]", s.Items2020, value)
		}
	}
}

// TestSchemaRefuses changes one thing of a good event each.
func TestSchemaRefuses(t *testing.T) {
	schemas := compileSchemas(t)
	both := []Version{V1_0, V1_1}
	for _, tc := range []struct {
		name, old, new string
		versions       []Version
	}{
		{"other type", `"resource_usage"`, `"usage"`, both},
		{"other major", `"version":"1.`, `"version":"2.`, both},
		{"no instance", `"instance_id":"6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11"`, `"instance_id":""`, both},
		{"missing field", `"user_id"`, `"user"`, both},
		{"missing metric", `"memory_gb"`, `"memory_gib"`, both},
		{"negative", `"cpu_seconds":`, `"cpu_seconds":-`, both},
		{"fraction of a second", `"cpu_seconds":30`, `"cpu_seconds":30.5`, both},
		{"text for a number", `"start":1626350400`, `"start":"1626350400"`, both},
		{"unknown field", `{"event_type"`, `{"more":1,"event_type"`, both[:1]},
		{"unknown metric", `"cpu_seconds"`, `"more":1,"cpu_seconds"`, both[:1]},
		{"null metric", `"cpu_seconds":30`, `"cpu_seconds":null`, both[:1]},
		{"bad quality", `"measured"`, `"good"`, both[1:]},
		{"coverage over 1", `"coverage":1`, `"coverage":1.000001`, both[1:]},
		{"sequence 0", `"sequence":120`, `"sequence":0`, both[1:]},
		{"joined from one", `"sequence":120`, `"sequence":120,"joined":1`, both[1:]},
		{"joined from a part", `"sequence":120`, `"sequence":120,"joined":2.5`, both[1:]},
		{"bad id", `"event_id":"`, `"event_id":"x`, both[1:]},
		{"beyond 64 bits", `"cpu_steal_us":1200`, `"cpu_steal_us":9223372036854775808`, both[1:]},
		{"fraction in usage", `"cpu_steal_us":1200`, `"cpu_steal_us":1200.5`, both[1:]},
		{"fraction in a new meter", `"usage":{`, `"usage":{"new_us":1.5,`, both[1:]},
		{"device without id", `{"id":"eth0",`, `{`, both[1:]},
		{"label that is no text", `"plan":"small"`, `"plan":1`, both[1:]},
	} {
		for _, v := range tc.versions {
			t.Run(tc.name+" "+v.String(), func(t *testing.T) {
				good := string(AppendUsage(nil, v, hostPeriod()))
				bad := strings.Replace(good, tc.old, tc.new, 1)
				require.NotEqual(t, good, bad, "the case changes nothing")
				doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
				require.NoError(t, err)
				assert.Error(t, schemas[v].Validate(doc))
			})
		}
	}
}

// TestSchemaOfEarlierMinor is the rule of evolution: what a later minor adds
// does not make its events invalid under 1.1.
func TestSchemaOfEarlierMinor(t *testing.T) {
	checkSchema(t, compileSchemas(t)[V1_1], laterMinor(t))
}

// laterMinor is an event of a minor that nobody has thought of yet.
func laterMinor(t testing.TB) []byte {
	t.Helper()
	s := string(AppendUsage(nil, V1_1, recoveredPeriod()))
	for _, r := range [][2]string{
		{`"version":"1.1"`, `"version":"1.12","added":{"a":[1,{}]}`},
		{`"metrics":{`, `"metrics":{"added":1.5,`},
		{`"period":{`, `"period":{"added":null,`},
		{`"meters":{`, `"meters":{"added.meter":{"quality":"gap","coverage":0,"added":1},`},
		{`"stream":{`, `"stream":{"added":"x",`},
		{`"usage":{`, `"usage":{"added_us":1,`},
		{`"totals":{`, `"totals":{"added_us":1,`},
		{`"devices":{`, `"devices":{"added":[{"id":"x"}],`},
		{`{"id":"eth0",`, `{"id":"eth0","added":1,`},
		{`"stats":{`, `"stats":{"added":{"avg":1,"max":2},`},
		{`"instance":{`, `"instance":{"added":[],`},
		{`"host":{"id"`, `"host":{"added":{},"id"`},
	} {
		require.Contains(t, s, r[0])
		s = strings.Replace(s, r[0], r[1], 1)
	}
	return []byte(s)
}
