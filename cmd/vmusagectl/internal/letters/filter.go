package letters

import (
	"cmp"
	"slices"
)

// A Filter selects letters. Empty fields select all.
type Filter struct {
	Reason, Instance, EventID string
}

// Match reports whether a letter is selected.
func (f Filter) Match(l *Letter) bool {
	return (f.Reason == "" || f.Reason == l.Reason) &&
		(f.Instance == "" || f.Instance == l.Instance) &&
		(f.EventID == "" || f.EventID == l.EventID)
}

// A Count is how many letters have a reason.
type Count struct {
	Reason string
	Count  int
}

// ByReason counts letters, the most frequent reason first.
func ByReason(all []*Letter) []Count {
	numbers := make(map[string]int)
	for _, l := range all {
		numbers[l.Reason]++
	}
	counts := make([]Count, 0, len(numbers))
	for reason, n := range numbers {
		counts = append(counts, Count{reason, n})
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return counts
}

// Newer reports whether l was dead-lettered after o.
func (l *Letter) Newer(o *Letter) bool {
	return cmp.Or(l.Time.Compare(o.Time), l.Compare(o.Position)) > 0
}
