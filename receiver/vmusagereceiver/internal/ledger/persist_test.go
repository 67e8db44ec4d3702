package ledger

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// reborn is the ledger that a new process makes of the last one's state.
func reborn(t *testing.T, l *Ledger) *Ledger {
	t.Helper()
	var s Snapshot
	l.Snapshot(&s)
	next := newLedger()
	next.settings.NewID = l.settings.NewID
	for _, shard := range s.Shards {
		require.NoError(t, next.Restore(shard))
	}
	return next
}

func TestALedgerGoesOnFromItsSnapshot(t *testing.T) {
	l, m := newLedger(), newMachine()
	l.Observe(m.read())
	l.EndScan("host", m.At, true)
	closeWith(t, l, m.pass(30).use("cpu", 100).use("eth0", 1, 2, 3, 4))
	l.Observe(m.pass(10).use("cpu", 10).use("vda", 5).read())

	next := reborn(t, l)
	assert.Equal(t, l.scans, next.scans)
	m.counters("cpu").Values[0] += 1000
	next.Observe(m.pass(600).read())
	ps := taken(next)
	require.Len(t, ps, 1, "the first reading closes what is bridged")
	p := ps[0]
	assert.EqualValues(t, 2, p.Sequence)
	assert.EqualValues(t, 1010, p.Usage[usage.CPUTime])
	assert.EqualValues(t, 1110, p.Totals[usage.CPUTime])
	assert.EqualValues(t, 5, p.Devices[0].Amounts[0])
	assert.Equal(t, 610*second, p.Duration)
	assert.Equal(t, usage.Recovered, p.Quality[usage.CPUTime])
	assert.EqualValues(t, 610e6, p.Usage[usage.Running])
	assert.EqualValues(t, 1024*10, p.Usage[usage.Memory], "of what it saw before")

	// Without a crash in between the same readings give the same sums.
	l.Observe(m.read())
	same := closeWith(t, l, m.pass(10))
	assert.Equal(t, p.Totals[usage.CPUTime], same.Totals[usage.CPUTime])
}

func TestSnapshotsAreCutIntoShards(t *testing.T) {
	l := newLedger()
	for i := range 1000 {
		m := newMachine()
		m.instance.ID = string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		l.Observe(m.read())
	}
	var s Snapshot
	l.Snapshot(&s)
	require.Greater(t, len(s.Shards), 3)
	for _, shard := range s.Shards {
		assert.Less(t, len(shard), shardSize+4096)
	}
	assert.Equal(t, 1000, reborn(t, l).Instances())
	first := &s.Shards[0][0]
	l.Snapshot(&s)
	assert.Same(t, first, &s.Shards[0][0], "its memory is used again")
}

// TestDamagedShards flips every bit and cuts at every byte.
func TestDamagedShards(t *testing.T) {
	l, m := newLedger(), gpuMachine("GPU-0")
	l.Observe(m.read())
	m.steps(l, 1, "GPU-0")
	var s Snapshot
	l.Snapshot(&s)
	shard := s.Shards[0]
	refuses := func(b []byte, what string, i int) {
		t.Helper()
		next := newLedger()
		err := next.Restore(b)
		if err == nil {
			t.Fatalf("%s at %d went unnoticed", what, i)
		}
		assert.Zero(t, next.Instances())
		assert.True(t, isWireError(err), err)
	}
	for i := range shard {
		refuses(shard[:i], "a cut", i)
		for bit := range 8 {
			b := append([]byte(nil), shard...)
			b[i] ^= 1 << bit
			refuses(b, "a flipped bit", i)
		}
	}
	newer := wire.Begin(nil, wire.KindAccounts)
	newer[len(newer)-1] = wire.Format + 1
	require.ErrorIs(t, newLedger().Restore(wire.Seal(newer)), wire.ErrNewer)
}

func FuzzRestore(f *testing.F) {
	for _, m := range []*machine{newMachine(), gpuMachine("GPU-0")} {
		l := newLedgerWith(m)
		l.Observe(m.pass(10).read())
		var s Snapshot
		l.Snapshot(&s)
		payload, err := wire.Open(s.Shards[0], wire.KindAccounts)
		require.NoError(f, err)
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		// What is sealed may still be anything: a bug of the writer.
		next := newLedger()
		if err := next.Restore(wire.Seal(append(wire.Begin(nil, wire.KindAccounts), payload...))); err == nil {
			var again Snapshot
			next.Snapshot(&again)
			next.Due()
			next.Observe(newMachine().read())
			next.Observe(gpuMachine("GPU-0").pass(1).read())
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	l := newLedger()
	for i := range 10_000 {
		m := newMachine()
		m.instance.ID = string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		l.Observe(m.read())
	}
	var s Snapshot
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		l.Snapshot(&s)
	}
	for _, shard := range s.Shards {
		bytes += len(shard)
	}
	b.ReportMetric(float64(bytes)/10_000, "B/instance")
}

func isWireError(err error) bool {
	for _, e := range []error{wire.ErrCorrupt, wire.ErrForeign, wire.ErrNewer} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
