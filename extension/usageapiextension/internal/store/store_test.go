package store_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const second = int64(time.Second)

// clock is one that the test sets.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func open(t *testing.T, change ...func(*store.Settings)) (*store.Store, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_700_000_000, 0)}
	s := store.Settings{MaxInstances: 100, MaxBytes: 1 << 20, Retain: time.Minute, Now: c.time}
	for _, f := range change {
		f(&s)
	}
	return store.New(s), c
}

func data(t *testing.T, s *store.Store, id string, f func(*store.Data)) {
	t.Helper()
	e := s.Get(id)
	require.NotNil(t, e, "nothing is known of %s", id)
	require.True(t, e.Read(f))
}

func periods(ps ...*usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range ps {
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

func TestLevels(t *testing.T) {
	s, _ := open(t)
	m := storetest.Machine(1)
	assert.Equal(t, store.Counts{}, s.Consume(m.Levels(10*second)))
	data(t, s, m.Instance.ID, func(d *store.Data) {
		assert.Equal(t, 10*second, d.Levels.At)
		cpu, ok := d.Levels.Scalar(store.CPUUtilization)
		assert.True(t, ok)
		assert.Equal(t, m.CPU, cpu)
		require.Len(t, d.Levels.Disks, 1)
		millis, ok := d.Levels.Disks[0].Value(store.DiskWriteMillis)
		assert.True(t, ok)
		assert.Equal(t, int64(275), millis)
		require.Len(t, d.Levels.Interfaces, 1)
		rx, _ := d.Levels.Interfaces[0].Value(store.ReceiveBytes)
		assert.Equal(t, m.Received, rx)
		require.Len(t, d.Levels.GPUs, 1)
		assert.Equal(t, "GPU 3", d.Levels.GPUs[0].Name)
		assert.Equal(t, "user-1", d.Instance.UserID)
		assert.Equal(t, []usage.Label{{Key: "env", Value: "prod"}}, d.Instance.Labels)
	})
}

// Levels that are not newer change nothing, and what newer ones do not have is not
// known any more.
func TestNewerLevelsReplaceAll(t *testing.T) {
	s, clock := open(t)
	m := storetest.Machine(1)
	s.Consume(m.Levels(20 * second))
	m.CPU = 0.9
	s.Consume(m.Levels(10 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) { assert.Equal(t, 20*second, d.Levels.At) })

	md := m.Levels(30 * second)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool {
		return m.Name() != "vm.cpu.utilization"
	})
	s.Consume(md)
	data(t, s, m.Instance.ID, func(d *store.Data) {
		cpu, _ := d.Levels.Scalar(store.CPUUtilization)
		assert.Equal(t, 0.9, cpu)
		_, ok := d.Levels.Scalar(store.MemoryUsed)
		assert.False(t, ok)
		assert.Empty(t, d.Levels.Disks)
		assert.Empty(t, d.Levels.GPUs)
	})

	// A clock that was ahead and was set does not blind for long.
	s.Consume(m.Levels(25 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) { assert.Equal(t, 30*second, d.Levels.At) })
	clock.now = clock.now.Add(61 * time.Second)
	s.Consume(m.Levels(26 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) { assert.Equal(t, 26*second, d.Levels.At) })
}

// A batch may be split: parts of the same time are put together, and the same part
// twice is the same.
func TestPartsOfOneTime(t *testing.T) {
	s, _ := open(t)
	m := storetest.Machine(1)
	first, rest := m.Levels(10*second), m.Levels(10*second)
	n := 0
	first.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(pmetric.Metric) bool { n++; return n > 5 })
	n = 0
	rest.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(pmetric.Metric) bool { n++; return n <= 5 })
	s.Consume(first)
	s.Consume(rest)
	s.Consume(rest)

	whole, _ := open(t)
	whole.Consume(m.Levels(10 * second))
	var want, got store.Levels
	data(t, whole, m.Instance.ID, func(d *store.Data) { want = d.Levels })
	data(t, s, m.Instance.ID, func(d *store.Data) { got = d.Levels })
	assert.Equal(t, want, got)
}

func TestAReofferedPeriodChangesNothing(t *testing.T) {
	s, _ := open(t)
	p := usagetest.Host(1)
	assert.Equal(t, store.Counts{Stored: 1}, s.Consume(periods(p)))
	version, changed := s.Changes()

	other := usagetest.Host(1)
	other.Usage[usage.CPUTime]++
	assert.Equal(t, store.Counts{Repeated: 1}, s.Consume(periods(other)), "the same sequence")
	older := usagetest.Host(1)
	older.Sequence--
	assert.Equal(t, store.Counts{Repeated: 1}, s.Consume(periods(older)))
	old := usagetest.Host(2)
	old.Stream.Start--
	old.Sequence += 100
	assert.Equal(t, store.Counts{Repeated: 1}, s.Consume(periods(old)), "of a stream that began earlier")

	now, _ := s.Changes()
	assert.Equal(t, version, now)
	select {
	case <-changed:
		t.Error("nothing changed")
	default:
	}
	data(t, s, p.Instance.ID, func(d *store.Data) { assert.Equal(t, p.Usage, d.Closed.Usage) })

	next := usagetest.Host(1)
	next.Sequence++
	assert.Equal(t, store.Counts{Stored: 1}, s.Consume(periods(next)))
	<-changed
}

func TestPeriodsThatAreNone(t *testing.T) {
	s, _ := open(t)
	torn := usagetest.Host(1)
	md := periods(torn)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() == "vm.usage.cpu.time" })
	assert.Equal(t, map[store.Reason]int{"torn": 1}, s.Consume(md).Unusable)
	md = periods(torn)
	md.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
	assert.Equal(t, map[store.Reason]int{"no_instance": 1}, s.Consume(md).Unusable)
	md = storetest.Machine(1).Levels(second)
	md.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
	assert.Equal(t, map[store.Reason]int{"no_instance": 1}, s.Consume(md).Unusable)
	assert.Zero(t, s.Len())
	assert.Zero(t, s.Bytes())
}

// The open period is what counters say since the moment at which the last one was
// closed, whichever of levels and usage comes first.
func TestOpen(t *testing.T) {
	for _, usageFirst := range []bool{false, true} {
		s, _ := open(t)
		m := storetest.Machine(1)
		p := m.Period(1, 0, 30*second)
		give := []pmetric.Metrics{m.Levels(30 * second), periods(p)}
		if usageFirst {
			give[0], give[1] = give[1], give[0]
		}
		for _, md := range give {
			s.Consume(md)
		}
		data(t, s, m.Instance.ID, func(d *store.Data) {
			_, ok := d.Open()
			assert.False(t, ok, "nothing came since")
		})
		m.Received += 1000
		m.Busy += 2.5
		s.Consume(m.Levels(40 * second))
		data(t, s, m.Instance.ID, func(d *store.Data) {
			o, ok := d.Open()
			require.True(t, ok)
			assert.Equal(t, 30*second, o.Start)
			assert.Equal(t, 40*second, o.End)
			assert.Equal(t, int64(1000), o.Usage[usage.NetworkReceiveBytes])
			assert.Equal(t, int64(2_500_000), o.Usage[usage.CPUTime])
			assert.False(t, o.Metered.Has(usage.Memory), "only known when it is closed")
			assert.False(t, o.Metered.HasClass(usage.GPU))
		})
		m.Received = 5 // the interface was set back
		s.Consume(m.Levels(50 * second))
		data(t, s, m.Instance.ID, func(d *store.Data) {
			o, _ := d.Open()
			assert.False(t, o.Metered.HasClass(usage.Interface))
			assert.True(t, o.Metered.HasClass(usage.Disk))
		})
		s.Consume(periods(m.Period(2, 30*second, 45*second)))
		data(t, s, m.Instance.ID, func(d *store.Data) {
			_, ok := d.Open()
			assert.False(t, ok, "there were no levels at its end")
		})
	}
}

// What was used before an instance changed hands is not the new owner's to see.
func TestAnInstanceThatChangesHands(t *testing.T) {
	s, _ := open(t)
	m := storetest.Machine(1)
	s.Consume(m.Levels(30 * second))
	s.Consume(periods(m.Period(1, 0, 30*second)))
	s.Consume(m.Levels(40 * second))
	m.Instance.UserID = "user-2"
	s.Consume(m.Levels(50 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) {
		assert.Equal(t, "user-2", d.Instance.UserID)
		assert.Equal(t, "user-1", d.Closed.UserID)
		_, ok := d.Open()
		assert.False(t, ok, "a part of it is the owner's before")
	})
	m.Instance.UserID = "user-1"
	late := m.Period(2, 30*second, 40*second)
	m.Instance.UserID = "user-2"
	s.Consume(periods(late))
	data(t, s, m.Instance.ID, func(d *store.Data) {
		assert.Equal(t, "user-2", d.Instance.UserID, "a period that comes late does not change it back")
		assert.Equal(t, "user-1", d.Closed.UserID)
	})
}

func TestAnInstanceThatIsGone(t *testing.T) {
	s, _ := open(t)
	m := storetest.Machine(1)
	s.Consume(m.Levels(30 * second))
	version, _ := s.Changes()
	last := m.Period(1, 0, 35*second)
	last.Final = true
	assert.Equal(t, store.Counts{Stored: 1}, s.Consume(periods(last)))
	assert.Zero(t, s.Len())
	assert.Zero(t, s.Bytes())
	gone, complete := s.GoneSince(version)
	assert.True(t, complete)
	require.Len(t, gone, 1)
	assert.Equal(t, m.Instance.ID, gone[0].ID)
	assert.Equal(t, "user-1", gone[0].UserID)

	assert.Equal(t, store.Counts{Repeated: 1}, s.Consume(periods(last)))
	s.Consume(m.Levels(35 * second))
	assert.Zero(t, s.Len(), "levels that were still on their way do not bring it back")
	s.Consume(m.Levels(36 * second))
	assert.Equal(t, 1, s.Len(), "it is back")
}

func TestPrune(t *testing.T) {
	s, clock := open(t)
	s.Consume(storetest.Machine(1).Levels(second))
	clock.now = clock.now.Add(time.Minute)
	s.Consume(storetest.Machine(2).Levels(second))
	assert.Zero(t, s.Prune())
	clock.now = clock.now.Add(time.Millisecond)
	assert.Equal(t, 1, s.Prune())
	require.Len(t, s.All(), 1)
	assert.Equal(t, storetest.Machine(2).Instance.ID, s.All()[0].ID())
}

func TestBounds(t *testing.T) {
	s, _ := open(t, func(s *store.Settings) { s.MaxInstances = 2 })
	for i := range 3 {
		s.Consume(storetest.Machine(i).Levels(second))
	}
	assert.Equal(t, map[store.Reason]int{"instances": 1}, s.Consume(storetest.Machine(3).Levels(second)).Unusable)
	assert.Empty(t, s.Consume(storetest.Machine(1).Levels(2*second)).Unusable, "those that are known go on")

	s, _ = open(t, func(s *store.Settings) { s.MaxBytes = 8 << 10 })
	full := 0
	for i := range 20 {
		full += s.Consume(storetest.Machine(i).Levels(second)).Unusable["bytes"]
	}
	assert.Positive(t, full)
	assert.LessOrEqual(t, s.Bytes(), int64(9<<10))

	// One instance with too much of everything.
	s, _ = open(t)
	md := storetest.Machine(1).Levels(second)
	dps := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	dps.SetName("vm.disk.io")
	points := dps.SetEmptySum().DataPoints()
	for i := range 100_000 {
		dp := points.AppendEmpty()
		dp.SetTimestamp(pcommon.Timestamp(second))
		dp.Attributes().PutStr("system.device", fmt.Sprint("d", i))
	}
	assert.Equal(t, map[store.Reason]int{"bytes": 1}, s.Consume(md).Unusable)
	assert.LessOrEqual(t, s.Bytes(), int64(1<<20))

	md = storetest.Machine(2).Levels(second)
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("label", string(make([]byte, 17<<10)))
	assert.Equal(t, map[store.Reason]int{"bytes": 1}, s.Consume(md).Unusable)
	assert.Nil(t, s.Get(storetest.Machine(2).Instance.ID))
}

func TestStates(t *testing.T) {
	s, _ := open(t)
	m := storetest.Machine(1)
	m.States = []usage.ThresholdState{
		{Rule: "memory-high", Level: usage.LevelOK, At: second},
		{Rule: "cpu-high", Level: usage.LevelWarning, At: second},
	}
	s.Consume(m.Levels(second))
	v := usagetest.Violation(1)
	v.Instance, v.At, v.Since = m.Instance, 2*second, second
	md := pmetric.NewMetrics()
	usage.AppendViolation(md.ResourceMetrics(), v)
	s.Consume(md)
	data(t, s, m.Instance.ID, func(d *store.Data) {
		assert.Equal(t, usage.LevelWarning, d.Level())
		require.Len(t, d.States, 2)
		assert.Equal(t, store.State{Rule: "cpu-high", Level: usage.LevelWarning, At: 2 * second, Announced: true, Since: second, Value: 87.5, Threshold: 80}, d.States[0])
	})
	v.State, v.At = usage.Resolved, 3*second
	md = pmetric.NewMetrics()
	usage.AppendViolation(md.ResourceMetrics(), v)
	s.Consume(md)
	m.States = nil
	s.Consume(m.Levels(4 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) {
		assert.Equal(t, usage.LevelOK, d.Level())
		assert.Len(t, d.States, 2)
	})
	s.Consume(m.Levels(304 * second))
	data(t, s, m.Instance.ID, func(d *store.Data) { assert.Empty(t, d.States, "their rules are gone") })
}

func TestStalled(t *testing.T) {
	s, clock := open(t)
	m := storetest.Machine(1)
	stalled, of := s.Stalled(time.Minute)
	assert.Equal(t, [2]int{0, 0}, [2]int{stalled, of})
	for i := range int64(3) {
		clock.now = clock.now.Add(10 * time.Second)
		s.Consume(m.Levels((10 + i) * second))
	}
	clock.now = clock.now.Add(20 * time.Second)
	stalled, _ = s.Stalled(time.Minute)
	assert.Equal(t, 0, stalled)
	clock.now = clock.now.Add(3 * time.Second)
	stalled, of = s.Stalled(time.Minute)
	assert.Equal(t, [2]int{1, 1}, [2]int{stalled, of}, "two are missing")
	s.Consume(m.Levels(20 * second))
	stalled, _ = s.Stalled(time.Minute)
	assert.Equal(t, 0, stalled)
}

// The first levels of a receiver come between two ticks: its interval is longer.
func TestStalledAfterStart(t *testing.T) {
	s, clock := open(t)
	m := storetest.Machine(1)
	for i, after := range [...]time.Duration{0, time.Second, 10 * time.Second, 10 * time.Second, time.Second, 10 * time.Second} {
		clock.now = clock.now.Add(after)
		s.Consume(m.Levels(int64(10+i) * second))
		clock.now = clock.now.Add(9 * time.Second)
		stalled, _ := s.Stalled(time.Minute)
		assert.Equal(t, 0, stalled, "levels %d", i)
		clock.now = clock.now.Add(-9 * time.Second)
	}
}

func TestConcurrently(t *testing.T) {
	s, _ := open(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range int64(200) {
				m := storetest.Machine(int(i+int64(w)) % 8)
				s.Consume(m.Levels(i * second))
				p := m.Period(uint64(i)+1, (i-1)*second, i*second) //nolint:gosec // small
				p.Final = i%50 == 49
				s.Consume(periods(p))
			}
		})
		wg.Go(func() {
			for range 200 {
				for _, e := range s.All() {
					e.Read(func(d *store.Data) { d.Open() })
				}
				s.Prune()
				s.Stalled(time.Minute)
				s.GoneSince(0)
			}
		})
	}
	wg.Wait()
	sum := int64(0)
	for _, e := range s.All() {
		s.Consume(periods()) // whatever it is
		_ = e
		sum++
	}
	assert.Equal(t, int(sum), s.Len())
}

// What 10,000 instances take is less than 4 KiB for each, as it is estimated and as
// the runtime has it.
func TestMemory(t *testing.T) {
	const instances = 10_000
	s, _ := open(t, func(s *store.Settings) { s.MaxInstances, s.MaxBytes = instances, 1<<30 })
	before := heap()
	for i := range instances {
		m := storetest.Machine(i)
		s.Consume(m.Levels(30 * second))
		s.Consume(periods(m.Period(1, 0, 30*second)))
	}
	used := (heap() - before) / instances
	estimated := s.Bytes() / instances
	t.Logf("%d bytes for each instance, estimated as %d", used, estimated)
	assert.Less(t, used, int64(4<<10))
	assert.InEpsilon(t, used, estimated, 0.25, "the estimate is what store::max_bytes is held against")
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}

func BenchmarkConsumeLevels(b *testing.B) {
	s := store.New(store.Settings{MaxInstances: 10, MaxBytes: 1 << 20, Retain: time.Minute, Now: time.Now})
	md := storetest.Machine(1).Levels(second)
	b.ReportAllocs()
	for b.Loop() {
		s.Consume(md)
	}
}

func BenchmarkConsumePeriod(b *testing.B) {
	s := store.New(store.Settings{MaxInstances: 10, MaxBytes: 1 << 20, Retain: time.Minute, Now: time.Now})
	m := storetest.Machine(1)
	s.Consume(m.Levels(30 * second))
	md := periods(m.Period(1, 0, 30*second))
	b.ReportAllocs()
	for b.Loop() {
		s.Consume(md)
	}
}
