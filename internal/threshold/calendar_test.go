package threshold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func TestBounds(t *testing.T) {
	tests := []struct {
		name   string
		window Window
		zone   string
		at     string // RFC 3339
		start  string
		length time.Duration
	}{
		{"hour", WindowHour, "UTC", "2026-09-01T10:59:59.999999999Z", "2026-09-01T10:00:00Z", time.Hour},
		{"hour at its start", WindowHour, "UTC", "2026-09-01T11:00:00Z", "2026-09-01T11:00:00Z", time.Hour},
		{"hour of a half-hour zone", WindowHour, "Asia/Kolkata", "2026-09-01T10:15:00Z", "2026-09-01T09:30:00Z", time.Hour},
		{"hour of a three-quarter zone", WindowHour, "Asia/Kathmandu", "2026-09-01T10:15:00Z", "2026-09-01T10:15:00Z", time.Hour},
		{"hour that comes twice, first", WindowHour, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", time.Hour},
		{"hour that comes twice, then", WindowHour, "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", time.Hour},
		{"clock set back by half an hour, before", WindowHour, "Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-04T14:00:00Z", time.Hour},
		{"clock set back by half an hour, after", WindowHour, "Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T15:00:00Z", 30 * time.Minute},
		{"day", WindowDay, "UTC", "2026-09-01T23:59:59.999999999Z", "2026-09-01T00:00:00Z", 24 * time.Hour},
		{"day of 23 hours", WindowDay, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", 23 * time.Hour},
		{"day of 25 hours", WindowDay, "Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", 25 * time.Hour},
		{"day without a midnight", WindowDay, "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", 23 * time.Hour},
		{"day before one without a midnight", WindowDay, "Africa/Cairo", "2026-04-23T21:59:59Z", "2026-04-22T22:00:00Z", 24 * time.Hour},
		{"day with two midnights", WindowDay, "Africa/Cairo", "2026-10-29T20:30:00Z", "2026-10-28T21:00:00Z", 25 * time.Hour},
		{"day after one that is left out", WindowDay, "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z", 24 * time.Hour},
		{"leap day", WindowDay, "UTC", "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", 24 * time.Hour},
		{"month with a leap day", WindowMonth, "UTC", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", 29 * 24 * time.Hour},
		{"month without", WindowMonth, "UTC", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", 28 * 24 * time.Hour},
		{"month at the end of the year", WindowMonth, "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", 31 * 24 * time.Hour},
		{"month in which the clock is set", WindowMonth, "Europe/Berlin", "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", 31*24*time.Hour - time.Hour},
		{"month east of Greenwich", WindowMonth, "Asia/Kolkata", "2026-08-31T18:30:00Z", "2026-08-31T18:30:00Z", 30 * 24 * time.Hour},
		{"month west of it", WindowMonth, "America/Los_Angeles", "2026-09-01T06:59:59Z", "2026-08-01T07:00:00Z", 31 * 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339Nano, tt.at)
			require.NoError(t, err)
			start, end := bounds(tt.window, zone(t, tt.zone), at.UnixNano())
			assert.Equal(t, tt.start, time.Unix(0, start).UTC().Format(time.RFC3339Nano))
			assert.Equal(t, tt.length, time.Duration(end-start))
		})
	}
}

// Windows leave nothing out and do not overlap, in any zone at any time.
func TestBoundsPartition(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kolkata", "Asia/Kathmandu",
		"Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "America/St_Johns", "Antarctica/Troll", "Pacific/Chatham", "America/Scoresbysund",
	} {
		zones = append(zones, zone(t, name))
	}
	zones = append(zones, time.FixedZone("odd", 12345))
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom([]Window{WindowHour, WindowDay, WindowMonth}).Draw(t, "window")
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		at := rapid.OneOf(
			rapid.Int64Range(1, maxTime),
			rapid.Map(rapid.Int64Range(1, 60*365*24*2), func(half int64) int64 { return half * int64(30*time.Minute) }),
		).Draw(t, "at")
		start, end := bounds(w, z, at)
		if start > at || at >= end {
			t.Fatalf("[%d, %d) has not %d", start, end, at)
		}
		for _, same := range []int64{start, end - 1, start + (end-start)/2} {
			if s, e := bounds(w, z, same); s != start || e != end {
				t.Fatalf("%d is in [%d, %d) and in [%d, %d)", same, start, end, s, e)
			}
		}
		if next, _ := bounds(w, z, end); next != end {
			t.Fatalf("after %d comes %d", end, next)
		}
		if _, before := bounds(w, z, start-1); before != start {
			t.Fatalf("before %d is %d", start, before)
		}
		if w == WindowDay {
			if h := (end - start) / int64(time.Hour); h < 22 || h > 26 {
				t.Fatalf("a day of %d hours", h)
			}
		}
	})
}
