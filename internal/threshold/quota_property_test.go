package threshold_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// bill is what a window was used for, added up anew from all periods, in a way
// that has nothing in common with the engine's.
func bill(periods []threshold.Usage, start, end int64) int64 {
	before := func(u *threshold.Usage, at int64) int64 {
		at = min(max(at, u.Start), u.End)
		n := new(big.Int).Mul(big.NewInt(u.Amount), big.NewInt(at-u.Start))
		return n.Quo(n, big.NewInt(u.End-u.Start)).Int64()
	}
	sum := int64(0)
	for i := range periods {
		sum += before(&periods[i], end) - before(&periods[i], start)
	}
	return sum
}

// Whatever is refused, offered again or restarted: of each window each level is
// said once, when the sum of all periods passes it, and then that it is over.
func TestQuotasEqualTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, s := threshold.New(unlimited()), store{}
		r := egress(threshold.WindowHour, func(r *threshold.Rule) {
			r.Per = threshold.PerUser
			r.Timezone = time.FixedZone("x", rapid.SampledFrom([]int{0, 1800, 20700}).Draw(t, "zone"))
		})
		_, offset := time.Unix(0, t0).In(r.Timezone).Zone()
		window := func(at int64) int64 { return at - (at+int64(offset)*second)%(60*minute) }

		streams := byte(rapid.IntRange(1, 3).Draw(t, "streams"))
		var periods []threshold.Usage
		levels := map[int64]threshold.Level{}
		var want, got []string
		say := func(st threshold.State, l threshold.Level, w int64) string {
			return fmt.Sprint(st, " ", l, " ", (w-t0)/minute)
		}
		current := int64(0)
		now, sequence := t0, uint64(0)
		for range rapid.IntRange(1, 15).Draw(t, "periods") {
			length := rapid.Int64Range(1, 60*minute).Draw(t, "length")
			joined := uint64(rapid.IntRange(1, 3).Draw(t, "joined"))
			for n := range streams {
				u := threshold.Usage{
					Stream: stream(n), First: sequence + 1, Sequence: sequence + joined,
					Start: now, End: now + length, Amount: rapid.Int64Range(0, 700).Draw(t, "amount"),
				}
				for _, commit := range rapid.SampledFrom([][]bool{{true}, {false, true}, {true, true}, {false, false, true, false, true}}).Draw(t, "offers") {
					tx := e.Begin()
					tx.AddUsage(r, vm(fmt.Sprint(n)), "", u)
					if !commit {
						tx.Rollback()
						continue
					}
					for _, a := range tx.Announcements() {
						got = append(got, say(a.State, a.Level, a.WindowStart))
					}
					tx.Commit()
				}
				if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
					if err := e.Flush(s.write); err != nil {
						t.Fatal(err)
					}
					e = threshold.New(unlimited())
					if err := e.Restore(s); err != nil {
						t.Fatal(err)
					}
				}

				periods = append(periods, u)
				for w := window(u.Start); w < u.End; w += 60 * minute {
					over := w < current
					if w > current {
						if levels[current] != threshold.OK {
							want = append(want, say(threshold.Resolved, levels[current], current))
						}
						current = w
					}
					level := r.LevelOf(float64(bill(periods, w, w+60*minute)) / 10)
					if level > levels[w] {
						levels[w] = level
						want = append(want, say(threshold.Firing, level, w))
						if over {
							want = append(want, say(threshold.Resolved, level, w))
						}
					}
				}
			}
			now += length
			sequence += joined
		}
		if !slices.Equal(got, want) {
			t.Fatalf("said %q\nwant %q\nof %+v", got, want, periods)
		}
	})
}
