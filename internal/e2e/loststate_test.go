package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// database is where file_storage keeps ledger and outbox; beside it lies the
// marker, which says that there was something.
func (i *installation) database() string { return filepath.Join(i.state, "receiver_vm_usage_") }

// garble overwrites the beginning of a file: both pages that a bbolt database
// can be opened from.
func garble(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	for range 2 * os.Getpagesize() / 8 {
		_, err := f.WriteString("garbage!")
		require.NoError(t, err)
	}
}

// metered is an installation that has delivered some events and ended.
func metered(t *testing.T) (*installation, *devbroker.Broker) {
	t.Helper()
	b := broker(t, "", t.TempDir())
	n := node(t, b.Addr(), "receivers::vm_usage::collection_interval=200ms", "receivers::vm_usage::period=1s")
	c := n.start(t)
	consume(t, b.Addr()).take(t, atLeast(3))
	c.stop(t)
	assert.NotContains(t, c.log.String(), "state was lost", "a first start loses nothing")
	return n, b
}

// saysThatStateWasLost starts an installation whose database is gone and checks
// that a new stream begins, which tells of what is not known.
func saysThatStateWasLost(t *testing.T, n *installation, b *devbroker.Broker) {
	t.Helper()
	began := time.Now()
	c := n.start(t)
	c.waitLog(t, "metering state was lost")
	consume(t, b.Addr()).take(t, endingAfter(began.Add(time.Second)))
	c.stop(t)

	p := prove(t, everything(t, b))
	require.Len(t, p.streams, 2)
	old, lost := p.streams[0], p.streams[1]
	first := lost[0].event.Period
	assert.Equal(t, first.Start, first.End, "it is not known how long the gap is, so it bills no time twice")
	assert.GreaterOrEqual(t, first.Start, old[len(old)-1].event.Period.End)
	for m := range first.Metered.All() {
		assert.Equal(t, usage.Gap, first.Quality[m], m)
		assert.Zero(t, first.Usage[m], m)
	}
	assert.Positive(t, p.gaps)
	verify(t, b.Addr(), p) // counts the gap, too

	c = n.start(t)
	consume(t, b.Addr()).take(t, endingAfter(time.Now()))
	c.stop(t)
	assert.NotContains(t, c.log.String(), "state was lost", "it is said once")
	require.Len(t, prove(t, everything(t, b)).streams, 2)
}

func TestLostStateIsSaid(t *testing.T) {
	binary(t, "otelcol-vmusage")
	for name, lose := range map[string]func(file string) error{
		"deleted": os.Remove,
		"emptied": func(file string) error { return os.Truncate(file, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			n, b := metered(t)
			require.NoError(t, lose(n.database()))
			saysThatStateWasLost(t, n, b)
		})
	}
}

// TestADatabaseThatCannotBeReadIsNoFirstStart pins what file_storage does with a
// database that has no beginning: recreate sets aside only what makes bbolt panic
// while it is opened, and this is an error. So the collector does not start, and
// names the storage; once the operator has moved the file away, loss is said.
func TestADatabaseThatCannotBeReadIsNoFirstStart(t *testing.T) {
	binary(t, "otelcol-vmusage")
	n, b := metered(t)
	before := len(everything(t, b))
	garble(t, n.database())
	c := n.start(t)
	select {
	case <-c.exited:
		require.Error(t, c.err)
	case <-time.After(patience):
		t.Fatal("it goes on without its state")
	}
	assert.Contains(t, c.log.String(), `storage "file_storage" cannot be opened: invalid database`)
	assert.Len(t, everything(t, b), before)

	require.NoError(t, os.Rename(n.database(), n.database()+".damaged"))
	saysThatStateWasLost(t, n, b)
}
