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

func TestARenamedInterfaceGoesOn(t *testing.T) {
	l, m := newLedger(), newMachine()
	m.counters("eth0").Values = [4]uint64{1e12, 1e12, 1e9, 1e9}
	l.Observe(m.read())
	closeWith(t, l, m.pass(10))
	m.counters("eth0").ID = "wan0" // same birth
	assert.Zero(t, closeWith(t, l, m.pass(10)).Usage[usage.NetworkTransmitBytes])
}

func TestWhatIsConfiguredLaterIsNotNew(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	closeWith(t, l, m.pass(10))
	var s Snapshot
	l.Snapshot(&s)
	l2 := newLedger()
	require.NoError(t, l2.Restore(s.Shards[0]))
	// restart with network.include: [docker0]
	m.Counters = append(m.Counters, reading.Counters{First: usage.NetworkTransmitBytes, N: 4, ID: "docker0", Birth: 77, Resets: true, Values: [4]uint64{5e12, 5e12, 1, 1}})
	assert.Zero(t, closeWith(t, l2, m.pass(10)).Usage[usage.NetworkTransmitBytes])
}

func TestASmallStepBackIsNoReset(t *testing.T) {
	l, m := newLedger(), newMachine()
	m.counters("eth0").Values = [4]uint64{1e12, 1e12, 1e9, 1e9}
	l.Observe(m.read())
	m.counters("eth0").Values[0] += 1500
	m.counters("eth0").Values[3]-- // one packet less
	assert.EqualValues(t, 1500, closeWith(t, l, m.pass(10)).Usage[usage.NetworkTransmitBytes])
}

func TestOneValueThatFellHoldsNoOther(t *testing.T) {
	l, m := newLedger(), newMachine()
	m.counters("cpu").Values = [4]uint64{5e6, 3600e6}
	l.Observe(m.read())
	m.counters("cpu").Values[1] = 0 // steal went back (live migration)
	m.use("cpu", 20e6)
	p := closeWith(t, l, m.pass(10))
	assert.EqualValues(t, 20e6, p.Usage[usage.CPUTime])
	m.use("cpu", 20e6, 5)
	assert.EqualValues(t, 20e6, closeWith(t, l, m.pass(10)).Usage[usage.CPUTime])
}

func TestAllotmentsHoldWhereASampleFails(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	lim := m.Levels[reading.MemoryLimit]
	used := m.Levels[reading.MemoryUsed]
	m.Levels[reading.MemoryLimit] = reading.Level{}
	m.Levels[reading.MemoryUsed] = reading.Level{}
	m.Levels[reading.StorageLimit] = reading.Level{Bytes: 1 << 30} // the file systems that answered
	m.Levels[reading.StorageUsed] = reading.Level{}
	l.Observe(m.pass(10).read())
	m.Levels[reading.MemoryLimit] = lim
	m.Levels[reading.MemoryUsed] = used
	p := closeWith(t, l, m.pass(10))
	assert.EqualValues(t, 4096*20, p.Usage[usage.MemoryProvisioned], "quality %v coverage %v", p.Quality[usage.MemoryProvisioned], p.Coverage[usage.MemoryProvisioned])
	assert.EqualValues(t, 40960*20, p.Usage[usage.StorageProvisioned], "quality %v coverage %v", p.Quality[usage.StorageProvisioned], p.Coverage[usage.StorageProvisioned])
}

// A complete scan in one boot, only partial ones in the next, and then another id
// for the same machine.
func TestPartialScansSayWhatIsOld(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	l.EndScan("host", m.At, true)
	m.Run, m.At.BootID, m.At.Boot = "boot-2", "boot-2", 50*second
	m.At.Wall += 60 * second
	m.counters("cpu").Birth, m.counters("cpu").Values = 11, [4]uint64{40e6}
	l.Observe(m.read())
	taken(l)
	l.EndScan("host", m.At, false)
	closeWith(t, l, m.pass(600).use("cpu", 60e6))
	l.EndScan("host", m.At, false)
	m.instance.ID = "vm-1-renamed"
	l.Observe(m.pass(10).read())
	p := closeWith(t, l, m.pass(10))
	assert.Zero(t, p.Usage[usage.CPUTime], "already billed to vm-1; running %d", p.Usage[usage.Running])
}

// An instance is metered, its shard is damaged, and another one still has the scan
// that came before it.
func TestWhatMayHaveBeenKnownIsNotBorn(t *testing.T) {
	l, b := newLedger(), newMachine()
	l.EndScan("host", reading.Instant{Boot: 500 * second, BootID: "boot-1", Wall: epoch}, true)
	b.RunAt = 900 * second
	l.Observe(b.read())
	l.EndScan("host", b.At, false)
	p1 := closeWith(t, l, b.pass(10))
	l.EndScan("host", b.At, false)
	n := byte(100)
	l2 := New(Settings{Interval: 10 * time.Second, Lost: true, NewID: func() uuid.UUID { n++; return uuid.UUID{15: n} }})
	l2.scans["host"] = l.scans["host"] // from the shard that is left
	l2.Observe(b.pass(10).read())
	taken(l2)
	p2 := closeWith(t, l2, b.pass(10))
	assert.GreaterOrEqual(t, p2.Start, p1.End)
}
