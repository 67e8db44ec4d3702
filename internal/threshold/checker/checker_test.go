package checker_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/threshold/checker"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const at = int64(1_788_220_800_000_000_000)

// levels is metrics of one instance.
func levels(id string) (md pmetric.Metrics, ms pmetric.MetricSlice) {
	md = pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	usage.PutResource(rm.Resource(), &usage.Instance{ID: id, UserID: "u1", Name: "web"})
	return md, rm.ScopeMetrics().AppendEmpty().Metrics()
}

// gauge appends a gauge with one point.
func gauge(ms pmetric.MetricSlice, name, unit string, value float64) pmetric.NumberDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetTimestamp(pcommon.Timestamp(at)) //nolint:gosec // above 0
	dp.SetDoubleValue(value)
	return dp
}

// check returns what a new engine says of md, as rule, series and value.
func check(t testing.TB, md pmetric.Metrics, rules string) (said []string, counts checker.Counts) {
	t.Helper()
	parsed, err := threshold.Parse([]byte(rules), threshold.Options{Source: threshold.Inline, Fleet: true})
	require.NoError(t, err)
	set, err := threshold.Compile(parsed)
	require.NoError(t, err)
	tx := threshold.New(threshold.Config{}).Begin()
	c := checker.New(checker.Options{Tag: checker.TagPoint})
	counts = c.Check(set, tx, md)
	for _, a := range tx.Announcements() {
		said = append(said, fmt.Sprintf("%s(%s) %v", a.Rule.ID, a.Series, a.Value))
	}
	tx.Rollback()
	return said, counts
}

func TestWhatIsAPoint(t *testing.T) {
	const rules = `rules: [{id: a, metric: m, type: absolute, unit: MiBy, warning: 1}]`
	for _, c := range []struct {
		name string
		make func(pmetric.MetricSlice)
		want []string
	}{
		{"double", func(ms pmetric.MetricSlice) { gauge(ms, "m", "By", 1<<20) }, []string{"a() 1"}},
		{"integer", func(ms pmetric.MetricSlice) { gauge(ms, "m", "By", 0).SetIntValue(3 << 20) }, []string{"a() 3"}},
		{"another unit of the same kind", func(ms pmetric.MetricSlice) { gauge(ms, "m", "GiBy", 2) }, []string{"a() 2048"}},
		{"another kind of unit", func(ms pmetric.MetricSlice) { gauge(ms, "m", "s", 1<<30) }, nil},
		{"no unit", func(ms pmetric.MetricSlice) { gauge(ms, "m", "", 7) }, []string{"a() 7"}}, // the one of the rule
		{"no value", func(ms pmetric.MetricSlice) {
			gauge(ms, "m", "By", 1<<30).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		}, nil},
		{"another name", func(ms pmetric.MetricSlice) { gauge(ms, "n", "By", 1<<30) }, nil},
		{"a sum", func(ms pmetric.MetricSlice) {
			m := ms.AppendEmpty()
			m.SetName("m")
			m.SetUnit("By")
			dp := m.SetEmptySum().DataPoints().AppendEmpty()
			dp.SetTimestamp(1)
			dp.SetIntValue(1 << 20)
		}, []string{"a() 1"}},
		{"a histogram", func(ms pmetric.MetricSlice) {
			m := ms.AppendEmpty()
			m.SetName("m")
			m.SetUnit("By")
			m.SetEmptyHistogram().DataPoints().AppendEmpty().SetSum(1 << 30)
		}, nil},
		{"empty", func(ms pmetric.MetricSlice) { ms.AppendEmpty().SetName("m") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			md, ms := levels("vm-1")
			c.make(ms)
			said, _ := check(t, md, rules)
			assert.Equal(t, c.want, said)
		})
	}
}

func TestNobodyIsChecked(t *testing.T) {
	md, ms := levels("")
	gauge(ms, "vm.cpu.utilization", "1", 0.9)
	said, counts := check(t, md, `rules: [{id: a, resource: cpu, type: percentage, warning: 80}]`)
	assert.Empty(t, said)
	assert.Zero(t, counts)
	_, counts = check(t, pmetric.NewMetrics(), `rules: [{id: a, resource: cpu, type: percentage, warning: 80}]`)
	assert.Zero(t, counts)
}

func TestSeries(t *testing.T) {
	const rules = `rules: [{id: a, metric: m, type: absolute, warning: 1}]`
	long := strings.Repeat("ä", 300)
	for _, c := range []struct {
		name  string
		attrs map[string]string
		want  string
	}{
		{"none", nil, ""},
		{"one", map[string]string{"k": "v"}, "k=v"},
		{"sorted", map[string]string{"b": "2", "a": "1"}, "a=1,b=2"},
		{"without marks", map[string]string{"b": "2", "threshold.level": "warning"}, "b=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			md, ms := levels("vm-1")
			dp := gauge(ms, "m", "1", 1)
			for k, v := range c.attrs {
				dp.Attributes().PutStr(k, v)
			}
			said, _ := check(t, md, rules)
			assert.Equal(t, []string{"a(" + c.want + ") 1"}, said)
		})
	}
	t.Run("bounded", func(t *testing.T) {
		md, ms := levels("vm-1")
		gauge(ms, "m", "1", 1).Attributes().PutStr("k", long+"1")
		gauge(ms, "m", "1", 1).Attributes().PutStr("k", long+"2")
		said, _ := check(t, md, rules)
		require.Len(t, said, 2)
		assert.NotEqual(t, said[0], said[1], "two that differ in the end are two")
		for _, s := range said {
			assert.Less(t, len(s), 530)
			assert.True(t, utf8.ValidString(s))
		}
	})
}

// Of usage: what a filter takes of devices, and nothing where nothing is known.
func TestPeriods(t *testing.T) {
	period := func(change func(*usage.Period)) pmetric.Metrics {
		p := usagetest.Host(1)
		p.Devices = append(p.Devices, usage.DeviceUsage{Class: usage.Interface, ID: "eth1"})
		for i := range p.Devices {
			d := &p.Devices[i]
			for k := range d.Amounts {
				d.Amounts[k] = int64(1000 * (i + 1))
			}
		}
		for m := range p.Metered.All() {
			if class, k, ok := m.Device(); ok {
				p.Usage[m] = 0
				for i := range p.Devices {
					if p.Devices[i].Class == class {
						p.Usage[m] += p.Devices[i].Amounts[k]
					}
				}
			}
		}
		p.Usage[usage.CPUTime], p.Usage[usage.VCPUProvisioned] = 60_000_000, 120_000_000
		if change != nil {
			change(p)
		}
		md := pmetric.NewMetrics()
		usage.AppendPeriod(md.ResourceMetrics(), p)
		return md
	}
	for _, c := range []struct {
		name, rule string
		change     func(*usage.Period)
		want       []string
	}{
		{"all interfaces", "resource: network_egress, type: absolute, unit: By, warning: 1, window: day", nil, []string{"a() 5000"}},
		{"one", "metric: vm.usage.network.io, attributes: {network.interface.name: eth1}, type: absolute, unit: By, warning: 1, window: day", nil, []string{"a() 6000"}},
		{"one direction of one", "metric: vm.usage.network.io, attributes: {network.interface.name: eth*, network.io.direction: receive}, type: absolute, unit: By, warning: 1, window: day", nil, []string{"a() 5000"}},
		{"none", "metric: vm.usage.network.io, attributes: {network.interface.name: wlan0}, type: absolute, unit: By, warning: 1, window: day", nil, nil},
		{"a filter on what has no attributes", "metric: vm.usage.cpu.time, attributes: {x: y}, type: absolute, unit: us, warning: 1, window: day", nil, nil},
		{"share of an allotment", "resource: cpu, type: percentage, warning: 1, window: day", nil, []string{"a() 50"}},
		{"a gap", "resource: cpu, type: percentage, warning: 1, window: day", func(p *usage.Period) { p.Quality[usage.CPUTime], p.Coverage[usage.CPUTime] = usage.Gap, 0 }, nil},
		{"a gap of the allotment", "resource: cpu, type: percentage, warning: 1, window: day", func(p *usage.Period) {
			p.Quality[usage.VCPUProvisioned], p.Coverage[usage.VCPUProvisioned] = usage.Gap, 0
		}, nil},
		{"recovered is known", "resource: cpu, type: percentage, warning: 1, window: period", func(p *usage.Period) { p.Quality[usage.CPUTime] = usage.Recovered }, []string{"a() 50"}},
		{"of nobody", "resource: cpu, type: percentage, warning: 1, window: day, per: user", func(p *usage.Period) { p.Instance.UserID = "" }, nil},
		{"no GPU", "resource: gpu, type: percentage, warning: 1, window: day", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, counts := check(t, period(c.change), "rules: [{id: a, "+c.rule+"}]")
			assert.Equal(t, c.want, said)
			assert.EqualValues(t, len(c.want), counts.Violations[threshold.Warning])
		})
	}
	t.Run("torn", func(t *testing.T) {
		md := period(nil)
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() == "vm.usage.memory" })
		said, _ := check(t, md, "rules: [{id: a, resource: cpu, type: percentage, warning: 1, window: day}]")
		assert.Empty(t, said, "what becomes no event is added to no quota")
	})
}

// Metrics that were marked upstream keep that, and a mark is made once.
func TestMarksAddUp(t *testing.T) {
	md, ms := levels("vm-1")
	dp := gauge(ms, "m", "1", 5)
	dp.Attributes().PutStr(checker.AttrLevel, "critical")
	dp.Attributes().PutEmptySlice(checker.AttrRules).AppendEmpty().SetStr("upstream")
	const rules = `rules: [{id: a, metric: m, type: absolute, warning: 1}]`
	check(t, md, rules)
	check(t, md, rules)
	assert.Equal(t, map[string]any{checker.AttrLevel: "critical", checker.AttrRules: []any{"upstream", "a"}}, dp.Attributes().AsRaw())
}

// An announcement is of the instance as the metrics have it, without marks.
func TestAnnounce(t *testing.T) {
	md, ms := levels("vm-1")
	gauge(ms, "m", "1", 5)
	res := md.ResourceMetrics().At(0).Resource().Attributes()
	res.PutStr("tier", "gold")
	res.PutStr(checker.AttrLevel, "warning")
	rule := &threshold.Rule{ID: "a", Metric: "m", Type: threshold.Absolute, Direction: threshold.Above, HasWarning: true, Warning: 1, Action: "notify"}
	logged := *rule
	logged.Action = checker.ActionLog
	said := []threshold.Announcement{
		{Rule: rule, Subject: threshold.Subject{InstanceID: "vm-1"}, State: threshold.Firing, Level: threshold.Warning, At: at, Since: at},
		{Rule: &logged, Subject: threshold.Subject{InstanceID: "vm-1"}, State: threshold.Firing, Level: threshold.Warning},
		{Rule: rule, Subject: threshold.Subject{InstanceID: "vm-2", OrgID: "o", Labels: []threshold.Label{{Key: "tier", Value: "basic"}}}, State: threshold.Resolved, Level: threshold.Warning},
	}
	checker.Announce(md, said)
	var got []usage.Violation
	var r usage.ViolationReader
	for _, rm := range md.ResourceMetrics().All() {
		require.NoError(t, r.Read(rm, func(v *usage.Violation) error {
			c := *v
			c.Instance.Labels = append([]usage.Label(nil), v.Instance.Labels...)
			got = append(got, c)
			return nil
		}))
	}
	require.Len(t, got, 2)
	assert.Equal(t, usage.Instance{ID: "vm-1", UserID: "u1", Name: "web", Labels: []usage.Label{{Key: "tier", Value: "gold"}}}, got[0].Instance)
	assert.Equal(t, usage.Instance{ID: "vm-2", OrgID: "o", Labels: []usage.Label{{Key: "tier", Value: "basic"}}}, got[1].Instance)

	empty := pmetric.NewMetrics()
	checker.Announce(empty, said[1:2])
	assert.Zero(t, empty.ResourceMetrics().Len(), "what is for the log is no metric")
}
