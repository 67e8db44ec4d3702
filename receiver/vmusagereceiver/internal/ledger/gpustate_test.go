package ledger

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// TestStateBeforeSampling restores a state that knows no GPU and one that does.
func TestStateBeforeSampling(t *testing.T) {
	format := func(l *Ledger) (byte, Snapshot) {
		var s Snapshot
		l.Snapshot(&s)
		return s.Shards[0][len("VMUS")+1], s
	}
	old, _ := format(newLedgerWith(newMachine()))
	assert.EqualValues(t, wire.FormatBase, old, "what has no such counters is read by the version before, too")
	l, m := newLedger(), gpuMachine("x")
	l.Observe(m.read())
	m.steps(l, 1, "x")
	_, s := format(l)
	next := newLedger()
	require.NoError(t, next.Restore(s.Shards[0]))
	f, again := format(next)
	assert.EqualValues(t, wire.FormatSampled, f)
	assert.Equal(t, s, again)
	assert.Equal(t, l.accounts["vm-1"].apart, next.accounts["vm-1"].apart)
}

// TestAStateOfFormat1 goes on from what the first version wrote.
func TestAStateOfFormat1(t *testing.T) {
	shard, err := os.ReadFile("testdata/accounts-format-1.bin")
	require.NoError(t, err)
	l, m := newLedger(), newMachine()
	require.NoError(t, l.Restore(shard))
	var s Snapshot
	l.Snapshot(&s)
	assert.Equal(t, shard, s.Shards[0], "it is written as it was")
	m.plug("x", 10)
	m.Metered.AddClass(usage.GPU)
	m.Scanned = m.Metered
	l.Observe(m.pass(50).use("cpu", 1000).ran("x", 60, 60).read())
	p := taken(l)[0]
	assert.EqualValues(t, 2, p.Sequence)
	assert.EqualValues(t, 1000, p.Totals[usage.CPUTime])
	assert.Equal(t, amounts4{}, gpuAmounts(&p), "it may have been there before")
	p = closeWith(t, l, m.pass(10).ran("x", 10, 10))
	assert.Equal(t, amounts4{5e6, 10e6, 1000, 3e6}, gpuAmounts(&p))
}
