package main

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// A printer shows records. It belongs to one goroutine.
type printer struct {
	terminal
	json  bool
	color bool
	most  int // stop after so many; 0: never

	shown int
}

// record shows one record, and returns [follow.ErrStop] after the last one wanted.
func (p *printer) record(r *kgo.Record) error {
	text, err := p.text(r.Value)
	if err != nil {
		p.say("%s, partition %d, offset %d: no event: %v", r.Topic, r.Partition, r.Offset, err)
		return nil
	}
	if _, err := p.out.Write(text); err != nil {
		return fmt.Errorf("show an event: %w", err)
	}
	p.shown++
	if p.shown == p.most {
		return follow.ErrStop
	}
	return nil
}

// text returns how a record's value is shown.
func (p *printer) text(value []byte) ([]byte, error) {
	show := func() string { return render.Other(value) }
	e, err := event.Decode(value)
	if err == nil {
		show = func() string { return render.Event(e, p.color) }
	} else if errors.Is(err, event.ErrType) {
		var v *event.Violation
		if v, err = event.DecodeViolation(value); err == nil {
			show = func() string { return render.Violation(v, p.color) }
		}
	}
	switch other := errors.Is(err, event.ErrType) || errors.Is(err, event.ErrVersion); {
	case err != nil && !other:
		return nil, err
	case p.json:
		return append(value, '\n'), nil // the record is not used again
	default:
		return []byte(show()), nil
	}
}
