package gpu

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	start = 1_700_000_000_000_000 // unix us
	boot  = 5_000_000_000         // ns
)

// at is an instant us after the start, when the wall clock has been set by step us.
func at(us, step int64) reading.Instant {
	return reading.Instant{Boot: boot + us*1000, Wall: (start + us + step) * 1000}
}

func TestActivity(t *testing.T) {
	s := func(us int64, value uint64) Sample { return Sample{At: uint64(start + us), Value: value} } //nolint:gosec // positive
	type poll struct {
		at      int64 // us
		step    int64 // of the wall clock, us
		samples []Sample
	}
	for name, c := range map[string]struct {
		polls           []poll
		active, covered uint64
		garbage         Garbage
	}{
		"each holds since the one before": {
			polls:  []poll{{2e6, 0, []Sample{s(500_000, 100), s(1_500_000, 50), s(2e6, 0)}}},
			active: 1_000_000, covered: 2_000_000,
		},
		"percent times us are carried, not rounded": {
			polls:  []poll{{3, 0, []Sample{s(1, 50), s(2, 50), s(3, 50)}}},
			active: 1, covered: 3,
		},
		"only its own window after a gap": {
			polls:  []poll{{1e6, 0, []Sample{s(500_000, 100), s(1e6, 100)}}, {60e6, 0, []Sample{s(59_500_000, 100), s(60e6, 100)}}},
			active: 2_000_000, covered: 2_000_000,
		},
		"the shortest window after a gap at the start": {
			polls:  []poll{{60e6, 0, []Sample{s(60e6, 100)}}},
			active: firstWindow, covered: firstWindow,
		},
		"the past of the buffer": {
			polls:   []poll{{1e6, 0, []Sample{{At: start - 5, Value: 100}, {At: start, Value: 100}, s(1e6, 10)}}},
			active:  100_000,
			covered: 1_000_000,
			garbage: Garbage{Stale: 2},
		},
		"garbage of every kind": {
			polls: []poll{{1e6, 0, []Sample{
				s(200_000, 20), s(200_000, 90), s(400_000, 1<<32-1), {Value: 7}, s(5e6, 100), s(1e6, 50), s(600_000, 50),
			}}},
			active: 40_000 + 100_000 + 200_000, covered: 800_000,
			garbage: Garbage{Value: 1, Zero: 1, Stale: 1, Future: 1},
		},
		"a wall clock that is set back": {
			polls: []poll{
				{1e6, 0, []Sample{s(1e6, 100)}},
				{3e6, -100e6, []Sample{s(1_500_000, 100), s(2_000_000-100e6, 100), s(3e6-100e6, 100)}},
			},
			active: 3_000_000, covered: 3_000_000,
			garbage: Garbage{Future: 1},
		},
		"a wall clock that is set forward": {
			polls: []poll{
				{1e6, 0, []Sample{s(1e6, 100)}},
				{3e6, 100e6, []Sample{s(1_500_000, 100), s(2e6+100e6, 100), s(3e6+100e6, 100)}},
			},
			active: 3_000_000, covered: 3_000_000,
			garbage: Garbage{Stale: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var a activity
			var g Garbage
			a.begin(at(0, 0))
			for _, p := range c.polls {
				g.add(a.add(at(p.at, p.step), p.samples))
			}
			active, covered := a.micros()
			assert.Equal(t, c.active, active)
			assert.Equal(t, c.covered, covered)
			assert.Equal(t, c.garbage, g)
		})
	}
}

func TestPoint(t *testing.T) {
	var a activity
	a.begin(at(0, 0))
	assert.Zero(t, a.point(at(2e6, 0), 50, 6e6))
	assert.Zero(t, a.point(at(60e6, 0), 100, 6e6), "held for three polls, not for a minute")
	assert.Equal(t, Garbage{Value: 1}, a.point(at(61e6, 0), 101, 6e6))
	assert.Zero(t, a.point(at(62e6, 0), 0, 6e6))
	active, covered := a.micros()
	assert.EqualValues(t, 1e6+6e6, active)
	assert.EqualValues(t, 10e6, covered)
}

func TestCeiling(t *testing.T) {
	c := ceiling{at: 0}
	assert.EqualValues(t, 1000, c.report(1e6, 5000), "1 ms has passed")
	assert.EqualValues(t, 1000, c.report(1e6, 5000))
	assert.EqualValues(t, 1000, c.report(5e5, 5000), "a clock that goes back is none")
	assert.EqualValues(t, 5000, c.report(9e6, 5000), "what was beyond is there later")
	assert.EqualValues(t, 5000, c.report(10e6, 4000), "never less")
	assert.EqualValues(t, 5001, c.report(10_001_500, 9000))
	assert.EqualValues(t, 5002, c.report(10_002_000, 9000), "parts of a us add up")
}

func TestIntegral(t *testing.T) {
	var m integral
	m.begin(at(0, 0))
	m.add(at(0, 0), 3<<20, true, 6e6)
	m.add(at(2e6, 0), 5<<20, true, 6e6)
	m.add(at(4e6, 0), 0, false, 6e6)
	assert.EqualValues(t, 2*3+2*5, m.amount)
	m.add(at(6e6, 0), 1<<20, true, 6e6)
	assert.EqualValues(t, 16, m.amount, "nobody knows those 2 s")
	assert.EqualValues(t, 4e6, m.covered)
	m.add(at(66e6, 0), maxLevel+1, true, 6e6)
	assert.EqualValues(t, 22, m.amount, "held for three polls")
	m.add(at(67e6, 0), 1, true, 6e6)
	assert.EqualValues(t, 22, m.amount, "a level that cannot be is none")
	for i := range int64(1 << 20) {
		m.add(at(67e6+1e6*(i+1), 0), 1, true, 6e6)
	}
	assert.EqualValues(t, 23, m.amount, "a byte for 2^20 s is a MiBy.s: remainders are carried")
}

// FuzzActivity holds whatever a driver returns: active time is never above what
// is covered, that never above what has passed since the start, and both never fall.
func FuzzActivity(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 50})
	f.Add([]byte("\x01\x00\x00\x10\x00\x00\x00\x00\x64\x02\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a activity
		a.begin(at(0, 0))
		activeMost, coveredMost := ceiling{at: boot}, ceiling{at: boot}
		var now int64
		var step int64
		var before [2]uint64
		for len(b) >= 10 {
			n := int(b[0] % 4)
			now += int64(b[1]) * 20_000
			step += int64(int8(b[2])) * 50_000
			b = b[3:]
			var samples []Sample
			for range n {
				if len(b) < 7 {
					break
				}
				d := int64(int32(binary.LittleEndian.Uint32(b))) //nolint:gosec // any number will do
				v := uint64(binary.LittleEndian.Uint16(b[4:])) % 300
				stamp := uint64(max(start+now+step+d, 0)) //nolint:gosec // not negative
				if b[6]%16 == 0 {
					stamp = uint64(d) //nolint:gosec // any number will do
				}
				samples = append(samples, Sample{At: stamp, Value: v})
				b = b[7:]
			}
			a.add(at(now, step), samples)
			active, covered := a.micros()
			require.LessOrEqual(t, active, covered)
			act, cov := activeMost.report(boot+now*1000, active), coveredMost.report(boot+now*1000, covered)
			require.LessOrEqual(t, cov, uint64(now)) //nolint:gosec // not negative
			require.LessOrEqual(t, act, uint64(now)) //nolint:gosec // not negative
			require.GreaterOrEqual(t, act, before[0])
			require.GreaterOrEqual(t, cov, before[1])
			before = [2]uint64{act, cov}
		}
	})
}

func BenchmarkActivity(b *testing.B) {
	samples := make([]Sample, 12) // two seconds' worth
	var a activity
	a.begin(at(0, 0))
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		for i := range samples {
			now += 166_667
			samples[i] = Sample{At: uint64(start + now), Value: 50} //nolint:gosec // positive
		}
		a.add(at(now, 0), samples)
	}
}
