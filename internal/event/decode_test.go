package event

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestDecodeMetrics(t *testing.T) {
	for v := range numVersions {
		e, err := Decode(AppendUsage(nil, v, gpuPeriod()))
		require.NoError(t, err)
		assert.Equal(t, Metrics{
			CPUSeconds:       new(int64(29)),
			CPUPercentAvg:    new(12.5),
			MemoryGB:         new(4.200025),
			MemoryPercent:    new(52.500295),
			StorageGB:        new(25.700008),
			NetworkEgressMB:  new(15.2),
			NetworkIngressMB: new(8.7),
			GPUSeconds:       new(int64(21)),
		}, e.Metrics)
	}
	e, err := Decode(AppendUsage(nil, V1_1, gapPeriod()))
	require.NoError(t, err)
	assert.Nil(t, e.Metrics.MemoryGB)
	assert.Nil(t, e.Metrics.MemoryPercent)
	assert.NotNil(t, e.Metrics.StorageGB)
}

// TestDecodeContract reads the event that fixed 1.0.
func TestDecodeContract(t *testing.T) {
	e, err := Decode([]byte(` {"event_type":"resource_usage","version":"1.0","timestamp":1626350430,"instance_id":"i","user_id":"u",
		"org_id":null,"metrics":{"cpu_seconds":30,"cpu_percent_avg":12.5,"memory_gb":4.2,"memory_percent":52.5,
		"storage_gb":25.7,"network_egress_mb":15.2,"network_ingress_mb":8.7,"gpu_seconds":0},
		"period":{"start":1626350400,"end":1626350430}}`))
	require.NoError(t, err)
	assert.Equal(t, &Event{
		Version: "1.0", Timestamp: 1626350430, InstanceID: "i", UserID: "u", Start: 1626350400, End: 1626350430,
		Metrics: Metrics{
			new(int64(30)), new(12.5), new(4.2), new(52.5), new(25.7), new(15.2), new(8.7), new(int64(0)),
		},
	}, e)
}

func TestDecodeLaterMinor(t *testing.T) {
	e, err := Decode(laterMinor(t))
	require.NoError(t, err)
	assert.Equal(t, "1.12", e.Version)
	assert.Equal(t, recoveredPeriod(), e.Period)
}

// TestDecodeOtherReaders: what passed through another JSON library means the same.
func TestDecodeOtherReaders(t *testing.T) {
	var doc map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(AppendUsage(nil, V1_1, gapPeriod()), &doc))
	doc["stats"] = json.RawMessage(`{"cpu_utilization":{"avg":1.25e-1,"max":3.710930000E-1},"storage_utilization":{"avg":0.2570000,"max":0.25700099999}}`)
	sorted, err := json.MarshalIndent(doc, "\t", " ")
	require.NoError(t, err)
	e, err := Decode(sorted)
	require.NoError(t, err)
	assert.Equal(t, gapPeriod(), e.Period)
}

// TestDecodeErrors changes one thing of a good event each.
func TestDecodeErrors(t *testing.T) {
	for _, tc := range []struct {
		old, new string
		kind     error
		message  string
	}{
		{`{"event_type"`, `["event_type"`, ErrMalformed, `malformed event: invalid character ':' after array element at byte 14`},
		{`"labels":{"region":"eu-1","plan":"small"}}`, `"labels":{`, ErrMalformed, `malformed event: unexpected end of JSON input at byte 2492`},
		{`"event_type":"resource_usage",`, ``, ErrMalformed, `malformed event: event_type is missing`},
		{`"resource_usage"`, `null`, ErrMalformed, `malformed event: event_type is null, want a string`},
		{`"resource_usage"`, `"instance_lifecycle"`, ErrType, `unexpected event type: event_type is "instance_lifecycle", want "resource_usage"`},
		{`"1.1"`, `"2.0","timestamp":[]`, ErrVersion, `unsupported event version: version is "2.0", want 1.x; it needs another decoder`},
		{`"1.1"`, `"0.1"`, ErrVersion, `unsupported event version: version is "0.1", want 1.x; it needs another decoder`},
		{`"1.1"`, `"1"`, ErrMalformed, `malformed event: version is "1", want major.minor`},
		{`"1.1"`, `"1.01"`, ErrMalformed, `malformed event: version is "1.01", want major.minor`},
		{`"1.1"`, `"1.1.1"`, ErrMalformed, `malformed event: version is "1.1.1", want major.minor`},
		{`"1.1"`, `1.1`, ErrMalformed, `malformed event: version is 1.1, want a string`},
		{`"timestamp":1626350430`, `"timestamp":1626350430.5`, ErrMalformed, `malformed event: timestamp is 1626350430.5, want a 64-bit integer`},
		{`"instance_id":"6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11"`, `"instance_id":""`, ErrMalformed, `malformed event: instance_id is empty`},
		{`"user_id"`, `"user"`, ErrMalformed, `malformed event: user_id is missing`},
		{`"org_id":"`, `"org_id":7,"x":"`, ErrMalformed, `malformed event: org_id is 7, want a string`},
		{`"metrics":{`, `"metrics":null,"m":{`, ErrMalformed, `malformed event: metrics is null, want an object`},
		{`"cpu_seconds":30`, `"cpu_seconds":-30`, ErrMalformed, `malformed event: metrics.cpu_seconds is -30, want at least 0`},
		{`"memory_gb":4.200025`, `"memory_gb":"4.2"`, ErrMalformed, `malformed event: metrics.memory_gb is "4.2", want a number of at least 0`},
		{`"memory_gb":4.200025`, `"memory_gb":1e999`, ErrMalformed, `malformed event: metrics.memory_gb is 1e999, want a number of at least 0`},
		{`"gpu_seconds"`, `"gpu"`, ErrMalformed, `malformed event: metrics.gpu_seconds is missing`},
		{`"start":1626350400`, `"start":1626350431`, ErrMalformed, `malformed event: period.end is 1626350430, before period.start, which is 1626350431`},
		{`"end_ns":1626350430001234567`, `"end_ns":1626350400002345677`, ErrMalformed, `malformed event: period.end_ns is 1626350400002345677, before start_ns, which is 1626350400002345678`},
		{`"duration_ns":`, `"duration_ns":-`, ErrMalformed, `malformed event: period.duration_ns is -29998889012, want at least 0`},
		{`"sequence":120`, `"sequence":0`, ErrMalformed, `malformed event: period.sequence is 0, want at least 1`},
		{`"sequence":120`, `"sequence":120,"joined":1`, ErrMalformed, `malformed event: period.joined is 1, want 2 to 120: the sequence is 120`},
		{`"sequence":120`, `"sequence":120,"joined":121`, ErrMalformed, `malformed event: period.joined is 121, want 2 to 120: the sequence is 120`},
		{`"sequence":120`, `"sequence":9223372036854775807,"joined":4294967296`, ErrMalformed, `malformed event: period.joined is 4294967296, want 2 to 4294967295: the sequence is 9223372036854775807`},
		{`"sequence":120`, `"sequence":120,"joined":null`, ErrMalformed, `malformed event: period.joined is null, want a 64-bit integer`},
		{`"measured"`, `"good"`, ErrMalformed, `malformed event: period.quality is "good", want measured, recovered or gap`},
		{`"coverage":1`, `"coverage":1.000001`, ErrMalformed, `malformed event: period.coverage is 1.000001, want at most 1`},
		{`"coverage":1`, `"coverage":1,"final":0`, ErrMalformed, `malformed event: period.final is 0, want true or false`},
		{`"coverage":1`, `"coverage":1,"meters":{"memory":{"quality":"gap"}}`, ErrMalformed, `malformed event: period.meters.memory.coverage is missing`},
		{`"event_id":"`, `"event_id":"urn:uuid:`, ErrMalformed, `malformed event: event_id is "urn:uuid:1c72fb55-0cdb-5637-8799-b980dc..., want a UUID`},
		{`"stream":{"id":"a`, `"stream":{"id":"x`, ErrMalformed, `malformed event: stream.id is "x3c6c1a0-52c5-4d8f-8a35-2b7f6a1d9e04", want a UUID`},
		{`"cpu_steal_us":1200`, `"cpu_steal_us":9223372036854775808`, ErrMalformed, `malformed event: usage.cpu_steal_us is 9223372036854775808, want a 64-bit integer`},
		{`"cpu_steal_us":1200`, `"cpu_steal_us":1.2e3`, ErrMalformed, `malformed event: usage.cpu_steal_us is 1.2e3, want a 64-bit integer`},
		{`"cpu_steal_us":1200,`, ``, ErrMalformed, `malformed event: totals and usage have different meters: cpu_steal_us is in one only`},
		{`"devices":{`, `"devices":{"gpus":7,`, ErrMalformed, `malformed event: devices.gpus is 7, want an array of objects`},
		{`"devices":{`, `"devices":{"gpus":[7],`, ErrMalformed, `malformed event: devices.gpus is [7], want an array of objects`},
		{`"id":"sda","read_bytes"`, `"id":"sda","read"`, ErrMalformed, `malformed event: devices.disks[1].read_bytes is missing`},
		{`"stats":{"cpu_utilization":{"avg"`, `"stats":{"cpu_utilization":{"mean"`, ErrMalformed, `malformed event: stats.cpu_utilization.avg is missing`},
		{`{"avg":0.125`, `{"avg":1e300`, ErrMalformed, `malformed event: stats.cpu_utilization.avg is 1e300, want less`},
		{`"vcpus":8`, `"vcpus":true`, ErrMalformed, `malformed event: instance.vcpus is true, want a 64-bit integer`},
		{`"host":{"id"`, `"host":{"ID"`, ErrMalformed, `malformed event: host.id is missing`},
		{`"plan":"small"`, `"plan":{"a":"b"}`, ErrMalformed, `malformed event: labels has a value that is no string: "plan"`},
	} {
		t.Run(tc.new, func(t *testing.T) {
			good := string(AppendUsage(nil, V1_1, hostPeriod()))
			bad := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, bad, "the case changes nothing")
			e, err := Decode([]byte(bad))
			assert.Nil(t, e)
			require.ErrorIs(t, err, tc.kind)
			assert.EqualError(t, err, tc.message)
		})
	}
	t.Run("1.0 knows no null", func(t *testing.T) {
		_, err := Decode([]byte(strings.Replace(string(AppendUsage(nil, V1_0, hostPeriod())), `"cpu_seconds":30`, `"cpu_seconds":null`, 1)))
		require.EqualError(t, err, `malformed event: metrics.cpu_seconds is null, want a number`)
	})
	for _, text := range []string{"", "null", "7", `"x"`, "[]", "{}", "{} {}", "\xff"} {
		_, err := Decode([]byte(text))
		require.ErrorIs(t, err, ErrMalformed, text)
	}
}

// FuzzDecode: no input panics, and what is accepted means the same when it is
// written and read again.
func FuzzDecode(f *testing.F) {
	for _, p := range samples() {
		for v := range numVersions {
			f.Add(AppendUsage(nil, v, p))
		}
	}
	f.Add(laterMinor(f))
	f.Add([]byte(`{"event_type":"resource_usage","version":"1.1","devices":{"disks":[null,{}]},"labels":{"a":[]}}`))
	schema := compileSchemas(f)[V1_1]
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			assert.Nil(t, e)
			assert.NotEmpty(t, err.Error())
			return
		}
		if e.Period == nil {
			return
		}
		text := AppendUsage(nil, V1_1, e.Period)
		again, err := Decode(text)
		if err != nil { // whole seconds of a usage above its total
			require.Contains(t, err.Error(), "_seconds")
			return
		}
		require.Equal(t, e.Period, again.Period)
		if e.Period.Start >= 0 && e.Period.Stream.Start >= 0 {
			checkSchema(t, schema, text)
		}
	})
}

// TestStreamIsVerifiable is what the events are for: from 1.1 events alone a
// consumer drops repeats, finds the order, and proves that nothing is missing.
func TestStreamIsVerifiable(t *testing.T) {
	s := newSource(3, "")
	p := hostPeriod()
	p.Totals, p.Sequence = usage.Amounts{}, 0
	var log [][]byte
	for range 40 {
		p.Sequence++
		p.Start, p.End = p.End, p.End+s.amount(60e9)
		for m := range p.Metered.All() {
			p.Usage[m] = s.amount(1 << 50)
			p.Totals[m] += p.Usage[m]
		}
		text := AppendUsage(nil, V1_1, p)
		for range 1 + s.IntN(2) {
			log = append(log, text)
		}
	}
	s.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })

	bySequence := map[uint64]*Event{}
	for _, text := range log {
		e, err := Decode(text)
		require.NoError(t, err)
		if first := bySequence[e.Period.Sequence]; first != nil {
			require.Equal(t, first.ID, e.ID)
		}
		bySequence[e.Period.Sequence] = e
	}
	var sum usage.Amounts
	for n := uint64(1); n <= 40; n++ {
		e := bySequence[n].Period
		for m := range e.Metered.All() {
			sum[m] += e.Usage[m]
		}
		require.Equal(t, e.Totals, sum)
		if n > 1 {
			require.Equal(t, bySequence[n-1].Period.End, e.Start)
		}
	}
}
