package rulestore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

var options = threshold.Options{Source: threshold.API}

// disk is what is kept.
type disk struct {
	values map[string][]byte
	writes int
	err    error
}

func (d *disk) keep(_ context.Context, key string, value []byte) error {
	if d.err != nil {
		return d.err
	}
	if d.values == nil {
		d.values = map[string][]byte{}
	}
	d.writes++
	d.values[key] = value
	return nil
}

func TestRestart(t *testing.T) {
	var d disk
	open := func() *rulestore.Store {
		s := rulestore.New(rulestore.Options{Limit: 1000, PerAuthor: 1000, Keep: d.keep})
		require.NoError(t, s.Restore(d.values, options))
		return s
	}
	s := open()
	last := uint64(0)
	for i := range 200 {
		v, err := s.Put(t.Context(), rule(fmt.Sprintf("rule-%03d", i), "first"), rulestore.Absent, rulestore.Author{UserID: fmt.Sprint("user-", i%3)})
		require.NoError(t, err)
		assert.Greater(t, v, last)
		last = v
	}
	assert.Equal(t, 200, d.writes, "one value for each change")
	assert.LessOrEqual(t, len(d.values), len(rulestore.Keys()))
	again := open()
	assert.Equal(t, s.All(), again.All())
	v, err := again.Put(t.Context(), rule("rule-007", "second"), again.All()[7].Version, admin)
	require.NoError(t, err)
	assert.Greater(t, v, last, "versions go on")
	require.NoError(t, again.Delete(t.Context(), "rule-008", rulestore.Any))
	e, err := open().Get("rule-007")
	require.NoError(t, err)
	assert.Equal(t, "second", e.Rule.Description)
	assert.Equal(t, rulestore.Author{UserID: "user-1"}, e.Author, "it stays who wrote it first")
	_, err = open().Get("rule-008")
	require.ErrorIs(t, err, rulestore.ErrNotFound)
}

// A version never comes again, though all that was kept is lost.
func TestLostState(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: 10})
	first, err := s.Put(t.Context(), rule("a", ""), rulestore.Absent, admin)
	require.NoError(t, err)
	second, err := rulestore.New(rulestore.Options{Limit: 10}).Put(t.Context(), rule("a", ""), rulestore.Absent, admin)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, second, first)
}

// What is not kept is not in force.
func TestFullDisk(t *testing.T) {
	d := disk{}
	s := rulestore.New(rulestore.Options{Limit: 10, Keep: d.keep})
	v, err := s.Put(t.Context(), rule("a", "1"), rulestore.Absent, admin)
	require.NoError(t, err)
	before, changed := s.ThresholdRules()
	d.err = errors.New("full")
	_, err = s.Put(t.Context(), rule("a", "2"), v, admin)
	require.ErrorIs(t, err, rulestore.ErrNotKept)
	require.ErrorIs(t, err, d.err)
	require.ErrorIs(t, s.Delete(t.Context(), "a", rulestore.Any), rulestore.ErrNotKept)
	after, _ := s.ThresholdRules()
	assert.Equal(t, before, after)
	select {
	case <-changed:
		t.Fatal("nothing changed")
	default:
	}
	d.err = nil
	_, err = s.Put(t.Context(), rule("a", "2"), v, admin)
	require.NoError(t, err, "the version is still that one")
}

func TestBoundsOfAuthors(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: 10, PerAuthor: 1})
	a, b := rulestore.Author{UserID: "a"}, rulestore.Author{OrgID: "a"}
	put := func(id string, by rulestore.Author) error {
		_, err := s.Put(t.Context(), rule(id, ""), rulestore.Absent, by)
		return err
	}
	require.NoError(t, put("1", a))
	require.ErrorIs(t, put("2", a), rulestore.ErrFull)
	require.NoError(t, put("2", b), "an organization is no user")
	require.NoError(t, put("3", admin))
	require.NoError(t, put("4", admin), "admins are only bounded together")
	_, err := s.Put(t.Context(), rule("1", "x"), rulestore.Any, a)
	require.NoError(t, err, "replacing is not one more")
}

// One rule must not keep all from being compiled.
func TestRulesThatDoNotGoTogether(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: 1000})
	labeled := func(i int) *threshold.Rule {
		rules, err := threshold.Parse(fmt.Appendf(nil, `[{"id":"r%d","resource":"cpu","type":"percentage","warning":80,"selector":{"labels":{"key-%d":"x"}}}]`, i, i), options)
		require.NoError(t, err)
		return rules[0]
	}
	for i := range threshold.MaxLabelKeys {
		_, err := s.Put(t.Context(), labeled(i), rulestore.Absent, admin)
		require.NoError(t, err)
	}
	_, err := s.Put(t.Context(), labeled(1000), rulestore.Absent, admin)
	require.ErrorIs(t, err, rulestore.ErrSet)
	assert.Len(t, s.All(), threshold.MaxLabelKeys)
}

// Of rules that no exact value leads to there are only so many in a set.
func TestBroadRules(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: threshold.MaxBroad + 2})
	document := []byte{'['}
	for i := range threshold.MaxBroad {
		document = fmt.Appendf(document, `{"id":"r%d","resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"*"}},`, i)
	}
	document[len(document)-1] = ']'
	rules, err := threshold.Parse(document, options)
	require.NoError(t, err)
	require.NoError(t, s.Restore(rulestore.Values(rules), options))
	require.Len(t, s.All(), threshold.MaxBroad)
	_, err = s.Put(t.Context(), rule("broad", ""), rulestore.Absent, admin)
	require.ErrorIs(t, err, rulestore.ErrSet)
	exact, err := threshold.Parse([]byte(`[{"id":"exact","resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a"}}]`), options)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), exact[0], rulestore.Absent, admin)
	require.NoError(t, err)
}

// Each thing that may be wrong with what was kept: it is told, and the rest is there.
func TestDamage(t *testing.T) {
	var d disk
	s := rulestore.New(rulestore.Options{Limit: 1000, Keep: d.keep})
	for i := range 200 {
		_, err := s.Put(t.Context(), rule(fmt.Sprintf("rule-%03d", i), ""), rulestore.Absent, admin)
		require.NoError(t, err)
	}
	key := rulestore.Keys()[0]
	other := rulestore.Keys()[1]
	require.Contains(t, d.values, key)
	sealed := func(payload ...byte) []byte { return wire.Seal(append(wire.Begin(nil, wire.KindRules), payload...)) }
	for _, tt := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"empty", []byte{}, wire.ErrForeign},
		{"cut off", d.values[key][:len(d.values[key])-1], wire.ErrCorrupt},
		{"another shard's", d.values[other], wire.ErrCorrupt},
		{"another kind", wire.Seal(wire.Begin(nil, wire.KindMarker)), wire.ErrForeign},
		{"newer", func() []byte { b := wire.Begin(nil, wire.KindRules); wire.Need(b, wire.Format+1); return wire.Seal(b) }(), wire.ErrNewer},
		{"count without rules", sealed(3), wire.ErrCorrupt},
		{"no rule", sealed(1, 1, 0, 0, 2, '{', '}'), nil},
		{"twice", func() []byte {
			payload := d.values[key][6 : len(d.values[key])-4]
			return sealed(append(append([]byte{2 * payload[0]}, payload[1:]...), payload[1:]...)...)
		}(), wire.ErrCorrupt},
		{"left over", sealed(0, 0), wire.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values := maps.Clone(d.values)
			values[key] = tt.value
			again := rulestore.New(rulestore.Options{Limit: 1000})
			err := again.Restore(values, options)
			require.Error(t, err)
			bad, ok := errors.AsType[*rulestore.ValueError](err)
			require.True(t, ok)
			assert.Equal(t, key, bad.Key)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
			n := len(again.All())
			if tt.name != "twice" {
				assert.Less(t, n, 200)
			}
			assert.Greater(t, n, 180)
			for _, e := range again.All() {
				was, err := s.Get(e.Rule.ID)
				require.NoError(t, err)
				assert.Equal(t, was, e)
			}
			mended, err := again.Value(key)
			require.NoError(t, err)
			values[key] = mended
			require.NoError(t, rulestore.New(rulestore.Options{Limit: 1000}).Restore(values, options))
		})
	}
}

func FuzzRestore(f *testing.F) {
	var d disk
	s := rulestore.New(rulestore.Options{Limit: 10, PerAuthor: 10, Keep: d.keep})
	_, err := s.Put(f.Context(), rule("a", "x"), rulestore.Absent, rulestore.Author{UserID: "u"})
	require.NoError(f, err)
	for _, v := range d.values {
		f.Add(v[6 : len(v)-4])
	}
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		value := wire.Seal(append(wire.Begin(nil, wire.KindRules), payload...))
		s := rulestore.New(rulestore.Options{Limit: 10})
		_ = s.Restore(map[string][]byte{rulestore.Keys()[0]: value}, options)
		rules, _ := s.ThresholdRules()
		_, err := threshold.Compile(rules)
		assert.NoError(t, err, "what is in force can be compiled")
	})
}

// BenchmarkPut replaces one of a thousand rules, without a disk.
func BenchmarkPut(b *testing.B) {
	var d disk
	s := rulestore.New(rulestore.Options{Limit: 1000, Keep: d.keep})
	for i := range 1000 {
		rules, err := threshold.Parse(fmt.Appendf(nil, `[{"id":"r%d","resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"user-%d"}}]`, i, i), options)
		require.NoError(b, err)
		_, err = s.Put(b.Context(), rules[0], rulestore.Absent, admin)
		require.NoError(b, err)
	}
	replaced := s.All()[500].Rule
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Put(b.Context(), replaced, rulestore.Any, admin); err != nil {
			b.Fatal(err)
		}
	}
}
