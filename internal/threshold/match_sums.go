package threshold

import "iter"

// Sums adds up the points of one resource for the checks that have a slot. The
// zero value is ready for Reset; it is reused from resource to resource and
// belongs to one goroutine.
type Sums struct {
	slots []sum
}

type sum struct {
	rule                *Rule
	amount, other       float64
	hasAmount, hasOther bool
}

// Reset begins anew for a resource with these checks.
func (s *Sums) Reset(m *Matched) {
	if cap(s.slots) < m.sums {
		s.slots = make([]sum, m.sums)
	}
	s.slots = s.slots[:m.sums]
	clear(s.slots)
}

// Add adds a point's value, converted to the unit of the measure. The check has
// a slot and comes from what Reset was given.
func (s *Sums) Add(c *Check, value float64) {
	slot := &s.slots[c.Slot]
	slot.rule = c.Rule
	if c.Other {
		slot.other += value
		slot.hasOther = true
	} else {
		slot.amount += value
		slot.hasAmount = true
	}
}

// All visits the rules of which all that they need was there, with what to give
// to [Rule.Value].
func (s *Sums) All() iter.Seq2[*Rule, Amounts] {
	return func(yield func(*Rule, Amounts) bool) {
		for i := range s.slots {
			slot := &s.slots[i]
			if !slot.hasAmount || slot.rule.Measure.Combine != Alone && !slot.hasOther {
				continue
			}
			if !yield(slot.rule, Amounts{slot.amount, slot.other}) {
				return
			}
		}
	}
}

// Amounts are what was added up, in the unit of the rule's measure.
type Amounts struct{ Amount, Other float64 }
