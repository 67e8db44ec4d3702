package vmusagereceiver

import (
	"fmt"
	"math"
	"time"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// A backlog says whether the outbox grows: from a limit on, until it is at half of it or
// below. In between it stays what it was, so that it is not said again and again.
type backlog struct {
	age   time.Duration // of the oldest period that is not confirmed
	bytes int64
	most  int64 // bytes that the outbox may have

	is bool
}

func newBacklog(c *Config) backlog {
	b := backlog{age: math.MaxInt64, bytes: math.MaxInt64, most: c.Outbox.MaxBytes}
	if n := c.Outbox.Growing.Periods; n > 0 {
		b.age = time.Duration(n) * c.Period
	}
	if p := c.Outbox.Growing.Percent; p > 0 {
		b.bytes = c.Outbox.MaxBytes / 100 * int64(p)
	}
	return b
}

// look takes notice of the outbox at a time, in unix ns. It returns nil, or what to say of
// an outbox that grows.
func (b *backlog) look(s outbox.State, now int64) error {
	var age time.Duration
	if s.Oldest > 0 {
		age = max(time.Duration(now-s.Oldest), 0)
	}
	switch {
	case age > b.age || s.Bytes > b.bytes:
		b.is = true
	case age <= b.age/2 && s.Bytes <= b.bytes/2:
		b.is = false
	}
	if !b.is {
		return nil
	}
	return fmt.Errorf("%d periods wait, the oldest for %v; they take %d of %d bytes", s.Periods, age.Round(time.Second), s.Bytes, b.most)
}
