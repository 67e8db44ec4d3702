// Package tick finds wall-clock-aligned instants, so that every collector of a
// fleet reads its counters at the same :00 and :30.
package tick

import "time"

// Next returns the first instant after now that is a multiple of every since
// the Unix epoch.
func Next(now time.Time, every time.Duration) time.Time {
	return time.Unix(0, (Index(now, every)+1)*every.Nanoseconds())
}

// Index numbers the intervals since the Unix epoch: it says in which one t lies.
func Index(t time.Time, every time.Duration) int64 {
	n, e := t.UnixNano(), every.Nanoseconds()
	i := n / e
	if n%e < 0 {
		i--
	}
	return i
}
