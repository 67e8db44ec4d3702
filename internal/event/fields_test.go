package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzFields: what is valid JSON is taken apart as encoding/json does it.
func FuzzFields(f *testing.F) {
	for _, p := range samples() {
		f.Add(AppendUsage(nil, V1_1, p))
	}
	for _, text := range []string{
		`{}`, " {\n\"a\" :\t[ 1 , -2.5e+3,\r true,null, \"x\" ,{\"b\":[]} ,[[]]] , \"a\":0}\n",
		`{"\u0061":"\ud83d\ude00\\\"","":"","é":"\ud800","` + "\xff" + `":"` + "\xff" + `\/"}`,
		`[]`, `[1]`, `"x"`, `null`, `{"a":1}{}`, `{"a"`, `{"a":"}],\\"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r reader
		o := r.parse(data)
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil || want == nil {
			require.NotNil(t, r.err)
			require.Empty(t, o.all())
			return
		}
		if want["event_type"] == nil && want["specversion"] != nil {
			return // TestDecodeStructured
		}
		require.Nil(t, r.err)
		seen := map[string]bool{}
		for _, field := range o.all() {
			seen[string(field.key)] = true
		}
		require.Len(t, seen, len(want))
		for key, raw := range want {
			got, ok := o.raw(key)
			require.True(t, ok, "%q", key)
			require.Equal(t, string(raw), string(got))
			checkValue(t, raw)
		}
	})
}

func checkValue(t *testing.T, raw []byte) {
	t.Helper()
	switch raw[0] {
	case '"':
		var want string
		require.NoError(t, json.Unmarshal(raw, &want))
		require.Equal(t, want, unquote(raw))
	case '[':
		var want []json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &want))
		got, ok := itemsOf(raw)
		require.True(t, ok)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, string(want[i]), string(got[i]))
			checkValue(t, want[i])
		}
	}
}

// An object with very many fields is not searched one by one, and means the same.
func TestFieldsOfALargeObject(t *testing.T) {
	for _, n := range []int{many - 1, many, many + 1, 1000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, `,"k%d":%d`, i%(n-1), i) // the first comes twice
		}
		var r reader
		o := r.parse([]byte("{" + text.String()[1:] + "}"))
		require.Nil(t, r.err)
		assert.Len(t, o.all(), n)
		assert.EqualValues(t, n-1, o.integer("k0"), "the last one counts")
		assert.EqualValues(t, n-2, o.integer(fmt.Sprintf("k%d", n-2)))
		assert.False(t, o.has("k"))
	}
}

func structured(data string) string {
	return `{"specversion":"1.0","id":"1","source":"urn:x","type":"com.example.y","data":` + data + `}`
}

func TestDecodeStructured(t *testing.T) {
	for name, p := range samples() {
		for v := range numVersions {
			bare := AppendUsage(nil, v, p)
			want, err := Decode(bare)
			require.NoError(t, err)
			got, err := Decode([]byte(structured(string(bare))))
			require.NoError(t, err, name)
			assert.Equal(t, want, got)
		}
	}
	violation := AppendViolation(nil, V1_1, cpuViolation())
	want, err := DecodeViolation(violation)
	require.NoError(t, err)
	got, err := DecodeViolation([]byte(structured(string(violation))))
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestDecodeStructuredErrors(t *testing.T) {
	good := string(AppendUsage(nil, V1_1, hostPeriod()))
	for _, tt := range []struct {
		text    string
		kind    error
		message string
	}{
		{`{"specversion":"1.0"}`, ErrMalformed, "malformed event: data is missing"},
		{structured(`"x"`), ErrMalformed, `malformed event: data is "x", want an object`},
		{structured(`null`), ErrMalformed, `malformed event: data is null, want an object`},
		{structured(structured(good)), ErrMalformed, `malformed event: data.event_type is missing`},
		{structured(`{"event_type":"other"}`), ErrType, `unexpected event type: data.event_type is "other", want "resource_usage"`},
		{structured(strings.Replace(good, `"1.1"`, `"2.0"`, 1)), ErrVersion, `unsupported event version: data.version is "2.0", want 1.x; it needs another decoder`},
		{structured(strings.Replace(good, `"sequence":120`, `"sequence":0`, 1)), ErrMalformed, `malformed event: data.period.sequence is 0, want at least 1`},
	} {
		e, err := Decode([]byte(tt.text))
		assert.Nil(t, e)
		require.ErrorIs(t, err, tt.kind)
		require.EqualError(t, err, tt.message)
	}
	// An event with a field of that name is an event.
	_, err := Decode([]byte(strings.Replace(good, `{`, `{"specversion":"1.0",`, 1)))
	require.NoError(t, err)
}
