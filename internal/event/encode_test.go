package event

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// checkEvent is what holds for every closed period.
func checkEvent(t testing.TB, v Version, p *usage.Period) []byte {
	t.Helper()
	got := AppendUsage(nil, v, p)
	want, err := refJSON(reference(v, p))
	require.NoError(t, err)
	requireSame(t, want, got)

	e, err := Decode(got)
	require.NoError(t, err, "%s", got)
	d := decoded(p)
	require.Equal(t, d.Instance.ID, e.InstanceID)
	require.Equal(t, d.Instance.UserID, e.UserID)
	require.Equal(t, d.Instance.OrgID, e.OrgID)
	require.Equal(t, v.String(), e.Version)
	require.Equal(t, p.End/1e9, e.Timestamp)
	require.Equal(t, [2]int64{p.Start / 1e9, p.End / 1e9}, [2]int64{e.Start, e.End})
	if v == V1_0 {
		require.Nil(t, e.Period)
		require.Zero(t, e.ID)
		return got
	}
	require.Equal(t, ID(p), e.ID)
	require.Equal(t, d, e.Period)
	return got
}

func TestSamplesAgainstEncodingJSON(t *testing.T) {
	for name, p := range samples() {
		for v := range numVersions {
			t.Run(name+"-"+v.String(), func(t *testing.T) { checkEvent(t, v, p) })
		}
	}
}

// requireSame shows where long texts differ, and not all of them.
func requireSame(t testing.TB, want, got []byte) {
	t.Helper()
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	around := func(b []byte) string { return string(b[max(0, i-60):min(len(b), i+60)]) }
	require.True(t, bytes.Equal(want, got), "byte %d\nwant ...%s...\ngot  ...%s...", i, around(want), around(got))
}

func FuzzAppendUsage(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, "x")
	}
	f.Add(uint64(1), "\"},{\u2029\xe2\x80")
	schemas := compileSchemas(f)
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		p := newSource(seed, text).period()
		for v := range numVersions {
			checkSchema(t, schemas[v], checkEvent(t, v, p))
		}
	})
}

func TestAppendUsageAppends(t *testing.T) {
	p := hostPeriod()
	alone := AppendUsage(nil, V1_1, p)
	for room := range len(alone) + 2 { // a buffer of any size gives the same bytes
		dst := append(make([]byte, 0, 2+room), "ab"...)
		require.Equal(t, "ab"+string(alone), string(AppendUsage(dst, V1_1, p)))
	}
}

// TestBeforeEpoch: the clock of a machine can be anywhere. Seconds round down.
func TestBeforeEpoch(t *testing.T) {
	p := hostPeriod()
	p.Start, p.End = -1_500_000_000, -1
	e, err := Decode(AppendUsage(nil, V1_1, p))
	require.NoError(t, err)
	assert.Equal(t, [3]int64{-2, -1, -1}, [3]int64{e.Start, e.End, e.Timestamp})
	assert.Equal(t, p, e.Period)
	p.Start = math.MinInt64
	want, err := refJSON(reference(V1_1, p))
	require.NoError(t, err)
	requireSame(t, want, AppendUsage(nil, V1_1, p))
}

// TestWholeSecondsTelescope: however a stream is cut into periods, the whole
// seconds of its events add up to the floor of its total.
func TestWholeSecondsTelescope(t *testing.T) {
	s := newSource(7, "")
	for range 50 {
		p := hostPeriod()
		p.Metered.AddClass(usage.GPU)
		p.Totals = usage.Amounts{}
		var cpu, gpu int64
		for range 200 {
			p.Usage[usage.CPUTime], p.Usage[usage.GPUActive] = s.amount(40e6), s.amount(999_999)
			p.Totals[usage.CPUTime] += p.Usage[usage.CPUTime]
			p.Totals[usage.GPUActive] += p.Usage[usage.GPUActive]
			e, err := Decode(AppendUsage(nil, V1_0, p))
			require.NoError(t, err)
			cpu += *e.Metrics.CPUSeconds
			gpu += *e.Metrics.GPUSeconds
		}
		assert.Equal(t, p.Totals[usage.CPUTime]/1e6, cpu)
		assert.Equal(t, p.Totals[usage.GPUActive]/1e6, gpu)
	}
}

func TestEmits(t *testing.T) {
	p := hostPeriod()
	p.Metered.AddClass(usage.GPU)
	shown := []usage.Meter{
		usage.CPUTime, usage.VCPUProvisioned, usage.Memory, usage.MemoryProvisioned, usage.Storage,
		usage.NetworkTransmitBytes, usage.NetworkReceiveBytes, usage.GPUActive,
	}
	for m := range usage.NumMeters {
		p.Quality = [usage.NumMeters]usage.Quality{}
		p.Quality[m] = usage.Recovered
		assert.True(t, Emits(V1_0, p), m)
		p.Quality[m] = usage.Gap
		assert.True(t, Emits(V1_1, p), m)
		assert.Equal(t, !slices.Contains(shown, m), Emits(V1_0, p), m)
	}
	p.Quality[usage.GPUEnergy], p.Quality[usage.GPUActive] = usage.Measured, usage.Gap
	p.Metered = hostPeriod().Metered
	assert.True(t, Emits(V1_0, p), "a meter that the instance does not have has no gap")
}

// TestGPUsThatOfferNoUtilization: an instance that has GPUs and no meter of their
// active time has none to show, which one without GPUs has.
func TestGPUsThatOfferNoUtilization(t *testing.T) {
	p := hostPeriod()
	assert.Contains(t, string(AppendUsage(nil, V1_1, p)), `"gpu_seconds":0`)
	p.Devices = append(p.Devices, usage.DeviceUsage{Class: usage.GPU, ID: "MIG-1", Model: "H100", Amounts: [usage.DeviceMeters]int64{0, 30e6, 7}})
	p.Metered.Add(usage.GPUProvisioned)
	p.Metered.Add(usage.GPUMemory)
	p.Usage[usage.GPUProvisioned], p.Usage[usage.GPUMemory] = 30e6, 7
	p.Totals[usage.GPUProvisioned], p.Totals[usage.GPUMemory] = 30e6, 7
	value := AppendUsage(nil, V1_1, p)
	assert.Contains(t, string(value), `"gpu_seconds":null`)
	assert.Contains(t, string(value), `{"id":"MIG-1","model":"H100","provisioned_us":30000000,"memory_mib_s":7}`)
	assert.NotContains(t, string(value), "energy_mj")
	assert.Contains(t, string(AppendUsage(nil, V1_0, p)), `"gpu_seconds":0`)
	e, err := Decode(value)
	require.NoError(t, err)
	assert.Equal(t, p, e.Period)
	assert.Nil(t, e.Metrics.GPUSeconds)
}

// TestGapIsNeverZero: a value of 1.1 made of a meter with a gap is null.
func TestGapIsNeverZero(t *testing.T) {
	nulls := map[usage.Meter][]string{
		usage.CPUTime:              {"cpu_seconds", "cpu_percent_avg"},
		usage.VCPUProvisioned:      {"cpu_percent_avg"},
		usage.Memory:               {"memory_gb", "memory_percent"},
		usage.MemoryProvisioned:    {"memory_percent"},
		usage.Storage:              {"storage_gb"},
		usage.NetworkTransmitBytes: {"network_egress_mb"},
		usage.NetworkReceiveBytes:  {"network_ingress_mb"},
		usage.GPUActive:            {"gpu_seconds"},
	}
	for m := range usage.NumMeters {
		p := hostPeriod()
		p.Metered.AddClass(usage.GPU)
		p.Quality[m], p.Coverage[m] = usage.Gap, 0
		var e struct {
			Metrics map[string]*float64
			Period  struct{ Meters map[string]any }
		}
		require.NoError(t, json.Unmarshal(AppendUsage(nil, V1_1, p), &e))
		var got []string
		for _, key := range []string{
			"cpu_seconds", "cpu_percent_avg", "memory_gb", "memory_percent", "storage_gb",
			"network_egress_mb", "network_ingress_mb", "gpu_seconds",
		} {
			if e.Metrics[key] == nil {
				got = append(got, key)
			}
		}
		assert.Equal(t, nulls[m], got, m)
		assert.Contains(t, e.Period.Meters, m.String())
	}
}

func TestID(t *testing.T) {
	for seed := range uint64(200) {
		s := newSource(seed, "")
		p := s.period()
		p.Sequence = s.Uint64() // ids do not stop at what JSON readers take
		p.Start -= s.amount(math.MaxInt64)
		name := strconv.FormatUint(p.Sequence, 10) + "/" + strconv.FormatInt(p.Start, 10) + "/" + strconv.FormatInt(p.End, 10)
		require.Equal(t, uuid.NewSHA1(p.Stream.ID, []byte(name)), ID(p))
	}
	p := hostPeriod()
	want := uuid.MustParse("1c72fb55-0cdb-5637-8799-b980dc1c197f")
	assert.Equal(t, want, ID(p), "ids of events that are out there must not change")
	p.Final, p.Usage[usage.CPUTime], p.Instance.UserID = true, 1, "other"
	assert.Equal(t, want, ID(p))
	p.Sequence++
	assert.NotEqual(t, want, ID(p))
	p = &usage.Period{Sequence: math.MaxUint64, Start: math.MinInt64, End: math.MinInt64}
	assert.Equal(t, uuid.NewSHA1(uuid.Nil, []byte("18446744073709551615/-9223372036854775808/-9223372036854775808")), ID(p))
}

func TestNoAllocations(t *testing.T) {
	for name, p := range samples() {
		for v := range numVersions {
			buf := AppendUsage(nil, v, p)
			assert.Zero(t, testing.AllocsPerRun(100, func() { buf = AppendUsage(buf[:0], v, p) }), "%s %s", name, v)
		}
		assert.Zero(t, testing.AllocsPerRun(100, func() { ID(p) }), name)
		assert.Zero(t, testing.AllocsPerRun(100, func() { Emits(V1_0, p) }), name)
	}
	p := hostPeriod()
	once := testing.AllocsPerRun(100, func() { _ = slices.Grow[[]byte](nil, sizeHint(V1_1, p)) }) // more than one with the race detector
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { AppendUsage(nil, V1_1, p) }), once, "an empty buffer grows once")
}
