package threshold_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// prepared observes in a transaction that is prepared and not ended.
func prepared(t require.TestingT, e *threshold.Engine, r *threshold.Rule, value float64, at int64) *threshold.Tx {
	tx := e.Begin()
	tx.Observe(r, vm("a"), "", value, 0, at)
	if tx.Prepare() {
		require.NotEmpty(t, tx.Announcements())
	}
	return tx
}

// What is refused is said later, of the same episode; what is over by then never was said.
func TestPrepareAndRefuse(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(nil)
	refused := prepared(t, e, r, 85, t0)
	first := refused.Announcements()
	refused.Rollback()
	assert.Equal(t, first, observe(e, r, vm("a"), 85, t0), "the same measurement says the same")
	assert.Empty(t, observe(e, r, vm("a"), 85, t0))
	require.Len(t, observe(e, r, vm("a"), 10, t0+1), 1)

	refused = prepared(t, e, r, 85, t0+2)
	first = refused.Announcements()
	refused.Rollback()
	later := observe(e, r, vm("a"), 85, t0+minute)
	require.Len(t, later, 1)
	assert.Equal(t, first[0].ID, later[0].ID)
	assert.Equal(t, t0+2, later[0].Since, "since when, and not since when it was taken")
	require.Len(t, observe(e, r, vm("a"), 10, t0+minute+1), 1)

	prepared(t, e, r, 85, t0+2*minute).Rollback()
	assert.Empty(t, observe(e, r, vm("a"), 10, t0+2*minute+1))

	assert.False(t, e.Begin().Prepare())
	ended := prepared(t, e, r, 85, t0+3*minute)
	ended.Commit()
	assert.False(t, ended.Prepare())
}

// Rules that change between Prepare and the end are noticed.
func TestPrepareAndReplace(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(nil)
	tx := prepared(t, e, r, 85, t0)
	e.Replace(func(string, *threshold.Subject) *threshold.Rule { return nil })
	tx.Rollback()
	assert.Empty(t, passes(e, t0+second), "it was never said")
	assert.Zero(t, e.Stats().Firing[threshold.Warning])
}

// An episode that begins again, in an engine that is full of those that are over, has its room.
func TestPrepareKeepsCount(t *testing.T) {
	cfg := unlimited()
	cfg.MaxEpisodes = 1
	e, r := threshold.New(cfg), levels(nil)
	for i := range int64(5) {
		tx := prepared(t, e, r, 85, t0+i*minute)
		if i%2 == 0 {
			tx.Commit()
		} else {
			tx.Rollback()
		}
		assert.Empty(t, observe(e, r, vm("b"), 85, t0+i*minute), "no room")
		observe(e, r, vm("a"), 10, t0+i*minute+second)
	}
	assert.Len(t, observe(e, r, vm("b"), 85, t0+9*minute), 1)
}

func TestPrepareAndCrash(t *testing.T) {
	for _, c := range []struct {
		name          string
		taken, before float64 // what was offered in the end, and what was before it
		next          float64
		same          bool // what is said next has the id of what was offered
		want          []said
	}{
		{"it began, and goes on", 85, 10, 85, true, []said{{threshold.Firing, threshold.Warning, 2, ""}}},
		{"it began, and is over", 85, 10, 10, false, []said{{threshold.Resolved, threshold.Warning, 2, ""}}},
		{"it began, and is worse", 85, 10, 99, false, []said{{threshold.Firing, threshold.Critical, 2, ""}}},
		{"it got worse, and stays so", 99, 85, 99, true, []said{{threshold.Firing, threshold.Critical, 2, ""}}},
		{"it got worse, and better", 99, 85, 85, false, []said{{threshold.Firing, threshold.Warning, 2, ""}}},
		{"it was over, and is", 10, 85, 10, true, []said{{threshold.Resolved, threshold.Warning, 2, ""}}},
		{"it was over, and is not", 10, 85, 85, false, []said{{threshold.Firing, threshold.Warning, 2, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, r, s := threshold.New(unlimited()), levels(nil), store{}
			before := observe(e, r, vm("a"), c.before, t0)
			offered := prepared(t, e, r, c.taken, t0+1).Announcements()
			require.NoError(t, e.Flush(s.write))
			e = threshold.New(unlimited())
			require.NoError(t, e.Restore(s))
			got := observe(e, r, vm("a"), c.next, t0+2)
			var what []said
			for _, a := range got {
				what = append(what, said{a.State, a.Level, a.At - t0, a.Reason})
			}
			require.Equal(t, c.want, what)
			assert.Equal(t, c.same, got[0].ID == offered[0].ID)
			assert.Equal(t, offered[0].Episode, got[0].Episode)
			for _, b := range before {
				assert.NotEqual(t, b.ID, got[0].ID)
			}
			assert.Empty(t, observe(e, r, vm("a"), c.next, t0+3), "it is said once")
		})
	}
}

// TestConsumersKnowTheTruth: whoever drops repeated ids knows after each batch
// that was taken and remembered at what level an episode is, whatever was refused,
// and whenever the process died in between.
func TestConsumersKnowTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := levels(func(r *threshold.Rule) {
			r.For = time.Duration(rapid.IntRange(0, 2).Draw(t, "for"))
			r.KeepFiringFor = time.Duration(rapid.IntRange(0, 2).Draw(t, "keep"))
		})
		e, s := threshold.New(unlimited()), store{}
		known, seen := threshold.OK, map[uuid.UUID]bool{}
		for i := range rapid.Int64Range(1, 40).Draw(t, "batches") {
			value := rapid.SampledFrom([]float64{10, 85, 99}).Draw(t, "value")
			tx := prepared(t, e, r, value, t0+i)
			if err := e.Flush(s.write); err != nil {
				t.Fatal(err)
			}
			taken := rapid.Bool().Draw(t, "taken")
			for _, a := range tx.Announcements() {
				switch {
				case !taken || seen[a.ID]:
				case a.State == threshold.Resolved:
					known = threshold.OK
				default:
					known = a.Level
				}
				seen[a.ID] = seen[a.ID] || taken
			}
			switch {
			case len(tx.Announcements()) < 2 && rapid.IntRange(0, 3).Draw(t, "crash") == 0:
				e = threshold.New(unlimited())
				if err := e.Restore(s); err != nil {
					t.Fatal(err)
				}
				continue
			case taken:
				tx.Commit()
			default:
				tx.Rollback()
				continue
			}
			level := threshold.OK
			for l, n := range e.Stats().Firing {
				if n > 0 {
					level = threshold.Level(l)
				}
			}
			if known != level {
				t.Fatalf("a consumer knows %v and it is %v", known, level)
			}
			if err := e.Flush(s.write); err != nil {
				t.Fatal(err)
			}
		}
	})
}
