package threshold

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKeepKeepsWhatIsTheSame, down to how it is told.
func TestKeepKeepsWhatIsTheSame(t *testing.T) {
	const a = `[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c], labels: {k: v}, selector: {user_id: u}}]`
	old := compile(t, parse(t, a)...)
	again := parse(t, `[{labels: {k: v}, channels: [c], id: a, resource: cpu, type: percentage, warning: 80.0, for: 60s, repeat_interval: 60m, action: page, description: d, selector: {user_id: [u]}}]`)
	kept := old.Keep(again)
	assert.Same(t, old.rules[0], kept[0])
	assert.NotSame(t, old.rules[0], again[0], "what was given stays as it was")

	for _, other := range []string{
		`[{id: b, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 81, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 2h, action: page, description: d, channels: [c], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: log, description: d, channels: [c], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: e, channels: [c], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c, d], labels: {k: v}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c], labels: {k: w}, selector: {user_id: u}}]`,
		`[{id: a, resource: cpu, type: percentage, warning: 80, for: 1m, repeat_interval: 1h, action: page, description: d, channels: [c], labels: {k: v}, selector: {user_id: x}}]`,
	} {
		changed := parse(t, other)
		assert.Same(t, changed[0], old.Keep(changed)[0], other)
	}
	elsewhere, err := Parse([]byte(a), Options{Source: Inline})
	require.NoError(t, err)
	assert.Same(t, elsewhere[0], old.Keep(elsewhere)[0])

	var none *Set
	assert.Equal(t, again, none.Keep(again))
}

// TestWarmKnowsWhomTheOldSetKnew, by its own rules and labels.
func TestWarmKnowsWhomTheOldSetKnew(t *testing.T) {
	old := compile(t, parse(t, `[
		{id: a, resource: cpu, type: percentage, warning: 80, selector: {labels: {env: prod}}},
		{id: b, resource: cpu, type: percentage, warning: 80, selector: {labels: {zone: "*"}}}]`)...)
	old.cache.size = 2 // so that some are in the old half
	subjects := []Subject{
		{InstanceID: "1", Labels: []Label{{"env", "prod"}, {"zone", "x"}}},
		{InstanceID: "2", UserID: "u", Labels: []Label{{"zone", "y"}}},
		{InstanceID: "3", OrgID: "o", Labels: []Label{{"env", "test"}}},
	}
	for i := range subjects {
		old.Match(&subjects[i])
	}
	next := compile(t, parse(t, `[{id: c, resource: cpu, type: percentage, warning: 80, selector: {labels: {zone: y}}},
		{id: d, resource: cpu, type: percentage, warning: 80, selector: {org_id: o}}]`)...)
	next.Warm(old)
	assert.Len(t, next.cache.young, 3)
	for i, want := range [][]string{{}, {"c"}, {"d"}} {
		m := next.cache.get(next.cache.hash(&subjects[i]), &subjects[i])
		assert.NotNil(t, m)
		assert.Equal(t, want, ids(m.Rules()))
	}

	others := compile(t, parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80, selector: {labels: {team: web}}}]`)...)
	others.Warm(old)
	assert.Empty(t, others.cache.young, "nobody knows their team")
	others.Warm(nil)
}

// TestNamesOfMetrics: which bit a name has makes no difference to what is found.
func TestNamesOfMetrics(t *testing.T) {
	set := compile(t, parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80}, {id: b, metric: x, type: absolute, warning: 80}]`)...)
	m := set.Match(&Subject{InstanceID: "i"})
	assert.False(t, m.Windows())
	assert.Len(t, m.Checks("vm.cpu.utilization"), 1)
	assert.Len(t, m.Checks("x"), 1)
	for _, name := range []string{"", "y", "vm.cpu.utilizatiom", "vm.cpu.time"} {
		assert.Empty(t, m.Checks(name))
	}
}
