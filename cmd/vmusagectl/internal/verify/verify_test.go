package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const length = 30_000_000_000

// streamOf returns n consecutive periods of a stream, from its first on.
func streamOf(seed uint64, n int) []*usage.Period {
	r := rand.New(rand.NewPCG(seed, 7))
	var ps []*usage.Period
	var totals usage.Amounts
	start := usagetest.Host(seed).Start
	for sequence := range n {
		p := usagetest.Host(seed)
		p.Sequence, p.Start, p.End = uint64(sequence+1), start+int64(sequence)*length, start+int64(sequence+1)*length
		p.Stream.Start = start
		for i := range p.Devices {
			d := &p.Devices[i]
			for k := range d.Amounts {
				m := d.Class.Meter(k)
				p.Usage[m] -= d.Amounts[k]
				d.Amounts[k] = r.Int64N(1 << 30)
				p.Usage[m] += d.Amounts[k]
			}
		}
		p.Usage[usage.CPUTime] = r.Int64N(60e6)
		for m := range p.Metered.All() {
			totals[m] += p.Usage[m]
		}
		p.Totals = totals
		ps = append(ps, p)
	}
	return ps
}

// join returns the period that consecutive ones are joined into.
func join(ps ...*usage.Period) *usage.Period {
	j := *ps[len(ps)-1]
	j.Joined, j.Start, j.Duration, j.Usage = 0, ps[0].Start, 0, usage.Amounts{}
	j.Devices = slices.Clone(j.Devices)
	for i := range j.Devices {
		j.Devices[i].Amounts = [usage.DeviceMeters]int64{}
	}
	for _, p := range ps {
		j.Joined += max(p.Joined, 1)
		j.Duration += p.Duration
		for m := range p.Metered.All() {
			j.Usage[m] += p.Usage[m]
		}
		for i, d := range p.Devices {
			for k, amount := range d.Amounts {
				j.Devices[i].Amounts[k] += amount
			}
		}
	}
	return &j
}

func encode(ps ...*usage.Period) [][]byte {
	var log [][]byte
	for _, p := range ps {
		log = append(log, event.AppendUsage(nil, event.V1_1, p))
	}
	return log
}

func verified(log [][]byte) *Report {
	v := New()
	for i, value := range log {
		v.Add(value, fmt.Sprintf("line %d", i+1))
	}
	return v.Report()
}

func TestACompleteLogIsProven(t *testing.T) {
	first, second := streamOf(1, 40), streamOf(2, 30)
	for _, p := range second { // the same instance, metered on after its state was lost
		shift := first[39].End - usagetest.Host(2).Start + 5
		p.Start, p.End = p.Start+shift, p.End+shift
	}
	first[3].Quality[usage.Memory] = usage.Gap
	first[4].Quality[usage.CPUTime], second[0].Quality[usage.CPUTime] = usage.Recovered, usage.Recovered
	other := streamOf(3, 5)
	for _, p := range other {
		p.Instance.ID = "another"
	}
	var want usage.Amounts
	for _, p := range slices.Concat(first, second) {
		for m := range p.Metered.All() {
			want[m] += p.Usage[m]
		}
	}
	ps := slices.Concat(first[:10], []*usage.Period{join(first[10:25]...)}, first[25:], second, other)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, seed))
		log := encode(ps...)
		distinct := len(log)
		for range seed {
			log = append(log, log[r.IntN(distinct)])
		}
		if seed > 0 {
			r.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })
		}
		got := verified(log)
		require.Empty(t, got.Violations)
		require.True(t, got.Proven)
		require.Empty(t, got.Notes)
		require.Equal(t, Counts{Events: distinct, Repeats: int(seed), Gaps: 1, Recovered: 2}, got.Counts)
		require.Len(t, got.Instances, 2)
		i := got.Instances[0]
		require.Equal(t, first[0].Instance.ID, i.ID)
		require.Equal(t, want, i.Usage.Of)
		require.Equal(t, [2]int64{first[0].Start, second[29].End}, [2]int64{i.First, i.Last})
		require.Equal(t, []Stream{
			{first[0].Stream.ID.String(), "host", first[0].Stream.HostID, 1, 40, first[0].Start, first[39].End, 26},
			{second[0].Stream.ID.String(), "host", second[0].Stream.HostID, 1, 30, second[0].Start, second[29].End, 30},
		}, i.Streams)
	}
}

// TestViolations spoils one thing each of a log of one instance with ten periods.
func TestViolations(t *testing.T) {
	for _, tc := range []struct {
		name     string
		spoil    func(ps []*usage.Period) [][]byte
		kind     Kind
		sequence uint64
		where    string
		detail   string
	}{
		{"no event", func(ps []*usage.Period) [][]byte {
			return append(encode(ps...), []byte("{"))
		}, Undecodable, 0, "line 11", "unexpected end of JSON"},
		{"an unknown version", func(ps []*usage.Period) [][]byte {
			return replaced(encode(ps...), 9, `"version":"1.1"`, `"version":"2.0"`)
		}, Undecodable, 0, "line 10", "another decoder"},
		{"an end before its start", func(ps []*usage.Period) [][]byte {
			ps[9].End = ps[9].Start - 1
			return encode(ps...)
		}, Undecodable, 0, "line 10", "before"},
		{"other content", func(ps []*usage.Period) [][]byte {
			log := encode(ps...)
			ps[9].Instance.UserID = "someone else"
			return append(log, encode(ps[9])...)
		}, Content, 10, "line 11", "with other content"},
		{"an id of something else", func(ps []*usage.Period) [][]byte {
			return replaced(encode(ps...), 4, event.ID(ps[4]).String(), event.ID(ps[5]).String())
		}, EventID, 5, "line 5", "event_id is " + event.ID(streamOf(1, 6)[5]).String()},
		{"a sequence twice", func(ps []*usage.Period) [][]byte {
			twice := *ps[4]
			twice.Start--
			return append(encode(ps...), encode(&twice)...)
		}, Duplicate, 5, "line 11", "sequence 5"},
		{"a period that was joined too", func(ps []*usage.Period) [][]byte {
			return append(encode(ps...), encode(join(ps[4:7]...))...)
		}, Duplicate, 7, "line 11", "sequence 5"},
		{"one is missing", func(ps []*usage.Period) [][]byte {
			return encode(slices.Delete(ps, 4, 5)...)
		}, Missing, 6, "line 5", "sequence 5 is missing, from 2021-07-15 12:02:00.000 UTC to 2021-07-15 12:02:30.000 UTC"},
		{"several are missing", func(ps []*usage.Period) [][]byte {
			return encode(slices.Delete(ps, 4, 7)...)
		}, Missing, 8, "line 5", "sequences 5 to 7 are missing"},
		{"one is missing before a joined one", func(ps []*usage.Period) [][]byte {
			return encode(append(ps[:4:4], join(ps[5:]...))...)
		}, Missing, 10, "line 5", "sequence 5 is missing"},
		{"a start that is not the end before", func(ps []*usage.Period) [][]byte {
			ps[4].Start += 3
			return encode(ps...)
		}, Start, 5, "line 5", "+3 ns"},
		{"usage that is in no total", func(ps []*usage.Period) [][]byte {
			ps[4].Usage[usage.CPUTime] += 2
			return encode(ps...)
		}, Totals, 5, "line 5", "cpu_time_us: "},
		{"a total less than before", func(ps []*usage.Period) [][]byte {
			for _, p := range ps[4:] {
				p.Totals[usage.Memory]--
			}
			return encode(ps...)
		}, Totals, 5, "line 5", "memory_mib_s: "},
		{"usage above its total", func(ps []*usage.Period) [][]byte {
			ps[1].Totals[usage.Storage] = 1
			return encode(ps[1])
		}, Totals, 2, "line 1", "exceeds the total 1"},
		{"all totals", func(ps []*usage.Period) [][]byte {
			for m := range ps[9].Metered.All() {
				ps[9].Totals[m]++
			}
			return encode(ps...)
		}, Totals, 10, "line 10", "16 meters: running_us: "},
		{"a first one with a past", func(ps []*usage.Period) [][]byte {
			for _, p := range ps {
				p.Totals[usage.CPUTime]++
			}
			return encode(ps...)
		}, Totals, 1, "line 1", "the stream begins with this event"},
		{"a meter that comes with a past", func(ps []*usage.Period) [][]byte {
			for i, p := range ps[4:] {
				p.Metered.Add(usage.GPUEnergy)
				p.Totals[usage.GPUEnergy] = int64(i) + 7
				p.Usage[usage.GPUEnergy] = 1
				p.Devices = append(p.Devices, usage.DeviceUsage{Class: usage.GPU, Amounts: [usage.DeviceMeters]int64{3: 1}})
			}
			return encode(ps...)
		}, Totals, 5, "line 5", "gpu_energy_mj: the total less the usage is 6, the total before is 0"},
		{"a device that adds nothing", func(ps []*usage.Period) [][]byte {
			ps[4].Devices[0].Amounts[1]++
			return encode(ps...)
		}, Devices, 5, "line 5", "disk_write_bytes: "},
		{"devices beyond 64 bits", func(ps []*usage.Period) [][]byte {
			ps[4].Devices[0].Amounts[0] = math.MaxInt64
			ps[4].Devices = append(ps[4].Devices, usage.DeviceUsage{ID: "vdb", Amounts: [usage.DeviceMeters]int64{1 << 62}})
			return encode(ps...)
		}, Sum, 5, "line 5", "disk_read_bytes: "},
		{"one after the last", func(ps []*usage.Period) [][]byte {
			ps[8].Final = true
			return encode(ps...)
		}, AfterFinal, 10, "line 10", "sequence 9 was marked final"},
		{"a stream of two instances", func(ps []*usage.Period) [][]byte {
			ps[9].Instance.ID = "b"
			return encode(ps...)
		}, StreamInstance, 10, "line 10", ps0.Instance.ID},
		{"two streams at a time", func(ps []*usage.Period) [][]byte {
			second := streamOf(2, 10)
			for _, p := range second {
				p.Start, p.End = p.Start+10*length-1, p.End+10*length-1
			}
			return encode(append(ps, second...)...)
		}, Overlap, 1, "line 11", "1ns are billed twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := verified(tc.spoil(streamOf(1, 10)))
			assert.False(t, got.Proven)
			require.Equal(t, 1, got.ViolationCount, "%+v", got.Violations)
			v := got.Violations[0]
			assert.Equal(t, tc.kind, v.Kind)
			assert.Equal(t, tc.sequence, v.Sequence)
			assert.Equal(t, tc.where, v.Where)
			assert.Contains(t, v.Detail, tc.detail)
			if tc.kind != Undecodable {
				assert.NotEmpty(t, v.Instance)
				assert.NotEmpty(t, v.Stream)
			}
		})
	}
}

var ps0 = usagetest.Host(1)

func replaced(log [][]byte, i int, old, new string) [][]byte {
	log[i] = []byte(strings.Replace(string(log[i]), old, new, 1))
	return log
}

// TestTheOrderDoesNotMatter: what is wrong between two events is found whichever
// comes first, and whatever is between the two in the log.
func TestTheOrderDoesNotMatter(t *testing.T) {
	ps := streamOf(1, 12)
	ps[3].Start--
	ps[6].Usage[usage.CPUTime]++
	ps[11].Totals[usage.Running]--
	ps[8].Final = true
	for _, p := range ps[7:] { // a meter that is away for a while and comes back at another total
		p.Metered.Add(usage.GPUActive)
		p.Totals[usage.GPUActive] = 9
	}
	ps[1].Metered.Add(usage.GPUActive)
	log := encode(slices.Delete(ps, 4, 5)...)
	type found struct {
		kind     Kind
		sequence uint64
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, seed))
		r.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })
		var got []found
		for _, v := range verified(log).Violations {
			got = append(got, found{v.Kind, v.Sequence})
		}
		require.Contains(t, got, found{Start, 4})
		require.Contains(t, got, found{Totals, 7})
		require.Contains(t, got, found{Totals, 12})
		require.Contains(t, got, found{Missing, 6})
		require.Contains(t, got, found{AfterFinal, 10})
	}
}

func TestMetersMayComeAndGo(t *testing.T) {
	ps := streamOf(1, 9)
	for i, p := range ps {
		if i%3 == 1 { // in the 2nd, 5th and 8th
			p.Metered.Add(usage.GPUActive)
			p.Usage[usage.GPUActive], p.Totals[usage.GPUActive] = 5, int64(5*(i/3+1))
			p.Devices = append(p.Devices, usage.DeviceUsage{Class: usage.GPU, Amounts: [usage.DeviceMeters]int64{5}})
		}
	}
	log := encode(ps...)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, seed))
		r.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })
		got := verified(log)
		require.Empty(t, got.Violations)
		require.EqualValues(t, 15, got.Usage.Of[usage.GPUActive])
	}
}

func TestStreamsOfNoLengthOverlapNothing(t *testing.T) {
	ps := streamOf(1, 10)
	lost := usagetest.Host(2)
	lost.Sequence, lost.Start, lost.End, lost.Duration = 1, ps[4].End, ps[4].End, 0
	lost.Usage, lost.Totals, lost.Devices = usage.Amounts{}, usage.Amounts{}, nil
	for m := range lost.Metered.All() {
		lost.Quality[m], lost.Coverage[m] = usage.Gap, 0
	}
	got := verified(encode(append(ps, lost)...))
	assert.Empty(t, got.Violations)
	assert.Equal(t, 1, got.Gaps)
}

func TestNotes(t *testing.T) {
	log := encode(streamOf(1, 9)[4:]...)
	log = append(log, event.AppendUsage(nil, event.V1_0, usagetest.Host(1)), []byte(`{"event_type":"instance_lifecycle","version":"1.0"}`),
		event.AppendViolation(nil, event.V1_1, usagetest.Violation(1)))
	got := verified(log)
	assert.True(t, got.Proven)
	assert.Equal(t, [2]int{1, 2}, [2]int{got.Old, got.Other})
	require.Len(t, got.Notes, 3)
	assert.Contains(t, got.Notes[0], "at 5 (stream "+ps0.Stream.ID.String())
	assert.Contains(t, got.Notes[1], "1 events of version 1.0")
	assert.Contains(t, got.Notes[2], "other types")
}

func TestOneInstance(t *testing.T) {
	v := New()
	v.Instance = "wanted"
	for i, value := range encode(streamOf(1, 3)...) {
		v.Add(value, "unwanted")
		v.Add(bytes.ReplaceAll(value, []byte(ps0.Instance.ID), []byte("wanted")), fmt.Sprint(i))
	}
	got := v.Report()
	assert.True(t, got.Proven)
	require.Len(t, got.Instances, 1)
	assert.Equal(t, 3, got.Events)
}

func TestAnotherLayoutIsARepeat(t *testing.T) {
	log := encode(streamOf(1, 1)...)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, log[0], " ", "\t"))
	got := verified(append(log, indented.Bytes()))
	assert.True(t, got.Proven)
	assert.Equal(t, 1, got.Repeats)
}

func TestNothingIsNotProven(t *testing.T) {
	got := New().Report()
	assert.False(t, got.Proven)
	assert.Zero(t, got.ViolationCount)
}

func TestViolationsAreBounded(t *testing.T) {
	v := New()
	for range MaxViolations + 5 {
		v.Add(nil, "x")
	}
	for range 2 { // a report changes nothing
		got := v.Report()
		assert.Len(t, got.Violations, MaxViolations)
		assert.Equal(t, MaxViolations+5, got.ViolationCount)
	}
}

func TestSumsBeyond64Bits(t *testing.T) {
	ps := slices.Concat(streamOf(1, 1), streamOf(2, 1))
	for i, p := range ps {
		p.Usage[usage.Running], p.Totals[usage.Running] = math.MaxInt64, math.MaxInt64
		p.Start, p.End = p.Start+int64(i)*length, p.End+int64(i)*length
	}
	got := verified(encode(ps...))
	require.Len(t, got.Violations, 1)
	assert.Equal(t, Sum, got.Violations[0].Kind)
	assert.EqualValues(t, math.MaxInt64, got.Usage.Of[usage.Running])
}

func TestJSON(t *testing.T) {
	ps := streamOf(1, 2)
	text, err := json.Marshal(verified(encode(ps...)))
	require.NoError(t, err)
	var got struct {
		Proven    bool
		Events    int
		Instances []struct {
			InstanceID string `json:"instance_id"`
			Usage      map[string]int64
			Streams    []map[string]any
		}
		Violations []Violation
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.True(t, got.Proven)
	assert.NotNil(t, got.Violations, "an empty list is a list")
	require.Len(t, got.Instances, 1)
	assert.Equal(t, ps[1].Totals[usage.CPUTime], got.Instances[0].Usage["cpu_time_us"])
	assert.NotContains(t, got.Instances[0].Usage, "gpu_active_us", "what the instance does not have is not zero")
	assert.Len(t, got.Instances[0].Streams, 1)
}

// FuzzAdd: no log panics, a report can be made of it at any time, and a second
// copy of the log is nothing but repeats.
func FuzzAdd(f *testing.F) {
	ps := streamOf(1, 4)
	f.Add(bytes.Join(encode(ps...), []byte("\n")))
	f.Add(bytes.Join(encode(ps[0], join(ps[1:]...), ps[2]), []byte("\n")))
	ps[1].Usage[usage.CPUTime], ps[2].Start, ps[3].Final = math.MaxInt64, math.MinInt64+1, true
	f.Add(bytes.Join(encode(ps[3], ps[1], ps[2], streamOf(2, 1)[0]), []byte("\n")))
	f.Fuzz(func(t *testing.T, log []byte) {
		v := New()
		for line := range bytes.Lines(log) {
			v.Add(line, "once")
		}
		once := v.Report()
		for line := range bytes.Lines(log) {
			v.Add(line, "again")
		}
		again := v.Report()
		require.Equal(t, once.Events, again.Events)
		require.Equal(t, once.Usage, again.Usage)
		require.GreaterOrEqual(t, again.Repeats, once.Repeats)
	})
}

func BenchmarkAdd(b *testing.B) {
	var log [][]byte
	for _, p := range streamOf(1, 1000) {
		log = append(log, event.AppendUsage(nil, event.V1_1, p))
	}
	b.Run("distinct", func(b *testing.B) {
		b.ReportAllocs()
		v, i := New(), 0
		for b.Loop() {
			if i%len(log) == 0 {
				v = New()
			}
			v.Add(log[i%len(log)], "line")
			i++
		}
	})
	b.Run("repeat", func(b *testing.B) {
		b.ReportAllocs()
		v := New()
		for b.Loop() {
			v.Add(log[0], "line")
		}
	})
	b.Run("decode", func(b *testing.B) { // the floor
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode(log[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
