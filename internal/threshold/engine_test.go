package threshold_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	// t0 is 2026-09-01 00:00:00 UTC.
	t0 = int64(1788220800) * second
)

// levels is a rule on levels, changed by change.
func levels(change func(*threshold.Rule)) *threshold.Rule {
	r := &threshold.Rule{
		ID: "cpu-high", Enabled: true, Resource: threshold.CPU, Type: threshold.Percentage, Unit: "%", Scale: 0.01,
		Warning: 80, Critical: 95, HasWarning: true, HasCritical: true, Direction: threshold.Above,
		NoData: threshold.NoDataKeep, Timezone: time.UTC, Per: threshold.PerInstance,
	}
	if change != nil {
		change(r)
	}
	return r
}

func vm(id string) *threshold.Subject { return &threshold.Subject{InstanceID: id, UserID: "u1"} }

// unlimited has no rate limits.
func unlimited() threshold.Config {
	none := threshold.Rate{Burst: -1, Every: -1}
	return threshold.Config{Limits: threshold.Limits{PerRule: none, PerOwner: none, Global: none}}
}

// at is a measurement, or a tick where value is NaN.
type at struct {
	ns    int64 // after t0
	value float64
}

// said is what the test compares of an announcement.
type said struct {
	State  threshold.State
	Level  threshold.Level
	After  int64 // ns after t0
	Reason threshold.Reason
}

func tick(ns int64) at { return at{ns, math.NaN()} }

// play commits each step in a transaction of its own.
func play(e *threshold.Engine, r *threshold.Rule, steps ...at) []said {
	var all []said
	for _, s := range steps {
		tx := e.Begin()
		if math.IsNaN(s.value) {
			tx.Tick(t0 + s.ns)
		} else {
			tx.Observe(r, vm("vm-1"), "", s.value, 0, t0+s.ns)
		}
		for _, a := range tx.Announcements() {
			all = append(all, said{a.State, a.Level, a.At - t0, a.Reason})
		}
		tx.Commit()
	}
	return all
}

func TestEpisodes(t *testing.T) {
	const w, c = threshold.Warning, threshold.Critical
	fires := func(l threshold.Level, after int64) said { return said{threshold.Firing, l, after, ""} }
	resolved := func(l threshold.Level, after int64, why threshold.Reason) said {
		return said{threshold.Resolved, l, after, why}
	}
	tests := []struct {
		name  string
		rule  func(*threshold.Rule)
		steps []at
		want  []said
	}{
		{name: "at once and over", steps: []at{{1, 79.9}, {2, 80}, {3, 90}, {4, 79.9}}, want: []said{fires(w, 2), resolved(w, 4, "")}},
		{
			name: "critical silences warning", steps: []at{{1, 80}, {2, 95}, {3, 96}, {4, 94}, {5, 99}, {6, 1}},
			want: []said{fires(w, 1), fires(c, 2), fires(w, 4), fires(c, 5), resolved(c, 6, "")},
		},
		{name: "straight to critical", steps: []at{{1, 99}, {2, 1}}, want: []said{fires(c, 1), resolved(c, 2, "")}},
		{
			name: "for, one ns before", rule: func(r *threshold.Rule) { r.For = time.Minute },
			steps: []at{{1, 80}, {minute, 80}, {minute + 1, 1}},
		},
		{
			name: "for, at", rule: func(r *threshold.Rule) { r.For = time.Minute },
			steps: []at{{1, 80}, {minute + 1, 80}}, want: []said{fires(w, minute+1)},
		},
		{
			name: "for is for critical, too", rule: func(r *threshold.Rule) { r.For = time.Minute },
			steps: []at{{1, 80}, {minute + 1, 80}, {minute + 2, 99}, {2*minute + 1, 99}, {2*minute + 2, 99}},
			want:  []said{fires(w, minute+1), fires(c, 2*minute+2)},
		},
		{
			name: "for begins anew after a good value", rule: func(r *threshold.Rule) { r.For = time.Minute },
			steps: []at{{1, 80}, {minute, 1}, {minute + 1, 80}, {2 * minute, 80}},
		},
		{
			name: "for begins anew after silence", rule: func(r *threshold.Rule) { r.For, r.NoDataAfter = time.Minute, 2*time.Minute },
			steps: []at{{1, 80}, {2*minute + 1, 80}, {3 * minute, 80}, {3*minute + 1, 80}}, want: []said{fires(w, 3*minute+1)},
		},
		{
			name: "keep firing for, one ns before", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 80}, {2, 1}, {minute + 1, 1}, tick(minute + 1)}, want: []said{fires(w, 1)},
		},
		{
			name: "keep firing for, at, by a measurement", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 80}, {2, 1}, {minute + 2, 1}}, want: []said{fires(w, 1), resolved(w, minute+2, "")},
		},
		{
			name: "keep firing for, by a later tick", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 80}, {2, 1}, tick(5 * minute)}, want: []said{fires(w, 1), resolved(w, minute+2, "")},
		},
		{
			name: "keep firing for, which a violation undoes", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 80}, {2, 1}, {minute + 1, 85}, {minute + 2, 1}, {2*minute + 1, 1}}, want: []said{fires(w, 1)},
		},
		{
			name: "over without a tick, and again", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 80}, {2, 1}, {minute + 3, 85}}, want: []said{fires(w, 1), resolved(w, minute+2, ""), fires(w, minute+3)},
		},
		{
			name: "critical and warning over at once", rule: func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{1, 99}, {2, 1}, tick(5 * minute)}, want: []said{fires(c, 1), resolved(c, minute+2, "")},
		},
		{
			name: "hysteresis", rule: func(r *threshold.Rule) { r.HasClear, r.Clear = true, 70 },
			steps: []at{{1, 75}, {2, 80}, {3, 70.1}, {4, 97}, {5, 71}, {6, 70}, {7, 79}},
			want:  []said{fires(w, 2), fires(c, 4), fires(w, 5), resolved(w, 6, "")},
		},
		{
			name: "hysteresis of critical alone", rule: func(r *threshold.Rule) { r.HasWarning, r.HasClear, r.Clear = false, true, 70 },
			steps: []at{{1, 90}, {2, 95}, {3, 71}, {4, 69}}, want: []said{fires(c, 2), resolved(c, 4, "")},
		},
		{
			name: "hysteresis below", rule: func(r *threshold.Rule) {
				r.Direction, r.Warning, r.Critical, r.HasClear, r.Clear = threshold.Below, 20, 5, true, 30
			},
			steps: []at{{1, 25}, {2, 20}, {3, 29.9}, {4, 5}, {5, 30}}, want: []said{fires(w, 2), fires(c, 4), resolved(c, 5, "")},
		},
		{
			name: "repeat, one ns before, and at", rule: func(r *threshold.Rule) { r.RepeatInterval = time.Minute },
			steps: []at{{1, 80}, {minute, 80}, {minute + 1, 80}, {2 * minute, 80}, {2*minute + 2, 80}},
			want:  []said{fires(w, 1), fires(w, minute+1), fires(w, 2*minute+2)},
		},
		{
			name: "no repeat of what is good", rule: func(r *threshold.Rule) { r.RepeatInterval, r.KeepFiringFor = time.Minute, time.Hour },
			steps: []at{{1, 80}, {2, 1}, {2 * minute, 1}}, want: []said{fires(w, 1)},
		},
		{
			name: "no data, kept", rule: func(r *threshold.Rule) { r.NoDataAfter = time.Minute },
			steps: []at{{1, 80}, tick(10 * minute), {11 * minute, 1}}, want: []said{fires(w, 1), resolved(w, 11*minute, "")},
		},
		{
			name: "no data, resolved", rule: func(r *threshold.Rule) { r.NoDataAfter, r.NoData = time.Minute, threshold.NoDataResolve },
			steps: []at{{1, 80}, tick(minute), tick(minute + 1), tick(10 * minute)}, want: []said{fires(w, 1), resolved(w, minute+1, threshold.NotMeasured)},
		},
		{
			name: "no data, said once", rule: func(r *threshold.Rule) { r.NoDataAfter, r.NoData = time.Minute, threshold.NoDataNotify },
			steps: []at{{1, 80}, tick(minute), tick(2 * minute), tick(9 * minute), {10 * minute, 80}, tick(20 * minute)},
			want:  []said{fires(w, 1), {threshold.NoneSeen, w, minute + 1, ""}, {threshold.NoneSeen, w, 11 * minute, ""}},
		},
		{
			name:  "forgotten", // after a week
			steps: []at{{1, 80}, tick(7 * 24 * 60 * minute), tick(7*24*60*minute + 1)},
			want:  []said{fires(w, 1), resolved(w, 7*24*60*minute+1, threshold.Forgotten)},
		},
		{name: "older ones change nothing", steps: []at{{5, 80}, {5, 1}, {4, 1}, {6, 1}, {5, 80}, {6, 80}}, want: []said{fires(w, 5), resolved(w, 6, "")}},
		{
			name:  "a clock that was set back by more than an hour",
			rule:  func(r *threshold.Rule) { r.KeepFiringFor = time.Minute },
			steps: []at{{2 * 60 * minute, 80}, {2*60*minute + 1, 1}, {60 * minute, 1}, {60*minute - 1, 1}, {61*minute - 1, 1}, {61 * minute, 1}},
			want:  []said{fires(w, 2*60*minute), resolved(w, 61*minute, "")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, play(threshold.New(unlimited()), levels(tt.rule), tt.steps...))
		})
	}
}

func TestHostileMeasurements(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(nil)
	tx := e.Begin()
	assert.Equal(t, threshold.OK, tx.Observe(r, vm("a"), "", math.NaN(), 0, t0))
	assert.Equal(t, threshold.OK, tx.Observe(r, vm("a"), "", math.Inf(1), 0, t0))
	assert.Equal(t, threshold.OK, tx.Observe(r, vm("a"), "", math.Inf(-1), 0, t0))
	for _, ns := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		assert.Equal(t, threshold.Critical, tx.Observe(r, vm("a"), "", 99, 0, ns), "tagged, not remembered")
		tx.Tick(ns)
	}
	assert.Equal(t, threshold.Critical, tx.Observe(r, vm("a"), "", math.MaxFloat64, 0, t0))
	assert.Equal(t, threshold.OK, tx.Observe(r, vm("b"), "", -math.MaxFloat64, 0, t0))
	require.Len(t, tx.Announcements(), 1)
	tx.Commit()
	assert.EqualValues(t, 7, e.Stats().Invalid)
	assert.Equal(t, 1, e.Stats().Firing[threshold.Critical])
}

func TestRollbackLeavesNoTrace(t *testing.T) {
	e, r := threshold.New(threshold.Config{}), levels(nil)
	batch := func() []threshold.Announcement {
		tx := e.Begin()
		defer tx.Rollback()
		for _, id := range []string{"a", "b", "c"} {
			tx.Observe(r, vm(id), "", 99, 4, t0)
			tx.Observe(r, vm(id), "", 1, 4, t0+1)
			tx.Observe(r, vm(id), "", 85, 4, t0+2)
		}
		tx.Tick(t0 + 3)
		return tx.Announcements()
	}
	first := batch()
	require.Len(t, first, 9)
	assert.Equal(t, first, batch())
	assert.Equal(t, threshold.Stats{}, e.Stats())
	require.NoError(t, e.Flush(func([]threshold.Change) error { t.Error("nothing to write"); return nil }))
	tx := e.Begin()
	tx.Observe(r, vm("a"), "", 1, 0, t0+9)
	assert.Empty(t, tx.Announcements())
}
