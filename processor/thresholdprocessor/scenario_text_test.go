package thresholdprocessor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap/zapcore"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// sections are those of a txtar file: "-- NAME --" begins one; a comment is before the first.
type sections struct {
	names []string
	text  map[string]string
}

func readSections(t testing.TB, path string) *sections {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	s := &sections{text: map[string]string{}}
	name := ""
	for l := range strings.Lines(string(data)) {
		if next, ok := strings.CutPrefix(l, "-- "); ok && strings.HasSuffix(next, " --\n") {
			name = strings.TrimSuffix(next, " --\n")
			s.set(name, "")
			continue
		}
		s.text[name] += l
	}
	return s
}

func (s *sections) get(name string) string { return s.text[name] }

func (s *sections) set(name, text string) {
	if !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
	s.text[name] = text
}

func (s *sections) write(t testing.TB, path string) {
	t.Helper()
	var b strings.Builder
	b.WriteString(s.text[""])
	for _, n := range s.names {
		fmt.Fprintf(&b, "-- %s --\n%s", n, s.text[n])
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
}

// parseBatch makes metrics of lines:
//
//	resource ID [KEY=VALUE ...]                whom the lines below it are of
//	METRIC UNIT VALUE [KEY=VALUE ...]          a point, which is measured at
//	usage SEQUENCE LENGTH [METER=AMOUNT ...]   a period that ends at; stream=N, joined=N
func parseBatch(t testing.TB, lines []string, at time.Time) pmetric.Metrics {
	t.Helper()
	md := pmetric.NewMetrics()
	var instance usage.Instance
	var rm pmetric.ResourceMetrics
	open := false
	for _, line := range lines {
		f := strings.Fields(line)
		switch f[0] {
		case "resource":
			instance, open = usage.Instance{ID: f[1]}, false
			for _, a := range f[2:] {
				k, v, _ := strings.Cut(a, "=")
				switch k {
				case "user":
					instance.UserID = v
				case "org":
					instance.OrgID = v
				case "name":
					instance.Name = v
				default:
					instance.Labels = append(instance.Labels, usage.Label{Key: k, Value: v})
				}
			}
		case "usage":
			usage.AppendPeriod(md.ResourceMetrics(), parsePeriod(t, &instance, f[1:], at))
		default:
			if !open {
				open = true
				rm = md.ResourceMetrics().AppendEmpty()
				usage.PutResource(rm.Resource(), &instance)
				rm.ScopeMetrics().AppendEmpty().Scope().SetName(usage.Scope)
			}
			parsePoint(t, rm.ScopeMetrics().At(0).Metrics(), f, at)
		}
	}
	return md
}

func parsePoint(t testing.TB, ms pmetric.MetricSlice, f []string, at time.Time) {
	t.Helper()
	var dps pmetric.NumberDataPointSlice
	if last := ms.Len() - 1; last >= 0 && ms.At(last).Name() == f[0] {
		dps = ms.At(last).Gauge().DataPoints()
	} else {
		m := ms.AppendEmpty()
		m.SetName(f[0])
		m.SetUnit(f[1])
		dps = m.SetEmptyGauge().DataPoints()
	}
	dp := dps.AppendEmpty()
	dp.SetTimestamp(pcommon.NewTimestampFromTime(at))
	v, err := strconv.ParseFloat(f[2], 64)
	require.NoError(t, err)
	dp.SetDoubleValue(v)
	for _, a := range f[3:] {
		k, v, _ := strings.Cut(a, "=")
		dp.Attributes().PutStr(k, v)
	}
}

func parsePeriod(t testing.TB, i *usage.Instance, f []string, at time.Time) *usage.Period {
	t.Helper()
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		require.NoError(t, err)
		return n
	}
	length, err := time.ParseDuration(f[1])
	require.NoError(t, err)
	p := usagetest.Host(1)
	p.Instance, p.Sequence = *i, uint64(number(f[0])) //nolint:gosec // written above 0
	p.Stream.ID = uuid.UUID{0: 1, 6: 0x40, 8: 0x80, 15: i.ID[len(i.ID)-1]}
	p.Start, p.End, p.Duration = at.Add(-length).UnixNano(), at.UnixNano(), int64(length)
	meters := map[string]usage.Meter{
		"cpu": usage.CPUTime, "vcpu": usage.VCPUProvisioned, "transmit": usage.NetworkTransmitBytes, "receive": usage.NetworkReceiveBytes,
		"read": usage.DiskReadBytes, "written": usage.DiskWriteBytes,
	}
	usagetest.Fill(rand.New(rand.NewPCG(1, 1)), p)
	for d := range p.Devices {
		p.Devices[d].Amounts = [usage.DeviceMeters]int64{}
	}
	for _, a := range f[2:] {
		k, v, _ := strings.Cut(a, "=")
		switch m, ok := meters[k]; {
		case k == "joined":
			p.Joined = uint32(number(v)) //nolint:gosec // small
		case k == "gap":
			p.Quality[meters[v]], p.Coverage[meters[v]] = usage.Gap, 0
		case !ok:
			t.Fatalf("there is no meter %q", k)
		default:
			p.Usage[m] = number(v)
			if class, at, ok := m.Device(); ok {
				for d := range p.Devices {
					if p.Devices[d].Class == class {
						p.Devices[d].Amounts[at] = number(v)
					}
				}
			}
		}
	}
	for m := range p.Metered.All() { // the sum over devices
		if class, at, ok := m.Device(); ok {
			p.Usage[m] = 0
			for d := range p.Devices {
				if p.Devices[d].Class == class {
					p.Usage[m] += p.Devices[d].Amounts[at]
				}
			}
		}
	}
	return p
}

// print appends a line with the time.
func (s *scenario) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printLocked(format, args...)
}

func (s *scenario) printLocked(format string, args ...any) {
	fmt.Fprintf(&s.out, "%s %s\n", clock(time.Now().UnixNano(), s.began), fmt.Sprintf(format, args...))
}

// clock is how long a time is after the beginning.
func clock(at int64, began time.Time) string {
	d := time.Unix(0, at).Sub(began)
	if d%time.Second != 0 {
		return d.String()
	}
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// printNews appends what was logged and reported.
func (s *scenario) printNews() {
	for _, e := range s.logs.All()[s.logged:] {
		s.logged++
		s.print("%s", strings.ReplaceAll(renderLog(e.Entry, e.ContextMap()), s.dir+"/", ""))
	}
	for _, e := range s.host.status()[s.reported:] {
		s.reported++
		text := e.Status().String()
		if e.Err() != nil {
			text += ": " + strings.ReplaceAll(e.Err().Error(), s.dir+"/", "")
		}
		s.print("status %s", text)
	}
}

func renderLog(e zapcore.Entry, fields map[string]any) string {
	delete(fields, "after")
	text := e.Level.String() + " " + e.Message
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if v := fmt.Sprint(fields[k]); v != "" && k != "episode" {
			text += fmt.Sprintf("; %s: %s", k, v)
		}
	}
	return text
}

// renderMetrics writes what differs from what came in: levels with all of their
// attributes, of usage only what is marked, and announcements.
func renderMetrics(t testing.TB, b *strings.Builder, md pmetric.Metrics, began time.Time) {
	t.Helper()
	var reader usage.ViolationReader
	for _, rm := range md.ResourceMetrics().All() {
		if usage.HasViolations(rm) {
			require.NoError(t, reader.Read(rm, func(v *usage.Violation) error {
				renderViolation(b, v, began)
				return nil
			}))
			continue
		}
		fmt.Fprintf(b, "    of %s\n", renderAttributes(rm.Resource().Attributes()))
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			dps := pmetric.NewNumberDataPointSlice()
			switch m.Type() {
			case pmetric.MetricTypeGauge:
				dps = m.Gauge().DataPoints()
			case pmetric.MetricTypeSum:
				dps = m.Sum().DataPoints()
			}
			for _, dp := range dps.All() {
				if _, marked := dp.Attributes().Get("threshold.level"); usage.IsUsage(m.Name()) && !marked {
					continue
				}
				value := fmt.Sprint(dp.DoubleValue())
				if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
					value = strconv.FormatInt(dp.IntValue(), 10)
				}
				fmt.Fprintf(b, "        %s %s %s\n", m.Name(), value, renderAttributes(dp.Attributes()))
			}
		}
	}
}

func renderAttributes(a pcommon.Map) string {
	raw := a.AsRaw()
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(raw)) {
		parts = append(parts, fmt.Sprintf("%s=%v", k, raw[k]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func renderViolation(b *strings.Builder, v *usage.Violation, began time.Time) {
	fmt.Fprintf(b, "    %s %s %s of %s", v.Rule.ID, v.Level, v.State, v.Subject())
	if v.Series != "" {
		fmt.Fprintf(b, " (%s)", v.Series)
	}
	fmt.Fprintf(b, ": %v of %v %s, since %s", v.Value, v.Threshold, v.Rule.Unit, clock(v.Since, began))
	if now := clock(v.At, began); now != clock(v.Since, began) {
		fmt.Fprintf(b, ", at %s", now)
	}
	if v.Reason != "" {
		fmt.Fprintf(b, ", because %s", v.Reason)
	}
	if v.Count > 0 {
		fmt.Fprintf(b, ", count %d", v.Count)
	}
	if v.Suppressed > 0 {
		fmt.Fprintf(b, ", %d more", v.Suppressed)
	}
	fmt.Fprintf(b, "; episode %.8s id %.8s; user %q org %q name %q\n", v.Episode, v.ID, v.Instance.UserID, v.Instance.OrgID, v.Instance.Name)
}

// renderTelemetry returns all own metrics that are not 0, but for ages.
func renderTelemetry(t testing.TB, tel *componenttest.Telemetry) string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, tel.Reader.Collect(t.Context(), &rm))
	var lines []string
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			var dps []metricdata.DataPoint[int64]
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				dps = d.DataPoints
			case metricdata.Gauge[int64]:
				dps = d.DataPoints
			}
			for _, dp := range dps {
				if dp.Value != 0 {
					lines = append(lines, fmt.Sprintf("%s{%s} %d\n", strings.TrimPrefix(m.Name, "otelcol_processor_threshold_"), dp.Attributes.Encoded(labels{}), dp.Value))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// labels writes attributes as key=value.
type labels struct{}

// Encode returns them.
func (labels) Encode(i attribute.Iterator) string {
	var parts []string
	for i.Next() {
		kv := i.Attribute()
		parts = append(parts, string(kv.Key)+"="+kv.Value.String())
	}
	return strings.Join(parts, ",")
}

// ID returns that of no other encoder.
func (labels) ID() attribute.EncoderID { return attribute.NewEncoderID() }
