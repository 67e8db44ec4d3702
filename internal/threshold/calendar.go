package threshold

import "time"

func (r *Rule) zone() *time.Location {
	if r.Timezone == nil {
		return time.UTC
	}
	return r.Timezone
}

// bounds returns the window [start, end) of the calendar in a zone that has a time
// in it; all in unix ns. Windows of a kind and a zone neither overlap nor leave
// anything out:
//
//   - a day or a month begins when the local clock first shows its date. It has 23 or 25
//     hours where the clock is set, and one that skips midnight begins when it is past it;
//   - an hour begins when the local clock shows a full hour, or is set by what is no full hour.
func bounds(w Window, zone *time.Location, at int64) (start, end int64) {
	t := time.Unix(0, at).In(zone)
	switch w {
	case WindowHour:
		return hour(t)
	case WindowDay:
		y, m, d := t.Date()
		return enclosing(at, func(i int) int64 { return firstOf(y, m, d+i, zone) })
	default:
		y, m, _ := t.Date()
		return enclosing(at, func(i int) int64 { return firstOf(y, m+time.Month(i), 1, zone) })
	}
}

// enclosing returns the boundaries around a time. boundary(0) is near it: where a
// clock that is set back shows yesterday's date again, it may be off by one.
func enclosing(at int64, boundary func(i int) int64) (start, end int64) {
	i := 0
	for boundary(i) > at {
		i--
	}
	for boundary(i+1) <= at {
		i++
	}
	return boundary(i), boundary(i + 1)
}

// firstOf returns when the clock of a zone first shows a date, or a later one.
func firstOf(y int, m time.Month, d int, zone *time.Location) int64 {
	const day = 24 * time.Hour
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	t := midnight.Add(-day).In(zone) // before it anywhere
	for {
		_, offset := t.Zone()
		first := midnight.Add(-time.Duration(offset) * time.Second)
		if first.Before(t) {
			first = t // the clock was set to beyond midnight
		}
		if _, next := t.ZoneBounds(); !next.IsZero() && !first.Before(next) {
			t = next
			continue
		}
		return first.UnixNano()
	}
}

func hour(t time.Time) (start, end int64) {
	_, offset := t.Zone()
	at := t.UnixNano()
	local := at + int64(offset)*int64(time.Second)
	since := local % int64(time.Hour)
	if since < 0 {
		since += int64(time.Hour)
	}
	start = at - since
	end = start + int64(time.Hour)
	from, to := t.ZoneBounds()
	if !from.IsZero() && from.After(time.Unix(0, start)) {
		start = from.UnixNano()
	}
	if !to.IsZero() && to.Before(time.Unix(0, end)) {
		end = to.UnixNano()
	}
	return start, end
}
