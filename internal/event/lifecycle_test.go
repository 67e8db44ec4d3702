package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// lifecycleSamples are the events of the golden files.
func lifecycleSamples() map[string]*Lifecycle {
	of := func(c Change, to Recipient, change func(*Lifecycle)) *Lifecycle {
		p := hostPeriod()
		e := &Lifecycle{
			Version: lifecycleVersion, ID: LifecycleID(p.Stream.ID, c, to, p.Sequence), Change: c, Recipient: to, At: p.Start,
			Instance: p.Instance, Flavor: p.Flavor, Stream: p.Stream, Sequence: p.Sequence,
		}
		e.Flavor.StorageBytes = 0
		change(e)
		return e
	}
	return map[string]*Lifecycle{
		"started": of(Started, ToOwner, func(e *Lifecycle) { e.Sequence, e.At = 1, 1626350400000000000 }),
		"resized": of(Resized, ToOwner, func(e *Lifecycle) {
			e.Previous = Previous{Flavor: usage.Flavor{VCPUs: 4, MemoryBytes: 4 << 30, GPUs: 1}, HasFlavor: true}
		}),
		"owner-changed": of(OwnerChanged, ToOwner, func(e *Lifecycle) {
			e.Previous = Previous{UserID: "u-1", HasOwner: true}
		}),
		"owner-left": of(OwnerChanged, ToPreviousOwner, func(e *Lifecycle) {
			e.Instance = usage.Instance{ID: e.Instance.ID, Hypervisor: e.Instance.Hypervisor, UserID: "u-1"}
			e.Stream, e.Sequence = usage.Stream{}, 0
		}),
		"migrated": of(Migrated, ToOwner, func(e *Lifecycle) {
			e.Previous = Previous{HostID: "a", HostName: "rack1-node1", HasHost: true}
		}),
		"bare": {
			Version: lifecycleVersion, Change: Stopped, Recipient: ToOwner, At: math.MaxInt64,
			Instance: usage.Instance{ID: "vm \"1\"\n<&>\u2028", Labels: []usage.Label{{Key: "ключ\\", Value: "\x00"}}},
			Stream:   usage.Stream{Start: math.MinInt64}, Sequence: math.MaxInt64,
		},
	}
}

// golden compares with a file that is indented for readers.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, data, "", "  "))
	got.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func TestLifecycle(t *testing.T) {
	schema := compileSchema(t, LifecycleSchema())
	for name, e := range lifecycleSamples() {
		t.Run(name, func(t *testing.T) {
			data := AppendLifecycle(nil, e)
			golden(t, "lifecycle-"+name+"-1.0.json", data)
			checkSchema(t, schema, data)
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			require.NoError(t, err)
			described(t, name, schema, doc)
			again, err := DecodeLifecycle(data)
			require.NoError(t, err)
			assert.Equal(t, e, again)
			assert.Zero(t, testing.AllocsPerRun(100, func() { data = AppendLifecycle(data[:0], e) }))
			assert.Equal(t, "ab"+string(data), string(AppendLifecycle([]byte("ab"), e)))
		})
	}
}

// TestLifecycleSchemaExamples keeps the examples what the encoder writes.
func TestLifecycleSchemaExamples(t *testing.T) {
	schema := compileSchema(t, LifecycleSchema())
	var doc struct{ Examples []json.RawMessage }
	require.NoError(t, json.Unmarshal(LifecycleSchema(), &doc))
	samples := lifecycleSamples()
	want := []*Lifecycle{samples["started"], samples["resized"], samples["owner-left"]}
	require.Len(t, doc.Examples, len(want))
	for i, e := range want {
		checkSchema(t, schema, doc.Examples[i])
		assert.JSONEq(t, string(AppendLifecycle(nil, e)), string(doc.Examples[i]))
	}
}

func TestLifecycleIDs(t *testing.T) {
	stream := uuid.MustParse("a3c6c1a0-52c5-4d8f-8a35-2b7f6a1d9e04")
	seen := map[uuid.UUID]bool{}
	for _, c := range []Change{Started, Stopped, Paused, Resumed, Resized, Migrated, OwnerChanged} {
		for _, to := range []Recipient{ToOwner, ToPreviousOwner} {
			for _, sequence := range []uint64{1, 11, math.MaxUint64} {
				id := LifecycleID(stream, c, to, sequence)
				assert.False(t, seen[id])
				seen[id] = true
			}
		}
	}
	assert.Equal(t, uuid.NewSHA1(stream, []byte("lifecycle/owner_changed/previous_owner/18446744073709551615")), LifecycleID(stream, OwnerChanged, ToPreviousOwner, math.MaxUint64))
	assert.Zero(t, testing.AllocsPerRun(100, func() { LifecycleID(stream, OwnerChanged, ToPreviousOwner, math.MaxUint64) }))
	long := bytes.Repeat([]byte("x"), 1000)
	assert.Equal(t, uuid.NewSHA1(stream, long), NamedID(stream, long))
	assert.Zero(t, testing.AllocsPerRun(100, func() { NamedID(stream, long[:200]) }))
}

// TestLaterMinorOfALifecycle: what a minor adds that nobody has thought of yet is passed over.
func TestLaterMinorOfALifecycle(t *testing.T) {
	e := lifecycleSamples()["resized"]
	e.Change = "renamed"
	s := string(AppendLifecycle(nil, e))
	for _, key := range []string{`"flavor":{`, `"previous":{`, `"stream":{`, `"instance":{`, `"host":{`} {
		require.Contains(t, s, key)
		s = strings.Replace(s, key, key+`"added":[1,{}],`, 1)
	}
	s = strings.Replace(s, `"version":"1.0"`, `"version":"1.12","added":{"a":null}`, 1)
	checkSchema(t, compileSchema(t, LifecycleSchema()), []byte(s))
	again, err := DecodeLifecycle([]byte(s))
	require.NoError(t, err)
	e.Version = "1.12"
	assert.Equal(t, e, again)
}

// TestDecodeLifecycleErrors changes one thing of a good event each; what the schema can say
// too, it does.
func TestDecodeLifecycleErrors(t *testing.T) {
	schema := compileSchema(t, LifecycleSchema())
	const fits = true
	for _, tc := range []struct {
		old, new string
		kind     error
		message  string
		fits     bool // the schema alone does not tell
	}{
		{`"instance_lifecycle"`, `"resource_usage"`, ErrType, `unexpected event type: event_type is "resource_usage", want "instance_lifecycle"`, false},
		{`"1.0"`, `"2.0"`, ErrVersion, `unsupported event version: version is "2.0", want 1.x; it needs another decoder`, false},
		{`"change":"resized"`, `"change":"Re sized"`, ErrMalformed, `malformed event: change is "Re sized", want lower-case letters and underscores`, false},
		{`"change":"resized"`, `"change":""`, ErrMalformed, `malformed event: change is empty`, false},
		{`"recipient":"owner"`, `"recipient":"all"`, ErrMalformed, `malformed event: recipient is "all", want owner or previous_owner`, false},
		{`"instance_id":"6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11"`, `"instance_id":""`, ErrMalformed, `malformed event: instance_id is empty`, false},
		{`"at":"2021-07-15T12:00:00`, `"at":"2021-07-15 12:00:00`, ErrMalformed, `malformed event: at is "2021-07-15 12:00:00.002345678Z", want a time by RFC 3339 from 1970 on`, false},
		{`"at":"2021-07-15T12:00:00`, `"at":"1921-07-15T12:00:00`, ErrMalformed, `malformed event: at is "1921-07-15T12:00:00.002345678Z", want a time by RFC 3339 from 1970 on`, fits},
		{`"timestamp":1626350400`, `"timestamp":1626350401`, ErrMalformed, `malformed event: timestamp is 1626350401, and at is 1626350400 whole seconds`, fits},
		{`"vcpus":8`, `"vcpus":-8`, ErrMalformed, `malformed event: flavor.vcpus is -8, want at least 0`, false},
		{`"vcpus":4`, `"vcpus":"4"`, ErrMalformed, `malformed event: previous.flavor.vcpus is "4", want a 64-bit integer`, false},
		{`"previous":`, `"before":`, ErrMalformed, `malformed event: previous is missing`, false},
		{`"previous":{`, `"previous":[],"p":{`, ErrMalformed, `malformed event: previous is [], want an object`, false},
		{`"stream":{`, `"stream":7,"s":{`, ErrMalformed, `malformed event: stream is 7, want an object`, false},
		{`"sequence":120`, `"sequence":0`, ErrMalformed, `malformed event: stream.sequence is 0, want at least 1`, false},
		{`"plan":"small"`, `"plan":1`, ErrMalformed, `malformed event: labels has a value that is no string: "plan"`, false},
	} {
		t.Run(tc.new, func(t *testing.T) {
			good := string(AppendLifecycle(nil, lifecycleSamples()["resized"]))
			bad := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, bad, "the case changes nothing")
			e, err := DecodeLifecycle([]byte(bad))
			assert.Nil(t, e)
			require.ErrorIs(t, err, tc.kind)
			require.EqualError(t, err, tc.message)
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
			require.NoError(t, err)
			assert.Equal(t, tc.fits, schema.Validate(doc) == nil)
		})
	}
}

// FuzzDecodeLifecycle: no input panics, and what is accepted means the same when it is
// written and read again.
func FuzzDecodeLifecycle(f *testing.F) {
	samples := lifecycleSamples()
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		f.Add(AppendLifecycle(nil, samples[name]))
	}
	f.Add([]byte(`{"event_type":"instance_lifecycle","version":"1.0","previous":{"flavor":[],"owner":null},"at":"1970-01-01T00:00:00+23:59"}`))
	schema := compileSchema(f, LifecycleSchema())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := DecodeLifecycle(data)
		if err != nil {
			assert.Nil(t, e)
			assert.NotEmpty(t, err.Error())
			return
		}
		written := AppendLifecycle(nil, e)
		checkSchema(t, schema, written)
		again, err := DecodeLifecycle(written)
		require.NoError(t, err)
		e.Version = lifecycleVersion
		require.Equal(t, e, again)
	})
}

func BenchmarkAppendLifecycle(b *testing.B) {
	e := lifecycleSamples()["resized"]
	buf := AppendLifecycle(nil, e)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = AppendLifecycle(buf[:0], e)
	}
}
