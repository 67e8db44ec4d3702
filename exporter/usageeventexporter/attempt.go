package usageeventexporter

import (
	"context"
	"fmt"
	"slices"
)

// attempt sends records in a session and retires it where it is of no more use.
// It makes one produce call, and more only to find those records that Kafka
// refuses for what is in them.
func (p *producer) attempt(ctx context.Context, s *session, records []record) error {
	result := &publishError{total: len(records)}
	if records = p.fitting(records, result); len(records) > 0 {
		suspects := p.produce(s, records, false, result)
		p.bisect(ctx, s, suspects, result)
	}
	if result.spent {
		p.retire(s)
	}
	if result.none() {
		return nil
	}
	return result
}

// fitting returns the records that are not too large to be tried.
func (p *producer) fitting(records []record, result *publishError) []record {
	fits := func(r *record) bool { return r.produceSize() <= p.most }
	i := 0
	for i < len(records) && fits(&records[i]) {
		i++
	}
	if i == len(records) {
		return records
	}
	fitting := slices.Clone(records[:i])
	for ; i < len(records); i++ {
		if r := &records[i]; fits(r) {
			fitting = append(fitting, *r)
		} else {
			result.refuse(r, reasonTooLarge, fmt.Errorf("%w: %d bytes, the limit is %d", errTooLarge, r.produceSize(), p.most))
		}
	}
	return fitting
}

// bisect sends suspects, which were refused together, in halves, and those in
// halves again, until each record is acknowledged or refused alone. A failure of
// any other kind ends that: what is left is to be sent again.
func (p *producer) bisect(ctx context.Context, s *session, suspects []record, result *publishError) {
	parts := [][]record{suspects}
	for len(parts) > 0 {
		part := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		if len(part) > 1 {
			half := len(part) / 2
			part, parts = part[:half:half], append(parts, part[half:])
		}
		if len(part) == 0 {
			continue
		}
		failed := len(result.failed)
		again := p.produce(s, part, len(part) == 1, result)
		if len(again) > 0 {
			parts = append(parts, again)
		}
		err := ctx.Err()
		if err == nil && len(result.failed) > failed {
			err = result.cause
		}
		if err != nil {
			for _, left := range parts {
				result.fail(err, left...)
			}
			return
		}
	}
}

// produce makes one call and returns the records that it may have refused for
// what is in them. alone keeps others away; what a single record is then refused
// for is certain, and result says so.
func (p *producer) produce(s *session, records []record, alone bool, result *publishError) (suspects []record) {
	end, err := s.turns.take(s.line.ctx, alone)
	if err != nil {
		result.fail(err, records...)
		return nil
	}
	defer end()
	defer p.watch(s).stop()
	<-s.ready
	if s.err != nil {
		p.retire(s)
		result.fail(s.causeOf(withConnectRemedy(s.err, records[0].topic)), records...)
		return nil
	}
	if err := s.sync.SendMessages(messages(records)); err != nil {
		suspects = result.sort(records, alone, err)
		if result.cause != nil {
			result.cause = s.causeOf(result.cause)
		}
	}
	return suspects
}
