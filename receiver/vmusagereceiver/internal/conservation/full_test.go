package conservation

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAFullOutboxJoins is an outage of hours with an outbox for minutes: joining
// is enough, nothing is lost.
func TestAFullOutboxJoins(t *testing.T) {
	m := newMetering(t, 15_000)
	m.world.start("a")
	for range 600 {
		m.world.pass(30_000_000, 7, 8, 9)
		m.ledger.Due()
		m.sample()
		m.flush()
		m.offer(0, false)
	}
	s := m.outbox.State()
	assert.Positive(t, s.Joined)
	assert.Zero(t, s.Dropped)
	assert.Less(t, s.Bytes, int64(15_000))
	m.drain()
	m.prove()
}
