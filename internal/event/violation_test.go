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

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func compileViolationSchemas(t testing.TB) (schemas [numVersions]*jsonschema.Schema) {
	t.Helper()
	for v := range numVersions {
		schemas[v] = compileSchema(t, ViolationSchema(v))
	}
	return schemas
}

func TestViolationGolden(t *testing.T) {
	for name, p := range violationSamples() {
		for v := range numVersions {
			name := name + "-" + v.String() + ".json"
			t.Run(name, func(t *testing.T) {
				var got bytes.Buffer
				require.NoError(t, json.Indent(&got, AppendViolation(nil, v, p), "", "  "))
				got.WriteByte('\n')
				path := filepath.Join("testdata", name)
				if *update {
					require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, string(want), got.String())
			})
		}
	}
}

func TestViolationSamples(t *testing.T) {
	schemas := compileViolationSchemas(t)
	for name, p := range violationSamples() {
		for v := range numVersions {
			t.Run(name+"-"+v.String(), func(t *testing.T) {
				data := checkViolation(t, v, p)
				checkSchema(t, schemas[v], data)
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
				require.NoError(t, err)
				described(t, name, schemas[v], doc)
			})
		}
	}
}

// checkViolation is what holds for every violation.
func checkViolation(t testing.TB, v Version, p *usage.Violation) []byte {
	t.Helper()
	_, problem := p.Check()
	require.Empty(t, problem)
	got := AppendViolation(nil, v, p)
	want, err := refJSON(violationReference(v, p))
	require.NoError(t, err)
	requireSame(t, want, got)

	e, err := DecodeViolation(got)
	require.NoError(t, err, "%s", got)
	d := decodedViolation(p)
	require.Equal(t, v.String(), e.Version)
	require.Equal(t, p.At/1e9, e.Timestamp)
	require.Equal(t, d.Instance.ID, e.InstanceID)
	require.Equal(t, d.Instance.UserID, e.UserID)
	require.Equal(t, [2]float64{p.Value, p.Threshold}, [2]float64{e.CurrentValue, e.ThresholdValue})
	if v == V1_0 {
		require.Nil(t, e.Exact)
		require.Zero(t, e.ID)
		d.Rule.Timezone = ""
		require.Equal(t, d.Rule, e.Config)
		return got
	}
	require.Equal(t, p.ID, e.ID)
	require.Equal(t, d.Rule, e.Config)
	require.Equal(t, d, e.Exact)
	return got
}

// decodedViolation returns p as a decoder sees it.
func decodedViolation(p *usage.Violation) *usage.Violation {
	d := *p
	r := &d.Rule
	for _, s := range []*string{
		&d.Instance.ID, &d.Instance.Name, &d.Instance.Hypervisor, &d.Instance.HostID, &d.Instance.HostName, &d.Instance.UserID,
		&d.Instance.OrgID, &d.Series, &d.Reason, &r.ID, &r.Description, &r.Resource, &r.Metric, &r.Unit, &r.Window, &r.Timezone, &r.Action,
	} {
		*s = string([]rune(*s))
	}
	d.Instance.Labels, r.Labels = decodedLabels(d.Instance.Labels), decodedLabels(r.Labels)
	r.Channels = slices.Clone(r.Channels)
	for i, c := range r.Channels {
		r.Channels[i] = string([]rune(c))
	}
	return &d
}

func decodedLabels(labels []usage.Label) []usage.Label {
	labels = slices.Clone(labels)
	for i, l := range labels {
		labels[i] = usage.Label{Key: string([]rune(l.Key)), Value: string([]rune(l.Value))}
	}
	return labels
}

func (s source) float() float64 {
	pool := [...]float64{0, 1, -1, 80, 0.1, 1e-6, 9.999e-7, 1e-9, 1e21, 9.99999e20, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, 1.0 / 3, 57}
	switch s.IntN(3) {
	case 0:
		return pool[s.IntN(len(pool))]
	case 1:
		return s.Float64() * 200
	default:
		for {
			if f := math.Float64frombits(s.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f
			}
		}
	}
}

// violation makes violations that are as unlikely as can be.
func (s source) violation() *usage.Violation {
	pick := func(of ...string) string { return of[s.IntN(len(of))] }
	p := &usage.Violation{
		Instance: s.period().Instance,
		Rule: usage.ViolationRule{
			ID: "r" + s.string(), Description: s.string(), Unit: s.string(), Window: s.string(), Timezone: s.string(), Action: s.string(),
			Type: pick(usage.PercentageRule, usage.AbsoluteRule), Direction: pick(usage.DirectionAbove, usage.DirectionBelow),
			Per: pick(usage.PerInstance, usage.PerUser, usage.PerOrg), Labels: s.period().Instance.Labels,
		},
		State: usage.ViolationState(pick(string(usage.Firing), string(usage.Resolved), string(usage.NoData))),
		Level: usage.LevelWarning + usage.ThresholdLevel(s.IntN(2)), //nolint:gosec // 0 or 1
		Value: s.float(), Threshold: s.float(), Ratio: s.float(), Limit: s.float(), Series: s.string(), Reason: s.string(),
		At: s.amount(math.MaxInt64), Since: s.amount(math.MaxInt64),
		Count: uint32(s.amount(math.MaxUint32)), Suppressed: uint32(s.amount(math.MaxUint32)), //nolint:gosec // within 32 bits
	}
	if p.Threshold == 0 {
		p.Ratio = 0
	}
	if s.flip() {
		p.Rule.Metric = "m" + s.string()
	} else {
		p.Rule.Resource = "r" + s.string()
	}
	p.Instance.UserID, p.Instance.OrgID = "u"+p.Instance.UserID, "o"+p.Instance.OrgID
	if p.Rule.Per != usage.PerInstance && s.flip() {
		p.Instance.ID = ""
	}
	for range s.IntN(3) {
		p.Rule.Channels = append(p.Rule.Channels, s.string())
	}
	for _, l := range []struct {
		has   *bool
		value *float64
	}{{&p.Rule.HasWarning, &p.Rule.Warning}, {&p.Rule.HasCritical, &p.Rule.Critical}, {&p.Rule.HasClear, &p.Rule.Clear}} {
		if *l.has = s.flip(); *l.has {
			*l.value = s.float()
		}
	}
	for i := range p.ID {
		p.ID[i], p.Episode[i] = byte(s.Uint32()), byte(s.Uint32()) //nolint:gosec // any byte will do
	}
	if p.Rule.Window != "" {
		p.WindowEnd = s.amount(math.MaxInt64)
		p.WindowStart = s.amount(p.WindowEnd)
	}
	return p
}

func FuzzAppendViolation(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, "x")
	}
	f.Add(uint64(1), "\"},{\u2029\xe2\x80")
	schemas := compileViolationSchemas(f)
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		p := newSource(seed, text).violation()
		for v := range numVersions {
			checkSchema(t, schemas[v], checkViolation(t, v, p))
		}
	})
}

// FuzzDecodeViolation: no input panics, and what is accepted means the same when
// it is written and read again.
func FuzzDecodeViolation(f *testing.F) {
	for _, p := range violationSamples() {
		for v := range numVersions {
			f.Add(AppendViolation(nil, v, p))
		}
	}
	f.Add([]byte(`{"event_type":"threshold_violation","version":"1.1","config":{"channels":[null],"labels":{"a":[]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := DecodeViolation(data)
		if err != nil {
			assert.Nil(t, e)
			assert.NotEmpty(t, err.Error())
			return
		}
		if e.Exact == nil {
			return
		}
		again, err := DecodeViolation(AppendViolation(nil, V1_1, e.Exact))
		require.NoError(t, err)
		want := *e.Exact
		if want.Threshold == 0 {
			want.Ratio = 0
		}
		require.Equal(t, &want, again.Exact)
	})
}

func TestAppendViolationAppends(t *testing.T) {
	p := quotaViolation()
	alone := AppendViolation(nil, V1_1, p)
	for room := range len(alone) + 2 {
		dst := append(make([]byte, 0, 2+room), "ab"...)
		require.Equal(t, "ab"+string(alone), string(AppendViolation(dst, V1_1, p)))
	}
}

func TestViolationsDoNotAllocate(t *testing.T) {
	for name, p := range violationSamples() {
		for v := range numVersions {
			buf := AppendViolation(nil, v, p)
			assert.Zero(t, testing.AllocsPerRun(100, func() { buf = AppendViolation(buf[:0], v, p) }), "%s %s", name, v)
		}
	}
	p := cpuViolation()
	once := testing.AllocsPerRun(100, func() { _ = slices.Grow[[]byte](nil, violationSizeHint(p)) })
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { AppendViolation(nil, V1_1, p) }), once, "an empty buffer grows once")
}

func TestPercentage(t *testing.T) {
	for ratio, want := range map[float64]float64{
		0.57: 57, 1.1: 110, 0.285: 28.5, 1.0 / 3: 33.333333, -0.5: -50, 0: 0, 1e12: 1e14, 1e-9: 0,
		math.MaxFloat64: math.MaxFloat64, -math.MaxFloat64: -math.MaxFloat64,
	} {
		assert.InDelta(t, want, percentage(ratio), 0, "%v", ratio)
	}
}

func TestFloatsAreThoseOfEncodingJSON(t *testing.T) {
	s := newSource(11, "")
	for range 20_000 {
		f := s.float()
		want, err := json.Marshal(f)
		require.NoError(t, err)
		require.Equal(t, string(want), string(appendFloat(nil, f)))
	}
	assert.Equal(t, "-0", string(appendFloat(nil, math.Copysign(0, -1))))
}

// TestViolationSchemaExamples keeps the examples what the encoder writes.
func TestViolationSchemaExamples(t *testing.T) {
	schemas := compileViolationSchemas(t)
	want := map[Version][]*usage.Violation{V1_0: {cpuViolation()}, V1_1: {cpuViolation(), quotaViolation()}}
	for v, violations := range want {
		var doc struct{ Examples []json.RawMessage }
		require.NoError(t, json.Unmarshal(ViolationSchema(v), &doc))
		require.Len(t, doc.Examples, len(violations))
		for i, p := range violations {
			checkSchema(t, schemas[v], doc.Examples[i])
			assert.JSONEq(t, string(AppendViolation(nil, v, p)), string(doc.Examples[i]))
		}
	}
}

// laterViolation is an event of a minor that nobody has thought of yet.
func laterViolation(t testing.TB) []byte {
	t.Helper()
	s := string(AppendViolation(nil, V1_1, quotaViolation()))
	for _, key := range []string{`"config":{`, `"episode":{`, `"window":{`, `"instance":{`, `"host":{`} {
		require.Contains(t, s, key)
		s = strings.Replace(s, key, key+`"added":[1,{}],`, 1)
	}
	return []byte(strings.Replace(s, `"version":"1.1"`, `"version":"1.12","added":{"a":null}`, 1))
}

func TestLaterMinorOfAViolation(t *testing.T) {
	checkSchema(t, compileViolationSchemas(t)[V1_1], laterViolation(t))
	e, err := DecodeViolation(laterViolation(t))
	require.NoError(t, err)
	assert.Equal(t, "1.12", e.Version)
	assert.Equal(t, quotaViolation(), e.Exact)
}

// TestDecodeViolationErrors changes one thing of a good event each; what the
// schema can say too, it does.
func TestDecodeViolationErrors(t *testing.T) {
	schema := compileViolationSchemas(t)[V1_1]
	const fits = true
	for _, tc := range []struct {
		old, new string
		kind     error
		message  string
		fits     bool // the schema alone does not tell
	}{
		{`"threshold_violation"`, `"resource_usage"`, ErrType, `unexpected event type: event_type is "resource_usage", want "threshold_violation"`, false},
		{`"1.1"`, `"2.0"`, ErrVersion, `unsupported event version: version is "2.0", want 1.x; it needs another decoder`, false},
		{`"config":{`, `"config":[],"c":{`, ErrMalformed, `malformed event: config is [], want an object`, false},
		{`"id":"cpu-high"`, `"id":""`, ErrMalformed, `malformed event: config.id is empty`, false},
		{`"resource":"cpu"`, `"resource":null`, ErrMalformed, `malformed event: config has a resource or a metric, and not both`, fits},
		{`"type":"percentage"`, `"type":"share"`, ErrMalformed, `malformed event: config.type is "share", want percentage or absolute`, false},
		{`"direction":"above"`, `"direction":"over"`, ErrMalformed, `malformed event: config.direction is "over", want above or below`, false},
		{`"per":"instance"`, `"per":"team"`, ErrMalformed, `malformed event: config.per is "team", want instance or user or org`, false},
		{`"warning":80`, `"warning":"80"`, ErrMalformed, `malformed event: config.warning is "80", want a number`, false},
		{`"channels":[`, `"channels":[1,`, ErrMalformed, `malformed event: config.channels is [1,"mail","on-call"], want an array of strings`, false},
		{`"channels":[`, `"channels":[null,`, ErrMalformed, `malformed event: config.channels is [null,"mail","on-call"], want an array of strings`, false},
		{`"severity":"page"`, `"severity":1`, ErrMalformed, `malformed event: config.labels has a value that is no string: "severity"`, false},
		{`"timezone":null,`, ``, ErrMalformed, `malformed event: config.timezone is missing`, false},
		{`"current_value":87.25`, `"current_value":1e999`, ErrMalformed, `malformed event: current_value is 1e999, want a number`, fits},
		{`"current_value":87.25`, `"current_value":null`, ErrMalformed, `malformed event: current_value is null, want a number`, false},
		{`"percentage":109.0625,`, ``, ErrMalformed, `malformed event: percentage is missing`, false},
		{`"instance_id":"6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11"`, `"instance_id":""`, ErrMalformed, `malformed event: instance_id is empty, and config.per is instance`, fits},
		{`"state":"firing"`, `"state":"burning"`, ErrMalformed, `malformed event: state is "burning", want firing or resolved or no_data`, false},
		{`"level":"warning"`, `"level":"bad"`, ErrMalformed, `malformed event: level is "bad", want warning or critical`, false},
		{`"level":"warning"`, `"level":"ok"`, ErrMalformed, `malformed event: level is "ok", want warning or critical`, false},
		{`"count":0`, `"count":4294967296`, ErrMalformed, `malformed event: episode.count is 4294967296, want at most 4294967295`, false},
		{`"suppressed":0`, `"suppressed":-1`, ErrMalformed, `malformed event: suppressed is -1, want at least 0`, false},
		{`"since_ns":`, `"since_ns":-`, ErrMalformed, `malformed event: episode.since_ns is -1626350370000123456, want at least 0`, false},
		{`"episode":{"id":"7`, `"episode":{"id":"x`, ErrMalformed, `malformed event: episode.id is "xb1e4c2a-93d0-5f67-8a4b-1c2d3e4f5a6b", want a UUID`, false},
		{`"window":null,"timezone":null`, `"window":"day","timezone":"UTC"`, ErrMalformed, `malformed event: window is null, want an object`, fits},
		{`"host":{"id"`, `"host":{"ID"`, ErrMalformed, `malformed event: host.id is missing`, false},
	} {
		t.Run(tc.new, func(t *testing.T) {
			good := string(AppendViolation(nil, V1_1, cpuViolation()))
			bad := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, bad, "the case changes nothing")
			e, err := DecodeViolation([]byte(bad))
			assert.Nil(t, e)
			require.ErrorIs(t, err, tc.kind)
			require.EqualError(t, err, tc.message)
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
			require.NoError(t, err)
			if tc.fits {
				assert.NoError(t, schema.Validate(doc))
			} else {
				assert.Error(t, schema.Validate(doc))
			}
		})
	}
	_, err := Decode(AppendViolation(nil, V1_1, cpuViolation()))
	require.ErrorIs(t, err, ErrType, "a reader of usage passes it over")
}

func TestOwnersOfQuotas(t *testing.T) {
	p := quotaViolation()
	_, err := DecodeViolation(AppendViolation(nil, V1_0, p))
	require.NoError(t, err, "1.0 has no place for an organization")
	text := string(AppendViolation(nil, V1_1, p))
	_, err = DecodeViolation([]byte(strings.Replace(text, `"org_id":"9e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0"`, `"org_id":null`, 1)))
	require.EqualError(t, err, "malformed event: org_id is empty, and config.per is org")
	p.Rule.Per = usage.PerUser
	for v := range numVersions {
		_, err = DecodeViolation(AppendViolation(nil, v, p))
		require.EqualError(t, err, "malformed event: user_id is empty, and config.per is user")
	}
}

// TestClosedSchemaOfViolations: 1.0 is fixed.
func TestClosedSchemaOfViolations(t *testing.T) {
	schema := compileViolationSchemas(t)[V1_0]
	good := string(AppendViolation(nil, V1_0, cpuViolation()))
	for _, object := range []string{`{"event_type"`, `"config":{`, `"current_value"`} {
		add := object + `"added":1,`
		if !strings.HasSuffix(object, "{") {
			add = strings.Replace(object, `"`, `"added":1,"`, 1)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(good, object, add, 1)))
		require.NoError(t, err)
		assert.Error(t, schema.Validate(doc), object)
	}
}

func BenchmarkAppendViolation(b *testing.B) {
	samples := violationSamples()
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		b.Run(name, func(b *testing.B) {
			buf := AppendViolation(nil, V1_1, samples[name])
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				buf = AppendViolation(buf[:0], V1_1, samples[name])
			}
		})
	}
}

func BenchmarkDecodeViolation(b *testing.B) {
	text := AppendViolation(nil, V1_1, cpuViolation())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeViolation(text); err != nil {
			b.Fatal(err)
		}
	}
}
