package threshold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// limited limits each rule, and nothing else.
func limited(burst int, every time.Duration) threshold.Config {
	cfg := unlimited()
	cfg.Limits.PerRule = threshold.Rate{Burst: burst, Every: every}
	return cfg
}

func observe(e *threshold.Engine, r *threshold.Rule, s *threshold.Subject, value float64, at int64) []threshold.Announcement {
	tx := e.Begin()
	defer tx.Commit()
	tx.Observe(r, s, "", value, 0, at)
	return tx.Announcements()
}

func TestAndSoManyMore(t *testing.T) {
	e, r := threshold.New(limited(1, 10*time.Second)), levels(nil)
	storm := func(at int64, value float64) (all []threshold.Announcement) {
		for i := range 313 {
			all = append(all, observe(e, r, vm(fmt.Sprint(i)), value, at+int64(i))...)
		}
		return all
	}
	got := storm(t0, 85)
	require.Len(t, got, 1)
	assert.Zero(t, got[0].Suppressed)
	assert.EqualValues(t, 312, e.Stats().Suppressed[threshold.KindTransition])
	assert.Equal(t, 312, e.Stats().Suspended)

	assert.Empty(t, storm(t0+9*second, 85))
	assert.EqualValues(t, 312, e.Stats().Suppressed[threshold.KindTransition], "counted once")
	got = storm(t0+10*second, 85)
	require.Len(t, got, 1)
	assert.EqualValues(t, 311, got[0].Suppressed, "itself is none of the others")
	got = storm(t0+20*second, 85)
	require.Len(t, got, 1)
	assert.Zero(t, got[0].Suppressed)

	// Resolved is what was announced, and that without a token.
	got = storm(t0+21*second, 1)
	require.Len(t, got, 3)
	for _, a := range got {
		assert.Equal(t, threshold.Resolved, a.State)
	}
	assert.EqualValues(t, 3, e.Stats().Announced[threshold.KindResolved])
}

func TestLimitsOfRuleOwnerAndAll(t *testing.T) {
	none := threshold.Rate{Burst: -1, Every: -1}
	one := threshold.Rate{Burst: 1, Every: time.Minute}
	user := func(id, user, org string) *threshold.Subject {
		return &threshold.Subject{InstanceID: id, UserID: user, OrgID: org}
	}
	tests := []struct {
		name   string
		limits threshold.Limits
		want   int
	}{
		{"none", threshold.Limits{PerRule: none, PerOwner: none, Global: none}, 6},
		{"rule", threshold.Limits{PerRule: one, PerOwner: none, Global: none}, 2},
		{"owner", threshold.Limits{PerRule: none, PerOwner: one, Global: none}, 4},
		{"all", threshold.Limits{PerRule: none, PerOwner: none, Global: one}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := threshold.New(threshold.Config{Limits: tt.limits})
			a, b := levels(nil), levels(func(r *threshold.Rule) { r.ID = "other" })
			n := 0
			for _, s := range []*threshold.Subject{user("1", "u", "o"), user("2", "u", ""), user("3", "", "o"), user("4", "", ""), user("5", "", "")} {
				n += len(observe(e, a, s, 99, t0))
			}
			n += len(observe(e, b, user("6", "u", ""), 99, t0))
			assert.Equal(t, tt.want, n)
		})
	}
}

func TestTokensComeBack(t *testing.T) {
	e, r := threshold.New(limited(2, 10*time.Second)), levels(nil)
	count := func(at int64, ids ...string) (n int) {
		for _, id := range ids {
			n += len(observe(e, r, vm(id), 99, at))
		}
		return n
	}
	assert.Equal(t, 2, count(t0, "a", "b", "c"))
	assert.Equal(t, 0, count(t0+10*second-1, "c"))
	assert.Equal(t, 1, count(t0+10*second, "c", "d"))
	assert.Equal(t, 2, count(t0+40*second, "d", "e", "f"), "no more than Burst")
	// A clock years ahead takes the tokens of its time, and not all there will be.
	assert.Equal(t, 1, count(t0+1e17, "x"))
	assert.Equal(t, 1, count(t0+50*second, "f", "g"))
	assert.Equal(t, 1, count(t0+60*second, "g", "h"))
}

func TestRepeatsAreKeptBack(t *testing.T) {
	e := threshold.New(limited(1, time.Minute))
	r := levels(func(r *threshold.Rule) { r.RepeatInterval = time.Second })
	assert.Len(t, observe(e, r, vm("a"), 85, t0), 1)
	for i := int64(1); i < 60; i++ {
		assert.Empty(t, observe(e, r, vm("a"), 85, t0+i*second))
	}
	got := observe(e, r, vm("a"), 85, t0+60*second)
	require.Len(t, got, 1)
	assert.Zero(t, got[0].Suppressed)
	assert.EqualValues(t, 1, got[0].Count)
	assert.EqualValues(t, 1, e.Stats().Suppressed[threshold.KindRepeat])
}

func TestWhatWasToldIsNotToldAgain(t *testing.T) {
	e, r := threshold.New(limited(1, 10*time.Second)), levels(nil)
	assert.Len(t, observe(e, r, vm("a"), 99, t0), 1)
	assert.Empty(t, observe(e, r, vm("b"), 99, t0+1))
	got := observe(e, r, vm("c"), 99, t0+10*second)
	require.Len(t, got, 1)
	assert.EqualValues(t, 1, got[0].Suppressed, "b")
	assert.Empty(t, observe(e, r, vm("d"), 99, t0+11*second))
	got = observe(e, r, vm("b"), 99, t0+20*second)
	require.Len(t, got, 1)
	assert.EqualValues(t, 1, got[0].Suppressed, "d; of b it was said before")
}
