package threshold

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMerge(t *testing.T) {
	from := func(source Source, ids ...string) []*Rule {
		var rules []*Rule
		for _, id := range ids {
			r := newRule(source)
			r.ID = id
			rules = append(rules, r)
		}
		return rules
	}
	layers := Layers{}.With(API, from(API, "a", "b", "c", "d")).With(HTTP, from(HTTP, "b", "e")).
		With(File, from(File, "b", "c")).With(Inline, from(Inline, "c", "f"))
	sources := func(l Layers) map[string]Source {
		rules, _ := l.Merge()
		m := map[string]Source{}
		for _, r := range rules {
			m[r.ID] = r.Source
		}
		require.Len(t, m, len(rules))
		return m
	}
	before := map[string]Source{"a": API, "b": File, "c": Inline, "d": API, "e": HTTP, "f": Inline}
	assert.Equal(t, before, sources(layers))

	_, shadowed := layers.Merge()
	var told []string
	for _, s := range shadowed {
		told = append(told, string(s.Rule.Source)+"/"+s.Rule.ID+" by "+string(s.By))
	}
	assert.Equal(t, []string{"file/c by inline", "http/b by file", "api/b by file", "api/c by inline"}, told)

	// A later document replaces what its source had, and uncovers others.
	assert.Equal(t, map[string]Source{"a": API, "b": HTTP, "c": Inline, "d": API, "e": HTTP, "f": Inline, "g": File},
		sources(layers.With(File, from(File, "g"))))
	assert.Equal(t, before, sources(layers), "layers do not change")
	assert.Empty(t, sources(Layers{}))
}

const base = "{id: a, resource: network_egress, type: percentage, limit: 10, unit: GBy, window: day, warning: 80}"

// TestHash changes one thing at a time.
func TestHash(t *testing.T) {
	hash := func(rule string) Hash { return parse(t, "["+rule+"]")[0].Hash() }
	with := func(more string) string { return strings.TrimSuffix(base, "}") + ", " + more + "}" }

	for _, same := range []string{
		with("description: told differently"), with("action: page"), with("channels: [mail]"), with("labels: {a: b}"),
		with("enabled: true"), with("direction: above"), with("per: instance"), with("timezone: UTC"),
		`{"warning": 80.0, "window": "day", "unit": "GBy", "limit": 1e1, "type": "percentage", "resource": "network_egress", "id": "a"}`,
	} {
		assert.Equal(t, hash(base), hash(same), same)
	}
	level := func(more string) string { return "{id: a, resource: cpu, type: percentage, warning: 80" + more + "}" }
	assert.Equal(t, hash(level("")), hash(level(", repeat_interval: 1h")))
	seen := map[Hash]string{hash(base): base}
	for _, other := range []string{
		with("enabled: false"), with("critical: 90"), with("critical: 100"), with("no_data_after: 1h"), with("timezone: Europe/Berlin"), with("per: user"), with("per: org"),
		with("selector: {user_id: a}"), with("selector: {org_id: a}"), with("selector: {instance_id: a}"), with("selector: {labels: {a: a}}"),
		with(`selector: {user_id: "a*"}`), with("selector: {user_id: [a, b]}"),
		strings.Replace(base, "id: a", "id: b", 1), strings.Replace(base, "GBy", "GiBy", 1), strings.Replace(base, "10", "11", 1),
		strings.Replace(base, "80", "81", 1), strings.Replace(base, "egress", "ingress", 1), strings.Replace(base, "day", "month", 1),
		strings.Replace(base, "warning", "critical", 1),
		level(""), level(", clear: 70"), level(", clear: 0"), level(", for: 1m"), level(", keep_firing_for: 1m"), level(", no_data: resolve"),
		"{id: a, metric: vm.x, type: absolute, warning: 80}", "{id: a, metric: vm.x, type: absolute, warning: 80, direction: below}",
		"{id: a, metric: vm.x, type: absolute, warning: 80, attributes: {a: b}}", "{id: a, metric: vm.x, type: absolute, warning: 80, unit: By}",
	} {
		h := hash(other)
		assert.NotContains(t, seen, h, other)
		seen[h] = other
	}
}

// TestHashStays: it is compared with what an older version wrote down.
func TestHashStays(t *testing.T) {
	assert.Equal(t, "91671781be7e68d62c06477bfd22ea00", parse(t, "["+base+"]")[0].Hash().String())
}

func TestDiff(t *testing.T) {
	set := func(document string) *Set { return compile(t, parse(t, document)...) }
	old := set(`
- {id: a, resource: cpu, type: percentage, warning: 80}
- {id: b, resource: cpu, type: percentage, warning: 80}
- {id: c, resource: cpu, type: percentage, warning: 80}
- {id: d, resource: cpu, type: percentage, warning: 80}`)
	next := set(`
- {id: d, resource: cpu, type: percentage, warning: 80, description: another}
- {id: c, resource: cpu, type: percentage, warning: 81}
- {id: a, resource: cpu, type: percentage, warning: 80}
- {id: e, resource: cpu, type: percentage, warning: 80}`)
	assert.Equal(t, Diff{Added: []string{"e"}, Removed: []string{"b"}, Changed: []string{"c"}, Unchanged: []string{"a", "d"}}, next.Diff(old))
	assert.Equal(t, Diff{Added: []string{"a", "b", "c", "d"}}, old.Diff(nil))
	assert.Equal(t, Diff{Removed: []string{"a", "b", "c", "d"}}, set("rules: []").Diff(old))
	assert.Equal(t, map[Source]int{File: 4}, old.Sources())
}
