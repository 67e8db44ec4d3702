package top

import "time"

// A rate is in bytes a second; nil is not known.
type rate = *float64

// Rates are what an instance moves, between the two last times at which it was read.
type Rates struct{ DiskRead, DiskWrite, NetReceive, NetTransmit rate }

// A Tracker makes rates of what comes one after another. It keeps one reading for each
// instance of the last poll, and nothing of one that is not in it: an instance that
// comes back begins anew.
type Tracker struct{ last map[string]tracked }

type tracked struct {
	reading *Reading
	rates   Rates
}

// Next returns the rates of readings, in their order.
func (t *Tracker) Next(readings []Reading) []Rates {
	next := make(map[string]tracked, len(readings))
	rates := make([]Rates, len(readings))
	for i := range readings {
		r := &readings[i]
		before, seen := t.last[r.ID]
		switch {
		case !seen || r.At == nil || before.reading.At == nil:
		case r.At.Equal(*before.reading.At):
			rates[i] = before.rates // it was not read again since
		default:
			rates[i] = between(before.reading, r)
		}
		next[r.ID] = tracked{r, rates[i]}
	}
	t.last = next
	return rates
}

func between(a, b *Reading) (r Rates) {
	elapsed := b.At.Sub(*a.At)
	if elapsed <= 0 || restarted(a, b, elapsed) {
		return r
	}
	var was, is [4]map[string]*int64
	for i, reading := range [...]*Reading{a, b} {
		into := &was
		if i == 1 {
			into = &is
		}
		for k := range into {
			into[k] = map[string]*int64{}
		}
		for _, d := range reading.Disks {
			into[diskRead][d.Device], into[diskWrite][d.Device] = d.Read, d.Write
		}
		for _, n := range reading.Network {
			into[netReceive][n.Interface], into[netTransmit][n.Interface] = n.Receive, n.Transmit
		}
	}
	return Rates{
		DiskRead:    perSecond(was[diskRead], is[diskRead], elapsed),
		DiskWrite:   perSecond(was[diskWrite], is[diskWrite], elapsed),
		NetReceive:  perSecond(was[netReceive], is[netReceive], elapsed),
		NetTransmit: perSecond(was[netTransmit], is[netTransmit], elapsed),
	}
}

// restarted reports whether b's counters began anew after a was read: it was booted in
// between, or runs on another host, which has counters of its own.
func restarted(a, b *Reading, elapsed time.Duration) bool {
	if b.Uptime != nil && (*b.Uptime < elapsed.Seconds() || a.Uptime != nil && *b.Uptime < *a.Uptime) {
		return true
	}
	return (a.Host.ID == nil) != (b.Host.ID == nil) || a.Host.ID != nil && *a.Host.ID != *b.Host.ID
}

// perSecond is not known where a counter went back, or where one came, went or is not known:
// what it moved before it came, and until it went, nobody knows.
func perSecond(was, is map[string]*int64, elapsed time.Duration) rate {
	if len(is) == 0 || len(is) != len(was) {
		return nil
	}
	var moved float64
	for name, n := range is {
		before := was[name]
		if n == nil || before == nil || *before < 0 || *n < *before {
			return nil
		}
		moved += float64(*n - *before)
	}
	perSecond := moved / elapsed.Seconds()
	return &perSecond
}
