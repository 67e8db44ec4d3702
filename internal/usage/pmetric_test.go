package usage_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func write(ps ...*usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range ps {
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

func read(t *testing.T, r *usage.Reader, md pmetric.Metrics) ([]usage.Period, error) {
	t.Helper()
	var got []usage.Period
	var errs []error
	for _, rm := range md.ResourceMetrics().All() {
		errs = append(errs, r.Read(rm, func(p *usage.Period) error {
			c := *p
			c.Devices = append([]usage.DeviceUsage(nil), p.Devices...)
			c.Instance.Labels = append([]usage.Label(nil), p.Instance.Labels...)
			got = append(got, c)
			return nil
		}))
	}
	return got, errors.Join(errs...)
}

// unusual is a period in which everything is as it seldom is.
func unusual() *usage.Period {
	p := usagetest.Host(2)
	p.Devices = []usage.DeviceUsage{
		{Class: usage.Disk, ID: ""},
		{Class: usage.Disk, ID: "nvme0n1"},
		{Class: usage.GPU, ID: "GPU-0", Model: "H100"},
		{Class: usage.GPU, ID: "GPU-1"},
	}
	p.Metered, p.Usage, p.Totals = 0, usage.Amounts{}, usage.Amounts{}
	usagetest.Fill(rand.New(rand.NewPCG(1, 2)), p)
	p.Metered.AddClass(usage.Interface) // metered, though there is none
	p.Quality[usage.DiskReadBytes] = usage.Recovered
	p.Quality[usage.GPUMemory] = usage.Gap
	p.Coverage[usage.GPUMemory] = 333_333
	p.Flavor.GPUs = 2
	p.ClockStepped, p.Final = true, true
	p.Joined = uint32(p.Sequence) // the whole stream so far
	p.End = p.Start
	p.Instance.UserID, p.Instance.OrgID, p.Instance.Labels = "", "", nil
	p.Stats = [usage.NumUtilizations]usage.Statistic{usage.GPUUtilization: {Avg: 0, Max: 1_000_000, Valid: true}}
	return p
}

func TestPeriodsSurviveTheRoundTrip(t *testing.T) {
	bare := &usage.Period{Instance: usage.Instance{ID: "x"}, Sequence: 1}
	bare.Metered.Add(usage.Running)
	for m := range bare.Coverage {
		bare.Coverage[m] = usage.FullCoverage
	}
	mig := &usage.Period{
		Instance: usage.Instance{ID: "x"}, Sequence: 2, Coverage: bare.Coverage,
		Devices: []usage.DeviceUsage{{Class: usage.GPU, ID: "MIG-1", Amounts: [usage.DeviceMeters]int64{0, 5, 0, 0}}},
	}
	mig.Metered.Add(usage.GPUProvisioned) // it offers some meters of its class only
	mig.Metered.Add(usage.GPUMemory)
	mig.Usage[usage.GPUProvisioned] = 5
	want := []*usage.Period{usagetest.Host(1), unusual(), bare, mig, usagetest.Host(3)}
	var r usage.Reader
	for range 2 { // a Reader that is used again forgets what it read before
		got, err := read(t, &r, write(want...))
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			assert.Equal(t, *want[i], got[i])
		}
	}
}

// TestNothingPassed: a stream that replaces lost state begins with a period of
// no length, and an instance that went away with its last period ends with one.
func TestNothingPassed(t *testing.T) {
	lost := usagetest.Host(1)
	lost.Sequence, lost.End, lost.Duration = 1, lost.Start, 0
	lost.Usage, lost.Totals, lost.Devices = usage.Amounts{}, usage.Amounts{}, nil
	for m := range lost.Metered.All() {
		lost.Quality[m], lost.Coverage[m] = usage.Gap, 0
	}
	lost.Stats = [usage.NumUtilizations]usage.Statistic{}
	ended := usagetest.Host(2)
	ended.Final, ended.Start, ended.Duration = true, ended.End, 0
	for i := range ended.Devices {
		ended.Devices[i].Amounts = [usage.DeviceMeters]int64{}
	}
	ended.Usage = usage.Amounts{}
	got, err := read(t, new(usage.Reader), write(lost, ended))
	require.NoError(t, err)
	assert.Equal(t, []usage.Period{*lost, *ended}, got)
	assert.Equal(t, usage.Gap, got[0].WorstQuality())
}

func TestJoined(t *testing.T) {
	p := usagetest.Host(1)
	for joined, first := range []uint64{p.Sequence, p.Sequence, p.Sequence - 1, p.Sequence - 2} {
		p.Joined = uint32(joined)
		assert.Equal(t, first, p.FirstSequence())
		got, err := read(t, new(usage.Reader), write(p))
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, first, got[0].FirstSequence())
		_, written := sequence(write(p)).Attributes().Get("vm.usage.joined")
		assert.Equal(t, joined > 1, written)
	}
}

func TestSeveralPeriodsOfOneResource(t *testing.T) {
	first, second := usagetest.Host(1), usagetest.Host(1)
	second.Sequence, second.Start, second.End = 12, first.End, first.End+30e9
	md := write(first, second)
	a, b := md.ResourceMetrics().At(0), md.ResourceMetrics().At(1)
	b.ScopeMetrics().MoveAndAppendTo(a.ScopeMetrics())
	got, err := read(t, new(usage.Reader), md)
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, *first, got[0])
	assert.Equal(t, *second, got[1])
}

func metric(md pmetric.Metrics, name string) pmetric.Metric {
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() == name {
			return m
		}
	}
	panic("no metric " + name)
}

func sequence(md pmetric.Metrics) pmetric.NumberDataPoint {
	return metric(md, usage.MetricSequence).Gauge().DataPoints().At(0)
}

func TestWhatIsNoPeriodSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reason usage.Reason
		spoil  func(md pmetric.Metrics)
	}{
		{"no instance", usage.ReasonNoInstance, func(md pmetric.Metrics) {
			md.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
		}},
		{"a point is missing", usage.ReasonTorn, func(md pmetric.Metrics) {
			metric(md, "vm.usage.disk.io").Sum().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool {
				d, _ := dp.Attributes().Get(usage.AttrDiskDirection)
				return d.Str() == "write"
			})
		}},
		{"a metric comes twice", usage.ReasonTorn, func(md pmetric.Metrics) {
			ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
			metric(md, "vm.usage.cpu.time").CopyTo(ms.AppendEmpty())
		}},
		{"a metric of other bounds", usage.ReasonNoSequence, func(md pmetric.Metrics) {
			metric(md, "vm.usage.cpu.time").Sum().DataPoints().At(0).SetTimestamp(1)
		}},
		{"no sequence", usage.ReasonNoSequence, func(md pmetric.Metrics) {
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool {
				return m.Name() == usage.MetricSequence
			})
		}},
		{"a later version", usage.ReasonVersion, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutInt("vm.usage.version", 2)
		}},
		{"a version of text", usage.ReasonVersion, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutStr("vm.usage.version", "1")
		}},
		{"a later version that is all otherwise", usage.ReasonVersion, func(md pmetric.Metrics) {
			a := sequence(md).Attributes()
			a.Clear()
			a.PutInt("vm.usage.version", 2)
			sequence(md).SetDoubleValue(0.5)
			metric(md, "vm.usage.cpu.time").Sum().DataPoints().At(0).SetTimestamp(1)
		}},
		{"sequence 0", usage.ReasonSequence, func(md pmetric.Metrics) { sequence(md).SetIntValue(0) }},
		{"sequence a double", usage.ReasonSequence, func(md pmetric.Metrics) { sequence(md).SetDoubleValue(1) }},
		{"stream no UUID", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutStr("vm.usage.stream", "{6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77}")
		}},
		{"joined from one", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutInt("vm.usage.joined", 1)
		}},
		{"joined from more than there were", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutInt("vm.usage.joined", sequence(md).IntValue()+1)
		}},
		{"joined from more than 32 bits", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).SetIntValue(1 << 40)
			sequence(md).Attributes().PutInt("vm.usage.joined", 1<<32)
		}},
		{"joined a string", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutStr("vm.usage.joined", "2")
		}},
		{"no number of points", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().Remove("vm.usage.points")
		}},
		{"no totals", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().Remove("vm.usage.totals")
		}},
		{"negative total", usage.ReasonSequence, func(md pmetric.Metrics) {
			v, _ := sequence(md).Attributes().Get("vm.usage.totals")
			v.Map().PutInt("cpu.time", -1)
		}},
		{"unknown quality", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutEmptyMap("vm.usage.quality").PutStr("cpu.time", "fine")
		}},
		{"coverage above full", usage.ReasonSequence, func(md pmetric.Metrics) {
			sequence(md).Attributes().PutEmptyMap("vm.usage.coverage").PutInt("cpu.time", usage.FullCoverage+1)
		}},
		{"negative amount", usage.ReasonValue, func(md pmetric.Metrics) {
			metric(md, "vm.usage.cpu.time").Sum().DataPoints().At(0).SetIntValue(-1)
		}},
		{"amount a double", usage.ReasonValue, func(md pmetric.Metrics) {
			metric(md, "vm.usage.cpu.time").Sum().DataPoints().At(0).SetDoubleValue(1)
		}},
		{"unknown direction", usage.ReasonValue, func(md pmetric.Metrics) {
			metric(md, "vm.usage.disk.io").Sum().DataPoints().At(0).Attributes().PutStr(usage.AttrDiskDirection, "up")
		}},
		{"sum above 64 bits", usage.ReasonValue, func(md pmetric.Metrics) {
			dps := metric(md, "vm.usage.cpu.time").Sum().DataPoints()
			dps.At(0).SetIntValue(1<<63 - 1)
			dps.At(0).CopyTo(dps.AppendEmpty())
		}},
		{"bounds reversed", usage.ReasonBounds, func(md pmetric.Metrics) {
			for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
				var dps pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeGauge {
					dps = m.Gauge().DataPoints()
				} else {
					dps = m.Sum().DataPoints()
				}
				for _, dp := range dps.All() {
					dp.SetTimestamp(dp.StartTimestamp() - 1)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			md := write(usagetest.Host(1), usagetest.Host(2))
			tt.spoil(md)
			got, err := read(t, new(usage.Reader), md)
			var pe *usage.PeriodError
			require.ErrorAs(t, err, &pe)
			assert.Equal(t, tt.reason, pe.Reason, pe.Error())
			require.Len(t, got, 1, "the other period is not lost with it")
			assert.Equal(t, *usagetest.Host(2), got[0])
		})
	}
}

// TestAnAgentThatSaysNoVersion: agents older than the attribute are of version 1.
func TestAnAgentThatSaysNoVersion(t *testing.T) {
	md := write(usagetest.Host(1))
	v, ok := sequence(md).Attributes().Get("vm.usage.version")
	require.True(t, ok)
	assert.EqualValues(t, usage.ContractVersion, v.Int())
	sequence(md).Attributes().Remove("vm.usage.version")
	got, err := read(t, new(usage.Reader), md)
	require.NoError(t, err)
	assert.Equal(t, []usage.Period{*usagetest.Host(1)}, got)
}

func TestWhatIsNotUsageIsPassedOver(t *testing.T) {
	md := write(usagetest.Host(1))
	level := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	level.SetName("vm.cpu.utilization")
	level.SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(0.5)
	later := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	later.SetName("vm.uptime")
	later.SetEmptyGauge().DataPoints().AppendEmpty()
	got, err := read(t, new(usage.Reader), md)
	require.NoError(t, err)
	assert.Len(t, got, 1)
}

func TestMeteredAreCumulativeTotals(t *testing.T) {
	p := usagetest.Host(1)
	ms := pmetric.NewMetricSlice()
	usage.AppendMetered(ms, p.Metered, &p.Totals, 5, 9)
	got := map[string]int64{}
	for _, m := range ms.All() {
		assert.Equal(t, pmetric.AggregationTemporalityCumulative, m.Sum().AggregationTemporality())
		assert.True(t, m.Sum().IsMonotonic())
		for _, dp := range m.Sum().DataPoints().All() {
			assert.EqualValues(t, 5, dp.StartTimestamp())
			key := m.Name()
			for _, v := range dp.Attributes().All() {
				key += "." + v.Str()
			}
			got[key] = dp.IntValue()
		}
	}
	want := map[string]int64{}
	for m := range p.Metered.All() {
		want["vm.metered."+m.String()] = p.Totals[m]
	}
	assert.Equal(t, want, got)
}

// FuzzReader takes any OTLP bytes: reading never panics, and what is a period
// is written back to what reads the same.
func FuzzReader(f *testing.F) {
	m := pmetric.ProtoMarshaler{}
	for _, md := range []pmetric.Metrics{write(usagetest.Host(1)), write(unusual()), pmetric.NewMetrics()} {
		b, err := m.MarshalMetrics(md)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u := pmetric.ProtoUnmarshaler{}
		md, err := u.UnmarshalMetrics(data)
		if err != nil {
			return
		}
		first, _ := read(t, new(usage.Reader), md)
		for i := range first {
			again, err := read(t, new(usage.Reader), write(&first[i]))
			require.NoError(t, err)
			require.Len(t, again, 1)
			require.Equal(t, first[i].Totals, again[0].Totals)
			require.Equal(t, first[i].Usage, again[0].Usage)
		}
	})
}

func BenchmarkAppendPeriod(b *testing.B) {
	p := usagetest.Host(1)
	b.ReportAllocs()
	for b.Loop() {
		usage.AppendPeriod(pmetric.NewMetrics().ResourceMetrics(), p)
	}
}

func BenchmarkReader(b *testing.B) {
	rm := write(usagetest.Host(1)).ResourceMetrics().At(0)
	var r usage.Reader
	visit := func(*usage.Period) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(rm, visit); err != nil {
			b.Fatal(err)
		}
	}
}
