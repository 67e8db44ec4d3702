package ledger

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	second = int64(time.Second)
	epoch  = 1_700_000_000 * second
	gib    = 1 << 30
)

// machine is an instance whose counters a test moves by hand.
type machine struct {
	reading.Reading
	instance usage.Instance
}

func newMachine() *machine {
	m := &machine{instance: usage.Instance{ID: "vm-1", HostID: "h", UserID: "u"}}
	m.Source, m.Run = "host", "boot-1"
	m.At = reading.Instant{Boot: 1000 * second, BootID: "boot-1", Wall: epoch}
	m.Flavor = usage.Flavor{VCPUs: 2, MemoryBytes: 4 * gib}
	for k := range m.Levels {
		m.Levels[k].Valid = true
	}
	m.Levels[reading.MemoryUsed].Bytes = gib
	m.Levels[reading.MemoryLimit].Bytes = 4 * gib
	m.Levels[reading.StorageUsed].Bytes = 10 * gib
	m.Levels[reading.StorageLimit].Bytes = 40 * gib
	m.Counters = []reading.Counters{
		{First: usage.CPUTime, N: 2, ID: "cpu", Birth: 1, Values: [4]uint64{5_000_000, 7_000}},
		{First: usage.DiskReadBytes, N: 4, ID: "vda", Birth: 2, Values: [4]uint64{100, 200, 3, 4}},
		{First: usage.NetworkTransmitBytes, N: 4, ID: "eth0", Birth: 3, Resets: true, Values: [4]uint64{1000, 2000, 10, 20}},
	}
	for u := range usage.DiskReadBytes {
		m.Metered.Add(u)
	}
	m.Metered.AddClass(usage.Disk)
	m.Metered.AddClass(usage.Interface)
	m.Scanned = m.Metered
	return m
}

func (m *machine) pass(seconds int64) *machine {
	m.At.Boot += seconds * second
	m.At.Wall += seconds * second
	return m
}

func (m *machine) counters(id string) *reading.Counters {
	for i := range m.Counters {
		if m.Counters[i].ID == id {
			return &m.Counters[i]
		}
	}
	return nil
}

func (m *machine) use(id string, amounts ...uint64) *machine {
	for k, v := range amounts {
		m.counters(id).Values[k] += v
	}
	return m
}

func (m *machine) read() *reading.Reading {
	m.Instance = &m.instance
	return &m.Reading
}

func taken(l *Ledger) []usage.Period {
	ps, _ := l.Take()
	return ps
}

func newLedger() *Ledger {
	n := byte(0)
	return New(Settings{Interval: 10 * time.Second, NewID: func() uuid.UUID { n++; return uuid.UUID{15: n} }})
}

// close asks for the period to be closed by this reading and returns it.
func closeWith(t *testing.T, l *Ledger, m *machine) usage.Period {
	t.Helper()
	l.Due()
	l.Observe(m.read())
	ps := taken(l)
	require.Len(t, ps, 1)
	return ps[0]
}

func TestAPeriodIsTheDifferenceOfItsReadings(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	l.Observe(m.pass(10).use("cpu", 3_000_000, 10_000).use("vda", 1, 2, 3, 4).read())
	l.Observe(m.pass(10).use("cpu", 1_000_000).use("eth0", 10, 20, 1, 2).read())
	assert.Empty(t, taken(l), "nothing is closed before it is due")
	p := closeWith(t, l, m.pass(10).use("cpu", 2_000_000))

	assert.Equal(t, epoch, p.Start)
	assert.Equal(t, epoch+30*second, p.End)
	assert.Equal(t, 30*second, p.Duration)
	assert.EqualValues(t, 1, p.Sequence)
	assert.Equal(t, usage.Stream{ID: uuid.UUID{15: 1}, Source: "host", HostID: "h", Run: "boot-1", Start: epoch}, p.Stream)
	assert.Equal(t, "u", p.Instance.UserID)
	want := usage.Amounts{
		usage.Running: 30e6, usage.CPUTime: 6e6, usage.CPUSteal: 10_000, usage.VCPUProvisioned: 60e6,
		usage.Memory: 1024 * 30, usage.MemoryProvisioned: 4096 * 30, usage.Storage: 10240 * 30, usage.StorageProvisioned: 40960 * 30,
		usage.DiskReadBytes: 1, usage.DiskWriteBytes: 2, usage.DiskReadOperations: 3, usage.DiskWriteOperations: 4,
		usage.NetworkTransmitBytes: 10, usage.NetworkReceiveBytes: 20, usage.NetworkTransmitPackets: 1, usage.NetworkReceivePackets: 2,
	}
	assert.Equal(t, want, p.Usage)
	assert.Equal(t, want, p.Totals)
	assert.Equal(t, []usage.DeviceUsage{
		{Class: usage.Disk, ID: "vda", Amounts: [4]int64{1, 2, 3, 4}},
		{Class: usage.Interface, ID: "eth0", Amounts: [4]int64{10, 20, 1, 2}},
	}, p.Devices)
	assert.Equal(t, usage.Measured, p.WorstQuality())
	assert.EqualValues(t, usage.FullCoverage, p.LeastCoverage())
	assert.Equal(t, usage.Statistic{Avg: 100_000, Max: 150_000, Valid: true}, p.Stats[usage.CPUUtilization], "6 of 60 s; 3 of 20 s")
	assert.Equal(t, usage.Statistic{Avg: 250_000, Max: 250_000, Valid: true}, p.Stats[usage.MemoryUtilization])

	next := closeWith(t, l, m.pass(30).use("cpu", 1))
	assert.Equal(t, p.End, next.Start)
	assert.EqualValues(t, 2, next.Sequence)
	assert.EqualValues(t, 1, next.Usage[usage.CPUTime])
	assert.EqualValues(t, 6e6+1, next.Totals[usage.CPUTime])
	metered, totals, start, ok := l.Metered("vm-1")
	assert.True(t, ok)
	assert.Equal(t, next.Metered, metered)
	assert.Equal(t, next.Totals, *totals)
	assert.Equal(t, epoch, start)
}

func TestWhatIsNewAndWhatIsOld(t *testing.T) {
	t.Run("a disk that appears counts from 0", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.Counters = append(m.Counters, reading.Counters{First: usage.DiskReadBytes, N: 4, ID: "vdb", Birth: 9, Values: [4]uint64{50}})
		assert.EqualValues(t, 50, closeWith(t, l, m.pass(30)).Usage[usage.DiskReadBytes])
	})
	t.Run("one that nobody could look for before counts from its first value", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		disk := m.Counters[1]
		m.Counters = append(m.Counters[:1:1], m.Counters[2])
		m.Scanned &^= 0xf << usage.DiskReadBytes
		l.Observe(m.read())
		m.Counters, m.Scanned = append(m.Counters, disk), m.Metered
		l.Observe(m.pass(10).read())
		p := closeWith(t, l, m.pass(20).use("vda", 7))
		assert.EqualValues(t, 7, p.Usage[usage.DiskReadBytes])
	})
	t.Run("a failed scan forgets nothing", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		all := m.Counters
		m.Counters, m.Scanned = all[:1], m.Metered&^(0xff<<usage.DiskReadBytes)
		l.Observe(m.pass(10).read())
		m.Counters, m.Scanned = all, m.Metered
		p := closeWith(t, l, m.pass(10).use("vda", 5).use("eth0", 6))
		assert.EqualValues(t, 5, p.Usage[usage.DiskReadBytes])
		assert.EqualValues(t, 6, p.Usage[usage.NetworkTransmitBytes])
		assert.Less(t, p.Coverage[usage.DiskReadBytes], int32(usage.FullCoverage))
	})
	t.Run("one that comes back unchanged goes on where it was", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		all := m.Counters
		m.Counters = all[:1]
		l.Observe(m.pass(10).read())
		m.Counters = all
		assert.EqualValues(t, 5, closeWith(t, l, m.pass(10).use("vda", 5)).Usage[usage.DiskReadBytes])
	})
	t.Run("one that is replaced counts from 0", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.counters("eth0").Birth, m.counters("eth0").Values = 33, [4]uint64{4, 3, 2, 1}
		assert.EqualValues(t, 4, closeWith(t, l, m.pass(30)).Usage[usage.NetworkTransmitBytes])
	})
	t.Run("one that is gone is still in the period it was used in", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		l.Observe(m.pass(10).use("vda", 5).read())
		m.Counters = m.Counters[:1]
		p := closeWith(t, l, m.pass(20))
		assert.EqualValues(t, 5, p.Usage[usage.DiskReadBytes])
		assert.Equal(t, []usage.DeviceUsage{{Class: usage.Disk, ID: "vda", Amounts: [4]int64{5}}}, p.Devices)
		assert.Empty(t, closeWith(t, l, m.pass(30)).Devices)
	})
	t.Run("what comes and goes is forgotten in the end", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		for i := range uint64(2 * maxAbsent) {
			m.Counters[1] = reading.Counters{First: usage.DiskReadBytes, N: 4, ID: uuid.UUID{14: byte(i >> 8), 15: byte(i)}.String(), Birth: 100 + i, Values: [4]uint64{1}}
			assert.EqualValues(t, 1, closeWith(t, l, m.pass(30)).Usage[usage.DiskReadBytes])
		}
		assert.LessOrEqual(t, len(l.accounts["vm-1"].counters), maxAbsent+4)
	})
}

func TestAValueBelowTheLast(t *testing.T) {
	t.Run("is a reset where the source resets and it is plausible", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.counters("eth0").Values = [4]uint64{5, 6, 1, 1}
		assert.EqualValues(t, 5, closeWith(t, l, m.pass(30)).Usage[usage.NetworkTransmitBytes])
		assert.Zero(t, l.Counts().Anomalies)
	})
	t.Run("is held where it is not plausible", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		m.counters("eth0").Values[0] = 1 << 62
		l.Observe(m.read())
		m.counters("eth0").Values[0] = 1 << 61
		assert.Zero(t, closeWith(t, l, m.pass(30)).Usage[usage.NetworkTransmitBytes])
		assert.EqualValues(t, 1, l.Counts().Anomalies)
	})
	t.Run("is held where the source does not reset", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.counters("cpu").Values[0] -= 1_000_000
		assert.Zero(t, closeWith(t, l, m.pass(30)).Usage[usage.CPUTime])
		assert.EqualValues(t, 1, l.Counts().Anomalies)
		m.use("cpu", 1_500_000)
		assert.EqualValues(t, 500_000, closeWith(t, l, m.pass(30)).Usage[usage.CPUTime], "only what is above the last value")
	})
	t.Run("wraps where a width is declared", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		m.counters("vda").Width, m.counters("vda").Values[0] = 32, 1<<32-10
		l.Observe(m.read())
		m.counters("vda").Values[0] = 5
		assert.EqualValues(t, 15, closeWith(t, l, m.pass(30)).Usage[usage.DiskReadBytes])
	})
}

func TestOutages(t *testing.T) {
	t.Run("one sample missed", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		p := closeWith(t, l, m.pass(20).use("cpu", 5))
		assert.Equal(t, usage.Measured, p.WorstQuality())
		assert.EqualValues(t, usage.FullCoverage/2, p.Coverage[usage.Memory])
		assert.EqualValues(t, 1024*20, p.Usage[usage.Memory], "a level holds until the next sample")
	})
	t.Run("too long for a level to hold", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		p := closeWith(t, l, m.pass(600).use("cpu", 5))
		assert.EqualValues(t, 5, p.Usage[usage.CPUTime])
		assert.Equal(t, usage.Recovered, p.Quality[usage.CPUTime])
		assert.Equal(t, usage.Gap, p.Quality[usage.Memory])
		assert.Zero(t, p.Usage[usage.Memory])
		assert.Zero(t, p.Coverage[usage.Memory])
		assert.EqualValues(t, 600e6, p.Usage[usage.Running], "the run provably lived")
		assert.EqualValues(t, 4096*600, p.Usage[usage.MemoryProvisioned])
		assert.False(t, p.Stats[usage.MemoryUtilization].Valid)
	})
	t.Run("a level that a sample did not see", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.Levels[reading.StorageUsed].Valid = false
		l.Observe(m.pass(10).read())
		p := closeWith(t, l, m.pass(10))
		assert.Equal(t, usage.Gap, p.Quality[usage.Storage])
		assert.EqualValues(t, 10240*10, p.Usage[usage.Storage])
		assert.Equal(t, usage.Measured, p.Quality[usage.Memory])
	})
	t.Run("another run", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		l.Observe(m.pass(10).use("cpu", 100).read())
		m.Run, m.At.BootID, m.At.Boot = "boot-2", "boot-2", 50*second
		m.At.Wall += 60 * second
		m.counters("cpu").Birth, m.counters("cpu").Values = 11, [4]uint64{40}
		l.Observe(m.read())
		ps := taken(l)
		require.Len(t, ps, 2)
		assert.EqualValues(t, 100, ps[0].Usage[usage.CPUTime])
		assert.Equal(t, "boot-1", ps[0].Stream.Run)
		gap := ps[1]
		assert.Equal(t, 10*second, gap.Duration, "from when it was last seen to the new boot")
		assert.Equal(t, ps[0].End, gap.Start)
		assert.Equal(t, usage.Amounts{}, gap.Usage)
		for m := range gap.Metered.All() {
			assert.Equal(t, usage.Gap, gap.Quality[m], m)
			assert.Zero(t, gap.Coverage[m], m)
		}
		p := closeWith(t, l, m.pass(10).use("cpu", 2))
		assert.Equal(t, "boot-2", p.Stream.Run)
		assert.Equal(t, gap.End, p.Start)
		assert.Equal(t, ps[0].Stream.ID, p.Stream.ID)
		assert.EqualValues(t, 42, p.Usage[usage.CPUTime], "all that the new counter counted")
		assert.Equal(t, usage.Recovered, p.Quality[usage.CPUTime])
		assert.Equal(t, usage.Gap, p.Quality[usage.Memory])
		assert.Equal(t, 60*second, p.Duration)
		assert.EqualValues(t, 60e6, p.Usage[usage.Running], "the new run provably lived since its boot")
		assert.EqualValues(t, 4096*60, p.Usage[usage.MemoryProvisioned])
	})
}

func TestOwnerAndFlavorSplitThePeriod(t *testing.T) {
	for name, change := range map[string]func(m *machine){
		"owner":  func(m *machine) { m.instance.UserID = "u2" },
		"label":  func(m *machine) { m.instance.Labels = []usage.Label{{Key: "k", Value: "v"}} },
		"vcpus":  func(m *machine) { m.Flavor.VCPUs = 4 },
		"memory": func(m *machine) { m.Flavor.MemoryBytes = 8 * gib },
	} {
		t.Run(name, func(t *testing.T) {
			l, m := newLedger(), newMachine()
			l.Observe(m.read())
			before := m.instance
			flavor := m.Flavor
			change(m)
			l.Observe(m.pass(10).use("cpu", 1).read())
			ps := taken(l)
			require.Len(t, ps, 1)
			assert.Equal(t, before, ps[0].Instance)
			assert.Equal(t, flavor, ps[0].Flavor)
			assert.Equal(t, 10e6*flavor.VCPUs, ps[0].Usage[usage.VCPUProvisioned])
			p := closeWith(t, l, m.pass(20))
			assert.True(t, p.Instance.Equal(&m.instance))
			assert.Equal(t, m.Flavor, p.Flavor)
			assert.Equal(t, ps[0].End, p.Start)
			assert.EqualValues(t, 2, p.Sequence)
		})
	}
	t.Run("storage does not", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		m.Flavor.StorageBytes = 1
		l.Observe(m.pass(10).read())
		assert.Empty(t, taken(l))
	})
}

func TestTheWallClockOnlyLabels(t *testing.T) {
	for name, step := range map[string]int64{"forwards": 3600, "backwards": -3600} {
		t.Run(name, func(t *testing.T) {
			l, m := newLedger(), newMachine()
			l.Observe(m.read())
			m.At.Wall += step * second
			p := closeWith(t, l, m.pass(30))
			assert.True(t, p.ClockStepped)
			assert.Equal(t, 30*second, p.Duration)
			assert.EqualValues(t, 30e6, p.Usage[usage.Running])
			assert.GreaterOrEqual(t, p.End, p.Start)
			next := closeWith(t, l, m.pass(30))
			assert.Equal(t, p.End, next.Start)
			assert.GreaterOrEqual(t, next.End, next.Start)
		})
	}
}

func TestNothingIsRoundedAwayOverTime(t *testing.T) {
	const periods, bytes, length = 4000, 12_345_677, 29_999_999_989
	l, m := newLedger(), newMachine()
	m.Levels[reading.MemoryUsed].Bytes = bytes
	var sum int64
	l.Observe(m.read())
	for range periods {
		m.At.Boot += length
		m.At.Wall += length
		sum += closeWith(t, l, m).Usage[usage.Memory]
	}
	// periods * bytes * length / 2^20 / 1e9, rounded down once.
	assert.EqualValues(t, 1_412_850, sum)
}

func TestObserveDoesNotAllocate(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	assert.Zero(t, testing.AllocsPerRun(100, func() { l.Observe(m.pass(1).use("cpu", 10).read()) }))
}

func BenchmarkObserve(b *testing.B) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(m.pass(1).use("cpu", 10).read())
	}
}

func TestComingAndGoing(t *testing.T) {
	t.Run("born since the last scan", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.EndScan("host", m.At, true)
		m.pass(10)
		m.RunAt = m.At.Boot - 4*second
		l.Observe(m.read())
		l.EndScan("host", m.At, true)
		p := closeWith(t, l, m.pass(6).use("cpu", 7))
		assert.EqualValues(t, 5_000_007, p.Usage[usage.CPUTime], "all that its counters ever counted")
		assert.Equal(t, 10*second, p.Duration)
		assert.EqualValues(t, 10e6, p.Usage[usage.Running])
		assert.Equal(t, usage.Gap, p.Quality[usage.Memory], "of the first seconds nobody saw the memory")
		assert.EqualValues(t, 1024*6, p.Usage[usage.Memory])
	})
	t.Run("older than the last scan", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.EndScan("host", m.At, true)
		m.RunAt = m.At.Boot - 4*second
		l.Observe(m.pass(10).read())
		assert.EqualValues(t, 7, closeWith(t, l, m.pass(10).use("cpu", 7)).Usage[usage.CPUTime])
	})
	t.Run("gone", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.Observe(m.read())
		l.EndScan("host", m.At, true)
		l.Observe(m.pass(10).use("cpu", 7).read())
		l.EndScan("host", m.At, true)
		m.pass(10)
		l.EndScan("host", m.At, false)
		assert.Equal(t, 1, l.Instances(), "it may just not have been looked for")
		l.EndScan("other", m.At, true)
		assert.Equal(t, 1, l.Instances())
		l.EndScan("host", m.At, true)
		ps, changed := l.Take()
		require.Len(t, ps, 1)
		assert.True(t, changed)
		assert.True(t, ps[0].Final)
		assert.Equal(t, 10*second, ps[0].Duration, "up to where it was last seen")
		assert.EqualValues(t, 7, ps[0].Usage[usage.CPUTime])
		assert.Zero(t, l.Instances())

		l.Observe(m.pass(10).read())
		p := closeWith(t, l, m.pass(10))
		assert.NotEqual(t, ps[0].Stream.ID, p.Stream.ID, "what comes back is a new stream")
		assert.EqualValues(t, 1, p.Sequence)
	})
	t.Run("state was lost", func(t *testing.T) {
		l, m := newLedger(), newMachine()
		l.settings.Lost = true
		l.Observe(m.read())
		l.EndScan("host", m.At, true)
		ps := taken(l)
		require.Len(t, ps, 1)
		assert.Zero(t, ps[0].Duration)
		assert.Equal(t, ps[0].Start, ps[0].End)
		for u := range ps[0].Metered.All() {
			assert.Equal(t, usage.Gap, ps[0].Quality[u])
		}
		next := closeWith(t, l, m.pass(10).use("cpu", 7))
		assert.EqualValues(t, 2, next.Sequence)
		assert.Equal(t, usage.Measured, next.WorstQuality())

		other := newMachine()
		other.instance.ID, other.At = "vm-2", m.At
		l.Observe(other.read())
		assert.Empty(t, taken(l), "whatever comes later was not in what was lost")
	})
}
