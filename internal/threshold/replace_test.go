package threshold_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// only has one rule in force.
func only(r *threshold.Rule) func(string, *threshold.Subject) *threshold.Rule {
	return func(id string, _ *threshold.Subject) *threshold.Rule {
		if r != nil && id == r.ID {
			return r
		}
		return nil
	}
}

func TestRulesThatChange(t *testing.T) {
	const w, c = threshold.Warning, threshold.Critical
	tests := []struct {
		name  string
		rule  *threshold.Rule // afterwards
		value float64         // measured after that
		want  []said
	}{
		{"the same", levels(nil), 85, nil},
		{"other texts", levels(func(r *threshold.Rule) { r.Description, r.Action = "x", "log" }), 85, nil},
		{"still violated", levels(func(r *threshold.Rule) { r.Warning = 50 }), 85, nil},
		{"worse by the new values", levels(func(r *threshold.Rule) { r.Critical = 84 }), 85, []said{{threshold.Firing, c, 3, ""}}},
		{"not violated any more", levels(func(r *threshold.Rule) { r.Warning = 90 }), 85, []said{{threshold.Resolved, w, 3, ""}}},
		{"removed", nil, 0, []said{{threshold.Resolved, w, 2, threshold.RuleRemoved}}},
		{
			"of something else", levels(func(r *threshold.Rule) { r.Resource = threshold.GPU }), 85,
			[]said{{threshold.Resolved, w, 2, threshold.RuleChanged}, {threshold.Firing, w, 3, ""}},
		},
	}
	for _, restarts := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				e := threshold.New(unlimited())
				require.Len(t, play(e, levels(nil), at{1, 85}), 1)
				if restarts {
					e = restart(t, e, unlimited())
				}
				e.Replace(only(tt.rule))
				got := play(e, tt.rule, tick(2))
				if tt.rule != nil {
					got = append(got, play(e, tt.rule, at{3, tt.value})...)
				}
				assert.Equal(t, tt.want, got)
			})
		}
	}
}

// A batch judged by old rules may be committed after the new ones are in force.
func TestRulesThatChangeInATransaction(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(nil)
	tx := e.Begin()
	tx.Observe(r, vm("a"), "", 85, 0, t0)
	e.Replace(only(nil))
	tx.Commit()
	got := passes(e, t0+1)
	require.Len(t, got, 1)
	assert.Equal(t, threshold.RuleRemoved, got[0].Reason)
}

func TestQuotasOfRulesThatChange(t *testing.T) {
	begin := func() *threshold.Engine {
		e := threshold.New(unlimited())
		require.Len(t, add(e, egress(threshold.WindowDay, nil), vm("a"), period(t0, 1, 850)), 1)
		return e
	}
	for _, restarts := range []bool{false, true} {
		begin := func() *threshold.Engine {
			if restarts {
				return restart(t, begin(), unlimited())
			}
			return begin()
		}
		t.Run("more is allowed", func(t *testing.T) {
			e, r := begin(), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Limit = 2000 })
			e.Replace(only(r))
			got := add(e, r, vm("a"), period(t0, 2, 1))
			require.Len(t, got, 1)
			assert.Equal(t, threshold.Resolved, got[0].State)
			assert.Equal(t, threshold.RuleChanged, got[0].Reason)
			got = add(e, r, vm("a"), period(t0, 3, 749))
			require.Len(t, got, 1, "amounts went on")
			assert.Equal(t, threshold.Firing, got[0].State)
			assert.EqualValues(t, 1, got[0].Count, "another time in this window, under another id")
		})
		t.Run("less is allowed", func(t *testing.T) {
			e, r := begin(), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Limit = 851 })
			e.Replace(only(r))
			got := add(e, r, vm("a"), period(t0, 2, 1))
			require.Len(t, got, 1)
			assert.Equal(t, threshold.Critical, got[0].Level)
		})
		t.Run("nothing changed", func(t *testing.T) {
			e, r := begin(), egress(threshold.WindowDay, nil)
			e.Replace(only(r))
			assert.Empty(t, add(e, r, vm("a"), period(t0, 2, 1)))
		})
		t.Run("another zone", func(t *testing.T) {
			e, r := begin(), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Timezone = time.FixedZone("x", 3600) })
			e.Replace(only(r))
			got := passes(e, t0+5*minute)
			require.Len(t, got, 1)
			assert.Equal(t, threshold.RuleChanged, got[0].Reason)
			assert.Empty(t, add(e, r, vm("a"), period(t0, 2, 799)))
		})
		t.Run("removed", func(t *testing.T) {
			e := begin()
			e.Replace(only(nil))
			got := passes(e, t0+5*minute)
			require.Len(t, got, 1)
			assert.Equal(t, threshold.RuleRemoved, got[0].Reason)
			assert.Zero(t, e.Stats().Quotas)
			assert.Zero(t, e.Stats().Streams)
		})
	}
}
