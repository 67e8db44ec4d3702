package usage_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func writeViolations(vs ...*usage.Violation) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, v := range vs {
		usage.AppendViolation(md.ResourceMetrics(), v)
	}
	return md
}

func readViolations(r *usage.ViolationReader, md pmetric.Metrics) ([]usage.Violation, error) {
	var got []usage.Violation
	var errs []error
	for _, rm := range md.ResourceMetrics().All() {
		errs = append(errs, r.Read(rm, func(v *usage.Violation) error {
			c := *v
			c.Instance.Labels = append([]usage.Label(nil), v.Instance.Labels...)
			c.Rule.Labels = append([]usage.Label(nil), v.Rule.Labels...)
			c.Rule.Channels = append([]string(nil), v.Rule.Channels...)
			got = append(got, c)
			return nil
		}))
	}
	return got, errors.Join(errs...)
}

// bareViolation has nothing that can be left out.
func bareViolation() *usage.Violation {
	return &usage.Violation{
		Instance: usage.Instance{UserID: "u"},
		Rule:     usage.ViolationRule{ID: "r", Metric: "m", Type: usage.AbsoluteRule, Direction: usage.DirectionBelow, Per: usage.PerUser},
		State:    usage.NoData, Level: usage.LevelCritical,
	}
}

func TestViolationsSurviveTheRoundTrip(t *testing.T) {
	resolved := usagetest.Violation(3)
	resolved.State, resolved.Reason, resolved.Level, resolved.Series = usage.Resolved, "rule_removed", usage.LevelCritical, "eth0"
	want := []*usage.Violation{usagetest.Violation(1), usagetest.Quota(2), bareViolation(), resolved}
	var r usage.ViolationReader
	for range 2 { // a reader that is used again forgets what it read before
		got, err := readViolations(&r, writeViolations(want...))
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			assert.Equal(t, *want[i], got[i])
		}
	}
}

func TestViolationsOfOneResource(t *testing.T) {
	first, second := usagetest.Violation(1), usagetest.Violation(1)
	second.Rule.ID, second.ID[0] = "other", 9
	md := usageAndLevels(t)
	rm := md.ResourceMetrics().At(0)
	dps := usage.ViolationPoints(rm.ScopeMetrics().At(0).Metrics())
	usage.AppendViolationPoint(dps, first)
	usage.AppendViolationPoint(dps, second)
	require.True(t, usage.HasViolations(rm))
	got, err := readViolations(new(usage.ViolationReader), md)
	require.NoError(t, err)
	assert.Equal(t, []usage.Violation{*first, *second}, got)

	periods, err := read(t, new(usage.Reader), md)
	require.NoError(t, err, "and usage beside it is still usage")
	assert.Len(t, periods, 1)
}

func usageAndLevels(t *testing.T) pmetric.Metrics {
	t.Helper()
	md := write(usagetest.Host(1))
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	usage.AppendThresholdStates(ms, []usage.ThresholdState{{Rule: "cpu-high", Level: usage.LevelWarning, At: 7}})
	require.False(t, usage.HasViolations(md.ResourceMetrics().At(0)))
	got, err := readViolations(new(usage.ViolationReader), md)
	require.NoError(t, err)
	require.Empty(t, got)
	return md
}

func TestThresholdStates(t *testing.T) {
	ms := pmetric.NewMetricSlice()
	usage.AppendThresholdStates(ms, nil)
	assert.Zero(t, ms.Len())
	usage.AppendThresholdStates(ms, []usage.ThresholdState{
		{Rule: "a", Level: usage.LevelOK, At: 1}, {Rule: "b", Series: "eth0", Level: usage.LevelCritical, At: 2},
	})
	require.Equal(t, 1, ms.Len())
	assert.Equal(t, "vm.threshold.state", ms.At(0).Name())
	dps := ms.At(0).Gauge().DataPoints()
	require.Equal(t, 2, dps.Len())
	assert.Equal(t, int64(0), dps.At(0).IntValue())
	assert.Equal(t, map[string]any{"threshold.rule.id": "a"}, dps.At(0).Attributes().AsRaw())
	assert.Equal(t, int64(2), dps.At(1).IntValue())
	assert.Equal(t, map[string]any{"threshold.rule.id": "b", "threshold.series": "eth0"}, dps.At(1).Attributes().AsRaw())
	assert.EqualValues(t, 2, dps.At(1).Timestamp())
}

func TestWhatIsNoViolationSaysWhy(t *testing.T) {
	type point = pmetric.NumberDataPoint
	without := func(key string) func(point) {
		return func(dp point) { dp.Attributes().Remove(key) }
	}
	text := func(key, value string) func(point) {
		return func(dp point) { dp.Attributes().PutStr(key, value) }
	}
	integer := func(key string, value int64) func(point) {
		return func(dp point) { dp.Attributes().PutInt(key, value) }
	}
	double := func(key string, value float64) func(point) {
		return func(dp point) { dp.Attributes().PutDouble(key, value) }
	}
	const torn, value = usage.ReasonViolationTorn, usage.ReasonViolationValue
	for _, tt := range []struct {
		name   string
		reason usage.Reason
		detail string
		spoil  func(point)
	}{
		{"a later version", usage.ReasonViolationVersion, "threshold.version is 2, and 1 is what can be read here: update this collector, then send it again", integer("threshold.version", 2)},
		{"no version", torn, "threshold.version is missing", without("threshold.version")},
		{"no id", torn, "threshold.id is missing", without("threshold.id")},
		{"id no UUID", torn, `threshold.id is "x", want a UUID`, text("threshold.id", "x")},
		{"no episode", torn, "threshold.episode is missing", without("threshold.episode")},
		{"no state", torn, "threshold.state is missing", without("threshold.state")},
		{"unknown state", value, `its state is "burning", want firing or resolved or no_data`, text("threshold.state", "burning")},
		{"no level", torn, "threshold.level is missing", without("threshold.level")},
		{"unknown level", torn, `threshold.level is "bad", want warning or critical`, text("threshold.level", "bad")},
		{"level ok", value, `its level is "ok", want warning or critical`, text("threshold.level", "ok")},
		{"no threshold", torn, "threshold.value is missing", without("threshold.value")},
		{"threshold a string", torn, `threshold.value is "80", want a number`, text("threshold.value", "80")},
		{"no ratio", torn, "threshold.ratio is missing", without("threshold.ratio")},
		{"ratio infinite", value, "its ratio is not a finite number", double("threshold.ratio", math.Inf(1))},
		{"limit no number", value, "its limit is not a finite number", double("threshold.limit", math.NaN())},
		{"warning no number", value, "its rule.warning is not a finite number", double("threshold.rule.warning", math.NaN())},
		{"value no number", value, "its value is not a finite number", func(dp point) { dp.SetDoubleValue(math.NaN()) }},
		{"no value", value, "its value is not a finite number", func(dp point) {
			empty := pmetric.NewNumberDataPoint()
			dp.Attributes().CopyTo(empty.Attributes())
			empty.CopyTo(dp)
		}},
		{"no since", torn, "threshold.since is missing", without("threshold.since")},
		{"since before 1970", torn, `threshold.since is "-1", want an integer of 0 to 9223372036854775807`, integer("threshold.since", -1)},
		{"time beyond 64 bits", value, "its time is before 1970", func(dp point) { dp.SetTimestamp(1 << 63) }},
		{"no count", torn, "threshold.count is missing", without("threshold.count")},
		{"count above 32 bits", torn, `threshold.count is "4294967296", want an integer of 0 to 4294967295`, integer("threshold.count", 1<<32)},
		{"suppressed negative", torn, `threshold.suppressed is "-1", want an integer of 0 to 4294967295`, integer("threshold.suppressed", -1)},
		{"no rule", torn, "threshold.rule.id is missing", without("threshold.rule.id")},
		{"empty rule", value, "its rule.id is empty", text("threshold.rule.id", "")},
		{"neither resource nor metric", value, "its rule has a resource or a metric, and not both", without("threshold.rule.resource")},
		{"resource and metric", value, "its rule has a resource or a metric, and not both", text("threshold.rule.metric", "m")},
		{"unknown type", value, `its rule.type is "shares", want percentage or absolute`, text("threshold.rule.type", "shares")},
		{"unknown direction", value, `its rule.direction is "over", want above or below`, text("threshold.rule.direction", "over")},
		{"unknown per", value, `its rule.per is "team", want instance or user or org`, text("threshold.rule.per", "team")},
		{"channels a string", torn, `threshold.rule.channels is "mail", want a slice of strings`, text("threshold.rule.channels", "mail")},
		{"labels a string", torn, `threshold.rule.labels is "a=b", want a map to strings`, text("threshold.rule.labels", "a=b")},
		{"a window without bounds", torn, "threshold.window.start is missing", text("threshold.rule.window", "day")},
		{"a window reversed", value, "its window ends before it starts", func(dp point) {
			dp.Attributes().PutStr("threshold.rule.window", "day")
			dp.Attributes().PutInt("threshold.window.start", 2)
			dp.Attributes().PutInt("threshold.window.end", 1)
		}},
		{"nobody's", usage.ReasonViolationSubject, "it is about an user and the resource has no user.id", func(dp point) {
			dp.Attributes().PutStr("threshold.rule.per", "user")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := usagetest.Violation(1)
			bad.Instance.UserID = ""
			md := writeViolations(bad, usagetest.Violation(2))
			dps := metric(md, usage.MetricViolation).Gauge().DataPoints()
			good := usagetest.Violation(3)
			good.Instance.UserID = ""
			usage.AppendViolationPoint(dps, good)
			tt.spoil(dps.At(0))
			got, err := readViolations(new(usage.ViolationReader), md)
			var ve *usage.ViolationError
			require.ErrorAs(t, err, &ve)
			assert.Equal(t, tt.reason, ve.Reason)
			assert.Equal(t, tt.detail, ve.Detail)
			assert.Equal(t, []usage.Violation{*good, *usagetest.Violation(2)}, got, "no other is lost with it")
		})
	}
}

func TestAViolationThatIsNoGauge(t *testing.T) {
	md := writeViolations(usagetest.Violation(1))
	metric(md, usage.MetricViolation).SetEmptySum().DataPoints().AppendEmpty()
	_, err := readViolations(new(usage.ViolationReader), md)
	require.EqualError(t, err, `violation of rule "" by instance "6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77": violation_torn: vm.threshold.violation is a Sum, want a Gauge`)
}

func TestWholeDoublesMayComeAsIntegers(t *testing.T) {
	md := writeViolations(usagetest.Violation(1))
	dp := metric(md, usage.MetricViolation).Gauge().DataPoints().At(0)
	dp.SetIntValue(88)
	dp.Attributes().PutInt("threshold.value", 80)
	got, err := readViolations(new(usage.ViolationReader), md)
	require.NoError(t, err)
	assert.InDelta(t, 88, got[0].Value, 0)
	assert.InDelta(t, 80, got[0].Threshold, 0)
}

func TestAnErrorOfVisitEndsTheReading(t *testing.T) {
	stop := errors.New("stop")
	seen := 0
	md := writeViolations(usagetest.Violation(1))
	usage.AppendViolationPoint(metric(md, usage.MetricViolation).Gauge().DataPoints(), usagetest.Violation(2))
	err := new(usage.ViolationReader).Read(md.ResourceMetrics().At(0), func(*usage.Violation) error { seen++; return stop })
	assert.Equal(t, stop, err)
	assert.Equal(t, 1, seen)
}

// drawViolation draws any violation that can be one.
func drawViolation(t *rapid.T) *usage.Violation {
	finite := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
	text := rapid.StringN(0, 12, -1)
	some := rapid.StringN(1, 12, -1)
	ns := rapid.Int64Min(0)
	// Resource attributes that are not one's own are labels.
	labels := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) usage.Label {
		return usage.Label{Key: "l" + text.Draw(t, "key"), Value: text.Draw(t, "value")}
	}), 0, 4, func(l usage.Label) string { return l.Key })
	none := func(ls []usage.Label) []usage.Label {
		if len(ls) == 0 {
			return nil
		}
		return ls
	}
	v := &usage.Violation{
		Instance: usage.Instance{
			ID: some.Draw(t, "id"), Name: text.Draw(t, "name"), Hypervisor: text.Draw(t, "hypervisor"), HostID: text.Draw(t, "host"),
			HostName: text.Draw(t, "host name"), UserID: some.Draw(t, "user"), OrgID: some.Draw(t, "org"), Labels: none(labels.Draw(t, "labels")),
		},
		Rule: usage.ViolationRule{
			ID: some.Draw(t, "rule"), Description: text.Draw(t, "description"), Unit: text.Draw(t, "unit"),
			Type:      rapid.SampledFrom([]string{usage.PercentageRule, usage.AbsoluteRule}).Draw(t, "type"),
			Direction: rapid.SampledFrom([]string{usage.DirectionAbove, usage.DirectionBelow}).Draw(t, "direction"),
			Window:    text.Draw(t, "window"), Timezone: text.Draw(t, "timezone"), Action: text.Draw(t, "action"),
			Per:    rapid.SampledFrom([]string{usage.PerInstance, usage.PerUser, usage.PerOrg}).Draw(t, "per"),
			Labels: none(labels.Draw(t, "rule's labels")),
		},
		State: rapid.SampledFrom([]usage.ViolationState{usage.Firing, usage.Resolved, usage.NoData}).Draw(t, "state"),
		Level: rapid.SampledFrom([]usage.ThresholdLevel{usage.LevelWarning, usage.LevelCritical}).Draw(t, "level"),
		Value: finite.Draw(t, "value"), Threshold: finite.Draw(t, "threshold"), Ratio: finite.Draw(t, "ratio"), Limit: finite.Draw(t, "limit"),
		At: ns.Draw(t, "at"), Since: ns.Draw(t, "since"), Count: rapid.Uint32().Draw(t, "count"), Suppressed: rapid.Uint32().Draw(t, "suppressed"),
		Series: text.Draw(t, "series"), Reason: text.Draw(t, "reason"),
	}
	if c := rapid.SliceOfN(text, 0, 3).Draw(t, "channels"); len(c) > 0 {
		v.Rule.Channels = c
	}
	name := some.Draw(t, "measured")
	if rapid.Bool().Draw(t, "metric") {
		v.Rule.Metric = name
	} else {
		v.Rule.Resource = name
	}
	for _, l := range []struct {
		has   *bool
		value *float64
	}{{&v.Rule.HasWarning, &v.Rule.Warning}, {&v.Rule.HasCritical, &v.Rule.Critical}, {&v.Rule.HasClear, &v.Rule.Clear}} {
		if *l.has = rapid.Bool().Draw(t, "has"); *l.has {
			*l.value = finite.Draw(t, "level's value")
		}
	}
	id := rapid.SliceOfN(rapid.Byte(), 16, 16)
	copy(v.ID[:], id.Draw(t, "notification"))
	copy(v.Episode[:], id.Draw(t, "episode"))
	if v.Rule.Window != "" {
		v.WindowEnd = ns.Draw(t, "window's end")
		v.WindowStart = rapid.Int64Range(0, v.WindowEnd).Draw(t, "window's start")
	}
	if v.Rule.Per != usage.PerInstance && rapid.Bool().Draw(t, "no instance") {
		v.Instance.ID = ""
	}
	return v
}

func TestAnyViolationSurvivesTheRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawViolation), 1, 3).Draw(t, "violations")
		m, u := pmetric.ProtoMarshaler{}, pmetric.ProtoUnmarshaler{}
		data, err := m.MarshalMetrics(writeViolations(want...))
		require.NoError(t, err)
		md, err := u.UnmarshalMetrics(data)
		require.NoError(t, err)
		got, err := readViolations(new(usage.ViolationReader), md)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, *want[i], got[i])
			require.NotEmpty(t, got[i].Subject())
		}
	})
}

// FuzzViolationReader takes any OTLP bytes: reading never panics, and what is a
// violation is written back to what reads the same.
func FuzzViolationReader(f *testing.F) {
	m := pmetric.ProtoMarshaler{}
	for _, md := range []pmetric.Metrics{
		writeViolations(usagetest.Violation(1), usagetest.Quota(2)), writeViolations(bareViolation()), write(usagetest.Host(1)),
	} {
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
		first, _ := readViolations(new(usage.ViolationReader), md)
		for i := range first {
			again, err := readViolations(new(usage.ViolationReader), writeViolations(&first[i]))
			require.NoError(t, err)
			require.Len(t, again, 1)
			if !repeatedKeys(&first[i]) { // which a map of ours has not, and a map of anybody can have
				require.Equal(t, first[i], again[0])
			}
		}
	})
}

// repeatedKeys reports whether labels cannot be written back as they are.
func repeatedKeys(v *usage.Violation) bool {
	reserved := []string{
		usage.AttrVMID, usage.AttrVMName, usage.AttrHypervisor, usage.AttrHostID, usage.AttrHostName, usage.AttrUserID, usage.AttrOrgID,
	}
	for _, labels := range [][]usage.Label{v.Instance.Labels, v.Rule.Labels} {
		seen := map[string]bool{}
		for _, l := range labels {
			if seen[l.Key] || slices.Contains(reserved, l.Key) {
				return true
			}
			seen[l.Key] = true
		}
	}
	return false
}

func TestThresholdLevels(t *testing.T) {
	for _, l := range []usage.ThresholdLevel{usage.LevelOK, usage.LevelWarning, usage.LevelCritical} {
		got, ok := usage.ParseThresholdLevel(l.String())
		assert.True(t, ok)
		assert.Equal(t, l, got)
	}
	assert.Equal(t, "unknown", usage.ThresholdLevel(3).String())
	_, ok := usage.ParseThresholdLevel("")
	assert.False(t, ok)
}

func BenchmarkViolationReader(b *testing.B) {
	rm := writeViolations(usagetest.Violation(1)).ResourceMetrics().At(0)
	var r usage.ViolationReader
	visit := func(*usage.Violation) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(rm, visit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHasViolations(b *testing.B) {
	rm := write(usagetest.Host(1)).ResourceMetrics().At(0)
	b.ReportAllocs()
	for b.Loop() {
		usage.HasViolations(rm)
	}
}
