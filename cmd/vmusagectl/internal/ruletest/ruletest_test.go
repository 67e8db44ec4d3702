package ruletest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func line(at int64, value float64) string {
	return fmt.Sprintf(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"vm.id","value":{"stringValue":"vm"}}]},"scopeMetrics":[{"metrics":[`+
		`{"name":"vm.cpu.utilization","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":%g}]}}]}]}]}`, at, value)
}

func rules(t testing.TB, document string) *threshold.Set {
	t.Helper()
	parsed, err := threshold.Parse([]byte(document), threshold.Options{})
	require.NoError(t, err)
	set, err := threshold.Compile(parsed)
	require.NoError(t, err)
	return set
}

func inputOf(t testing.TB, text string) *input {
	t.Helper()
	in, err := newInput("f", strings.NewReader(text))
	require.NoError(t, err)
	return in
}

func drain(t testing.TB, o *order) (times []int64) {
	t.Helper()
	for {
		r, err := o.next()
		if errors.Is(err, io.EOF) {
			assert.Zero(t, o.size)
			return times
		}
		require.NoError(t, err)
		times = append(times, r.at)
	}
}

// TestOrderOfFiles: files that are in order by themselves come out in order
// although next to nothing is held.
func TestOrderOfFiles(t *testing.T) {
	files := make([]strings.Builder, 3)
	r := rand.New(rand.NewPCG(1, 2))
	var want []int64
	for at := range int64(300) {
		files[r.IntN(3)].WriteString(line(at+1, 0) + "\n")
		want = append(want, at+1)
	}
	o := &order{limit: 1, bad: func(err error) { assert.NoError(t, err) }}
	for i := range files {
		o.inputs = append(o.inputs, inputOf(t, files[i].String()))
	}
	var got []int64
	most := 0
	for {
		next, err := o.next()
		if err != nil {
			break
		}
		got = append(got, next.at)
		most = max(most, len(o.held))
	}
	assert.Equal(t, want, got)
	assert.LessOrEqual(t, most, 3)
}

// TestOrderWithinAFile: what is held is sorted, and is bounded.
func TestOrderWithinAFile(t *testing.T) {
	var text strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	var want []int64
	for i := range int64(200) {
		want = append(want, i+1)
	}
	mixed := slices.Clone(want)
	for from := 0; from < len(mixed); from += 10 {
		part := mixed[from : from+10]
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	for _, at := range mixed {
		text.WriteString(line(at, 0) + "\n")
	}
	size := len(line(1, 0))
	o := &order{limit: 20 * size, inputs: []*input{inputOf(t, text.String())}}
	assert.Equal(t, want, drain(t, o))

	o = &order{limit: 2 * size, inputs: []*input{inputOf(t, text.String())}}
	got := drain(t, o)
	assert.NotEqual(t, want, got)
	assert.ElementsMatch(t, want, got)
}

// TestRecordsOfOneTimeStayAsTheyWere, so that a replay of a file is always the same.
func TestRecordsOfOneTimeStayAsTheyWere(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		text.WriteString(line(5, float64(i)) + "\n")
	}
	o := &order{limit: maxHeld, inputs: []*input{inputOf(t, text.String())}}
	for i := range 100 {
		next, err := o.next()
		require.NoError(t, err)
		m := next.md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		require.Equal(t, float64(i), m.Gauge().DataPoints().At(0).DoubleValue())
	}
}

func replayOf(t testing.TB, set *threshold.Set, o Options, texts ...string) (said []usage.Violation, s *Summary) {
	t.Helper()
	o.Said = func(v *usage.Violation) error {
		said = append(said, *v)
		return nil
	}
	if o.Bad == nil {
		o.Bad = func(err error) { assert.NoError(t, err) }
	}
	r := New(set, o)
	for i, text := range texts {
		require.NoError(t, r.Add(fmt.Sprint(i), strings.NewReader(text)))
	}
	s, err := r.Run(t.Context())
	require.NoError(t, err)
	return said, s
}

const second = int64(1e9)

// TestTimeGoesOnWhileNothingComes: what ends in a gap comes before what is after it,
// at its own time, and after the last record it ends only where --to says so.
func TestTimeGoesOnWhileNothingComes(t *testing.T) {
	set := rules(t, `[{id: a, resource: cpu, type: percentage, warning: 80, no_data: resolve, no_data_after: 1m},
		{id: b, resource: cpu, type: percentage, warning: 80, selector: {instance_id: vm}, no_data: notify, no_data_after: 2m}]`)
	text := line(1000*second, .9) + "\n" + line(2000*second, .9) + "\n"
	for _, tick := range []time.Duration{0, 1, 10 * time.Second, 5000 * time.Second} {
		said, s := replayOf(t, set, Options{Tick: tick}, text)
		var got []string
		for i := range said {
			got = append(got, fmt.Sprint(said[i].Rule.ID, " ", said[i].State, " ", said[i].At/second))
		}
		assert.ElementsMatch(t, []string{
			"a firing 1000", "b firing 1000", "a resolved 1060", "b no_data 1120", "a firing 2000",
		}, got, tick)
		assert.Equal(t, AtEnd{Warning: 2}, s.AtEnd)
	}
	said, s := replayOf(t, set, Options{Tick: 10e9, To: 3000 * second}, text)
	assert.Equal(t, 2060*second, said[len(said)-2].At)
	assert.Equal(t, AtEnd{Warning: 1}, s.AtEnd)
	assert.Equal(t, 3000*second, s.Last)
	assert.Equal(t, Counts{Warning: 3, Resolved: 2, NoData: 2}, s.Announced)
}

// TestAnErrorOfWhoIsToldEndsTheReplay: whoever shows what is announced may have enough.
func TestAnErrorOfWhoIsToldEndsTheReplay(t *testing.T) {
	set := rules(t, `[{id: a, resource: cpu, type: percentage, warning: 80}]`)
	full := errors.New("full")
	r := New(set, Options{Said: func(*usage.Violation) error { return full }})
	require.NoError(t, r.Add("f", strings.NewReader(line(1, .9))))
	_, err := r.Run(t.Context())
	assert.ErrorIs(t, err, full)
}

func TestAReplayEndsWithItsContext(t *testing.T) {
	r := New(rules(t, `[]`), Options{})
	require.NoError(t, r.Add("f", strings.NewReader(line(1, .9))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestWhatNobodyMatchesAndWhatIsNotMeasured(t *testing.T) {
	set := rules(t, `[
		{id: fired, resource: cpu, type: percentage, warning: 80}, {id: checked, resource: cpu, type: percentage, warning: 99},
		{id: unmeasured, resource: memory, type: percentage, warning: 80}, {id: unmatched, resource: cpu, type: percentage, warning: 1, selector: {user_id: "*"}},
		{id: attribute, metric: vm.cpu.utilization, attributes: {x: y}, type: percentage, warning: 1},
		{id: off, resource: cpu, type: percentage, warning: 1, enabled: false}]`)
	_, s := replayOf(t, set, Options{}, line(1, .9)+"\n"+line(2, .9))
	assert.Equal(t, []string{"unmatched"}, s.Unmatched)
	assert.Equal(t, []string{"attribute", "unmeasured"}, s.Unmeasured)
	assert.Equal(t, []RuleCounts{{"fired", Counts{Warning: 1}}}, s.Fired)
	assert.Equal(t, [3]int{6, 1, 1}, [3]int{s.Rules, s.Disabled, s.Instances})
	assert.EqualValues(t, 4, s.Evaluations)
}

// TestLevelsOfEvents are what the statistics say, in the units of the metrics.
func TestLevelsOfEvents(t *testing.T) {
	p := usagetest.Host(1) // 4 CPUs, 8 and 80 GiB; averages .126917 .524902 .321252, maxima .50125 .53 .3213
	p.Stats[usage.GPUUtilization] = usage.Statistic{Avg: 700_000, Max: 900_000, Valid: true}
	text := string(event.AppendUsage(nil, event.V1_1, p))
	document := `[
		{id: cpu, resource: cpu, type: percentage, warning: 1}, {id: cpus, resource: cpu, type: absolute, unit: "{cpu}", warning: 0.1},
		{id: gpu, resource: gpu, type: percentage, warning: 1},
		{id: memory, resource: memory, type: percentage, warning: 1}, {id: memory-size, resource: memory, type: absolute, unit: GiBy, warning: 1},
		{id: storage, resource: storage, type: percentage, warning: 1}, {id: storage-size, resource: storage, type: absolute, unit: GiBy, warning: 1}]`
	for levels, want := range map[Levels][]float64{
		LevelsNone: nil,
		LevelsAvg:  {12.6917, 4 * .126917, 70, 52.4902, 8 * .524902, 32.1252, 80 * .321252},
		LevelsMax:  {50.125, 4 * .50125, 90, 53, 8 * .53, 32.13, 80 * .3213},
	} {
		said, _ := replayOf(t, rules(t, document), Options{Levels: levels}, text)
		slices.SortFunc(said, func(a, b usage.Violation) int { return strings.Compare(a.Rule.ID, b.Rule.ID) })
		require.Len(t, said, len(want), levels)
		for i, v := range want {
			assert.InEpsilon(t, v, said[i].Value, 1e-9, said[i].Rule.ID)
			assert.Equal(t, p.End, said[i].At)
			assert.Equal(t, "web-1", said[i].Instance.Name)
		}
	}
}

// FuzzReplay: nothing that is read panics or hangs, and every record is in one of the counts.
func FuzzReplay(f *testing.F) {
	md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics([]byte(line(7, .9)))
	require.NoError(f, err)
	frame, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(f, err)
	frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
	f.Add([]byte(line(1, .9) + "\n" + line(2, .1)))
	f.Add(append(slices.Clone(frame), frame...))
	f.Add(event.AppendUsage(nil, event.V1_1, usagetest.Host(1)))
	f.Add([]byte("{}\n{\"resourceMetrics\":[]}\nnull\n[1]\n"))
	f.Add([]byte{0, 0, 0, 0, 4, 0, 0, 0, 1})
	set := rules(f, `[{id: a, resource: cpu, type: percentage, warning: 80},
		{id: b, resource: network_egress, type: absolute, unit: GBy, warning: 0.000001, window: day}]`)
	f.Fuzz(func(t *testing.T, data []byte) {
		bad := 0
		r := New(set, Options{Tick: 10e9, Levels: LevelsMax, Said: func(*usage.Violation) error { return nil }, Bad: func(error) { bad++ }})
		require.NoError(t, r.Add("f", bytes.NewReader(data)))
		s, err := r.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, bad, s.Bad)
		if len(data) > 0 && data[0] > 4 {
			lines := 0
			for line := range bytes.SplitSeq(data, []byte("\n")) {
				if len(bytes.TrimSpace(line)) > 0 {
					lines++
				}
			}
			assert.Equal(t, lines, s.Batches+s.Events+s.Others+s.Empty+s.Bad)
		}
	})
}
