package threshold

import (
	"testing"

	"pgregory.net/rapid"
)

// A mark says of each period whether it was added, like a set of all sequences,
// as long as no more is missing than it remembers.
func TestMarkIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m mark
		seen := map[uint64]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "periods") {
			first := rapid.Uint64Range(1, 12).Draw(t, "first")
			last := first + rapid.Uint64Range(0, 2).Draw(t, "more")
			known := 0
			for s := first; s <= last; s++ {
				if seen[s] {
					known++
				}
			}
			want := isAmbiguous
			switch known {
			case 0:
				want = isNew
			case int(last-first) + 1: //nolint:gosec // at most 3
				want = isRepeated
			}
			full := m
			if got := m.take(first, last, 1); got != want {
				t.Fatalf("%d to %d: %d, want %d, of %+v", first, last, got, want, full)
			}
			if want != isNew {
				continue
			}
			for s := first; s <= last; s++ {
				seen[s] = true
			}
			// What is given up is what the runs say beyond what was added.
			for _, r := range m.runs[:m.n] {
				for s := r.first; s <= r.last; s++ {
					seen[s] = true
				}
			}
			for s := range seen {
				if i := m; i.take(s, s, 1) != isRepeated {
					t.Fatalf("%d is not known by %+v", s, m)
				}
			}
		}
	})
}

// Parts of a period add up to the whole.
func TestPartsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(1, maxTime).Draw(t, "start")
		u := Usage{Start: start, End: rapid.Int64Range(start, maxTime).Draw(t, "end")}
		amount := rapid.Int64Range(0, 1<<63-1).Draw(t, "amount")
		sum, from := int64(0), u.Start
		for range rapid.IntRange(0, 5).Draw(t, "cuts") {
			to := rapid.Int64Range(from, u.End).Draw(t, "cut")
			if to == from {
				continue
			}
			sum += u.part(amount, from, to)
			from = to
		}
		if sum += u.part(amount, from, u.End+1); from < u.End && sum != amount {
			t.Fatalf("%d, want %d", sum, amount)
		}
	})
}
