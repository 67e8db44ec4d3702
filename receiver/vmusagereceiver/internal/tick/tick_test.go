package tick_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/tick"
)

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		now   string
		every time.Duration
		want  string
	}{
		{"2026-01-01T00:00:00Z", 30 * time.Second, "2026-01-01T00:00:30Z"},
		{"2026-01-01T00:00:00.000000001Z", 30 * time.Second, "2026-01-01T00:00:30Z"},
		{"2026-01-01T00:00:29.999999999Z", 30 * time.Second, "2026-01-01T00:00:30Z"},
		{"2026-01-01T00:59:59Z", 30 * time.Second, "2026-01-01T01:00:00Z"},
		{"2026-01-01T00:00:07Z", 10 * time.Second, "2026-01-01T00:00:10Z"},
		{"1969-12-31T23:59:45Z", 30 * time.Second, "1970-01-01T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339Nano, tt.now)
		require.NoError(t, err)
		assert.Equal(t, tt.want, tick.Next(now, tt.every).UTC().Format(time.RFC3339Nano), "after %s", tt.now)
	}
}

func TestIndexChangesAtTheTick(t *testing.T) {
	at := time.Unix(1_700_000_010, 0)
	assert.Equal(t, tick.Index(at, 10*time.Second), tick.Index(at.Add(9999*time.Millisecond), 10*time.Second))
	assert.Equal(t, tick.Index(at, 10*time.Second)+1, tick.Index(at.Add(10*time.Second), 10*time.Second))
	assert.Equal(t, tick.Index(at, 10*time.Second)-1, tick.Index(at.Add(-time.Nanosecond), 10*time.Second))
}
