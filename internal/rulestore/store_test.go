package rulestore_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

var admin rulestore.Author

// rule returns a valid rule.
func rule(id, description string) *threshold.Rule {
	rules, err := threshold.Decode([]any{map[string]any{
		"id": id, "description": description, "resource": "cpu", "type": "percentage", "warning": 80.0,
	}}, threshold.Options{Source: threshold.API})
	if err != nil {
		panic(err)
	}
	return rules[0]
}

func TestVersions(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: 2})
	_, err := s.Put(t.Context(), rule("b", "1"), rulestore.Any, admin)
	require.ErrorIs(t, err, rulestore.ErrNotFound)
	first, err := s.Put(t.Context(), rule("b", "1"), rulestore.Absent, admin)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), rule("b", "2"), rulestore.Absent, admin)
	require.ErrorIs(t, err, rulestore.ErrConflict)
	second, err := s.Put(t.Context(), rule("b", "2"), first, admin)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), rule("b", "3"), first, admin)
	require.ErrorIs(t, err, rulestore.ErrConflict, "two writers notice each other")
	_, err = s.Put(t.Context(), rule("a", ""), rulestore.Absent, admin)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), rule("c", ""), rulestore.Absent, admin)
	require.ErrorIs(t, err, rulestore.ErrFull)

	got, err := s.Get("b")
	require.NoError(t, err)
	assert.Equal(t, rulestore.Entry{Rule: rule("b", "2"), Version: second}, got)
	all := s.All()
	require.Len(t, all, 2)
	assert.Equal(t, "a", all[0].Rule.ID)

	require.ErrorIs(t, s.Delete(t.Context(), "b", first), rulestore.ErrConflict)
	require.NoError(t, s.Delete(t.Context(), "b", second))
	require.ErrorIs(t, s.Delete(t.Context(), "b", rulestore.Any), rulestore.ErrNotFound)
	_, err = s.Get("b")
	require.ErrorIs(t, err, rulestore.ErrNotFound)
	third, err := s.Put(t.Context(), rule("b", "1"), rulestore.Absent, admin)
	require.NoError(t, err)
	assert.Greater(t, third, second, "a rule that comes back is another one")
}

func TestChanged(t *testing.T) {
	s := rulestore.New(rulestore.Options{Limit: 10})
	rules, changed := s.ThresholdRules()
	assert.Empty(t, rules)
	_, err := s.Put(t.Context(), rule("a", ""), rulestore.Absent, admin)
	require.NoError(t, err)
	<-changed
	rules, changed = s.ThresholdRules()
	assert.Len(t, rules, 1)
	_, err = s.Put(t.Context(), rule("a", ""), rulestore.Absent, admin)
	require.Error(t, err)
	select {
	case <-changed:
		t.Fatal("nothing changed")
	default:
	}
	require.NoError(t, s.Delete(t.Context(), "a", rulestore.Any))
	<-changed
}
