package threshold

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// parse returns the rules of a document that has no problems.
func parse(t require.TestingT, document string) []*Rule {
	rules, err := Parse([]byte(document), Options{Source: File, Fleet: true})
	require.NoError(t, err)
	return rules
}

func compile(t require.TestingT, rules ...*Rule) *Set {
	set, err := Compile(rules)
	require.NoError(t, err)
	return set
}

func ids(rules []*Rule) []string {
	got := []string{}
	for _, r := range rules {
		got = append(got, r.ID)
	}
	return got
}

// drawRule draws from few values, so that many rules match.
func drawRule(t *rapid.T, id int) *Rule {
	value := rapid.SampledFrom([]string{"a", "b", "ab", "c", "*", "a*", "?", "[ab]"})
	values := func(name string) Values {
		var v Values
		for _, text := range rapid.SliceOfN(value, 0, 3).Draw(t, name) {
			require.Empty(t, v.add(text))
		}
		v.normalize()
		return v
	}
	r := newRule(File)
	r.ID = fmt.Sprintf("r%d", id)
	r.Enabled = rapid.IntRange(0, 5).Draw(t, "disabled") > 0
	r.Resource, r.Type = CPU, Percentage
	r.Warning, r.HasWarning = 80, true
	require.Nil(t, r.resolve())
	r.Selector = Selector{InstanceID: values("instance"), UserID: values("user"), OrgID: values("org")}
	for _, key := range []string{"x", "y"} {
		if v := values(key); !v.Any() {
			r.Selector.Labels = append(r.Selector.Labels, Matcher{key, v})
		}
	}
	return r
}

func drawSubject(t *rapid.T) Subject {
	text := rapid.SampledFrom([]string{"", "a", "b", "ab", "c", "d"})
	s := Subject{InstanceID: text.Draw(t, "instance"), UserID: text.Draw(t, "user"), OrgID: text.Draw(t, "org")}
	for _, key := range []string{"other", "x", "y"} {
		if rapid.Bool().Draw(t, "has") {
			s.Labels = append(s.Labels, Label{key, text.Draw(t, key)})
		}
	}
	return s
}

// TestMatchFindsWhatANaiveOneFinds is also one of the cache: subjects repeat, and
// it is so small that it forgets.
func TestMatchFindsWhatANaiveOneFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []*Rule
		for i := range rapid.IntRange(0, 30).Draw(t, "rules") {
			rules = append(rules, drawRule(t, i))
		}
		set := compile(t, slices.Clone(rules)...)
		set.cache.size = rapid.IntRange(1, 4).Draw(t, "cache")
		for range rapid.IntRange(1, 20).Draw(t, "subjects") {
			subject := drawSubject(t)
			want := []string{}
			for _, r := range rules {
				if r.Enabled && r.Selector.Match(&subject) {
					want = append(want, r.ID)
				}
			}
			slices.Sort(want)
			got := set.Match(&subject)
			assert.Equal(t, want, ids(got.Rules()), "%+v", subject)
			assert.Len(t, got.Checks("vm.cpu.utilization"), len(want))
			for _, r := range rules {
				assert.Equal(t, slices.Contains(want, r.ID), set.Applies(r.ID, &subject) != nil)
			}
			assert.LessOrEqual(t, len(set.cache.young), set.cache.size)
			assert.LessOrEqual(t, len(set.cache.old), set.cache.size)
		}
	})
}

func TestSelectors(t *testing.T) {
	everyone := Subject{InstanceID: "vm-1", UserID: "u1", OrgID: "o1", Labels: []Label{{"env", "prod"}, {"team", ""}}}
	for _, tt := range []struct {
		selector string
		want     bool
	}{
		{`{}`, true},
		{`{user_id: u1}`, true},
		{`{user_id: u2}`, false},
		{`{user_id: [u2, u1]}`, true},
		{`{user_id: "*"}`, true},
		{`{user_id: "u?"}`, true},
		{`{instance_id: "vm-[2-9]"}`, false},
		{`{instance_id: ["vm-[2-9]", vm-1]}`, true},
		{`{user_id: u1, org_id: o2}`, false},
		{`{user_id: u1, org_id: o1, instance_id: "vm-*", labels: {env: [prod, test]}}`, true},
		{`{labels: {env: "p*"}}`, true},
		{`{labels: {env: dev}}`, false},
		{`{labels: {team: "*"}}`, false}, // there, and empty
		{`{labels: {none: "*"}}`, false},
	} {
		set := compile(t, parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80, selector: `+tt.selector+`}]`)...)
		assert.Equal(t, tt.want, len(set.Match(&everyone).Rules()) == 1, tt.selector)
	}
	unowned := Subject{InstanceID: "vm-1"}
	set := compile(t, parse(t, `
- {id: all, resource: cpu, type: percentage, warning: 80}
- {id: owned, resource: cpu, type: percentage, warning: 80, selector: {user_id: "*"}}`)...)
	assert.Equal(t, []string{"all"}, ids(set.Match(&unowned).Rules()))
	assert.Equal(t, []string{"all", "owned"}, ids(set.Match(&everyone).Rules()))
}

func TestSubjectsWithTheSameRulesShareThem(t *testing.T) {
	set := compile(t, parse(t, `
- {id: all, resource: cpu, type: percentage, warning: 80}
- {id: one, resource: cpu, type: percentage, warning: 80, selector: {instance_id: c}}`)...)
	a, b, c := Subject{InstanceID: "a"}, Subject{InstanceID: "b", Labels: []Label{{"x", "y"}}}, Subject{InstanceID: "c"}
	assert.Same(t, set.Match(&a), set.Match(&b))
	assert.NotSame(t, set.Match(&a), set.Match(&c))
	assert.Empty(t, set.LabelKeys())
}

// TestMatchKeepsNothingOfTheSubject: its texts lie in a batch that is used again.
func TestMatchKeepsNothingOfTheSubject(t *testing.T) {
	set := compile(t, parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80, selector: {labels: {env: prod}}}]`)...)
	s := Subject{InstanceID: "vm", Labels: []Label{{"env", "prod"}}}
	assert.Len(t, set.Match(&s).Rules(), 1)
	s.Labels[0].Value = "test"
	assert.Empty(t, set.Match(&s).Rules())
	s.Labels[0].Value = "prod"
	assert.Len(t, set.Match(&s).Rules(), 1)
}

func TestMatchFromManyGoroutines(t *testing.T) {
	set := compile(t, parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80, selector: {user_id: u1}}]`)...)
	set.cache.size = 3
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				s := Subject{InstanceID: fmt.Sprint((i*7 + g) % 10), UserID: fmt.Sprint("u", i%2)}
				if got := len(set.Match(&s).Rules()); got != i%2 {
					assert.Equal(t, i%2, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestChecksSayWhatToDoWithPoints(t *testing.T) {
	set := compile(t, parse(t, `
- {id: egress, resource: network_egress, type: absolute, unit: By, warning: 100}
- {id: gpu, resource: gpu, type: percentage, warning: 90}
- {id: fs, metric: vm.filesystem.utilization, attributes: {system.device: "sd*"}, type: percentage, warning: 90}
- {id: storage, resource: storage, type: percentage, warning: 90}`)...)
	m := set.Match(&Subject{InstanceID: "vm"})
	assert.Equal(t, []string{"hw.gpu.utilization", "vm.filesystem.utilization", "vm.storage.limit", "vm.storage.usage", "vm.usage.network.io"}, slices.Collect(m.Metrics()))
	assert.Empty(t, m.Checks("vm.cpu.utilization"))

	fs := m.Checks("vm.filesystem.utilization")[0]
	assert.EqualValues(t, -1, fs.Slot)
	assert.True(t, fs.Accepts(attributes{"system.device": "sda"}))
	assert.False(t, fs.Accepts(attributes{"system.device": "nvme0n1"}))
	assert.False(t, fs.Accepts(attributes{}))

	var sums Sums
	sums.Reset(m)
	for _, c := range m.Checks("vm.usage.network.io") {
		for value, direction := range map[float64]string{30: "transmit", 50: "receive"} {
			if c.Accepts(attributes{"network.io.direction": direction}) {
				sums.Add(&c, value)
				sums.Add(&c, value)
			}
		}
	}
	sums.Add(&m.Checks("vm.storage.usage")[0], 50)
	got := map[string]Amounts{}
	read := func() {
		clear(got)
		for r, a := range sums.All() {
			got[r.ID] = a
		}
	}
	read()
	assert.Equal(t, map[string]Amounts{"egress": {60, 0}}, got, "storage has no limit yet")
	sums.Add(&m.Checks("vm.storage.limit")[0], 200)
	read()
	assert.Equal(t, map[string]Amounts{"egress": {60, 0}, "storage": {50, 200}}, got)
	sums.Reset(m)
	read()
	assert.Empty(t, got)
}

type attributes map[string]string

func (a attributes) Get(key string) string { return a[key] }

func TestCompileRefuses(t *testing.T) {
	same := parse(t, `[{id: a, resource: cpu, type: percentage, warning: 80}]`)
	_, err := Compile([]*Rule{same[0], same[0]})
	require.ErrorIs(t, err, ErrDuplicate)

	_, err = Compile(make([]*Rule, MaxRules+1))
	require.ErrorIs(t, err, ErrTooMany)

	many := func(n int, set func(i int, s *Selector)) error {
		rules := make([]*Rule, n)
		for i := range rules {
			r := *same[0]
			r.ID = fmt.Sprint(i)
			set(i, &r.Selector)
			rules[i] = &r
		}
		_, err := Compile(rules)
		return err
	}
	glob := func(_ int, s *Selector) { s.UserID.Globs = []string{"a*"} }
	require.NoError(t, many(MaxBroad, glob))
	require.ErrorIs(t, many(MaxBroad+1, glob), ErrTooMany)
	label := func(i int, s *Selector) {
		s.Labels = []Matcher{{fmt.Sprint("key", i), Values{Exact: []string{"x"}}}}
	}
	require.NoError(t, many(MaxLabelKeys, label))
	require.ErrorIs(t, many(MaxLabelKeys+1, label), ErrTooMany)
}
