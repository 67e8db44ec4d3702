package rulestore_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

func rule(id, description string) *threshold.Rule {
	return &threshold.Rule{ID: id, Description: description}
}

func TestVersions(t *testing.T) {
	s := rulestore.New(2)
	_, err := s.Put(rule("b", "1"), rulestore.Any)
	require.ErrorIs(t, err, rulestore.ErrNotFound)
	first, err := s.Put(rule("b", "1"), rulestore.Absent)
	require.NoError(t, err)
	_, err = s.Put(rule("b", "2"), rulestore.Absent)
	require.ErrorIs(t, err, rulestore.ErrConflict)
	second, err := s.Put(rule("b", "2"), first)
	require.NoError(t, err)
	_, err = s.Put(rule("b", "3"), first)
	require.ErrorIs(t, err, rulestore.ErrConflict, "two writers notice each other")
	_, err = s.Put(rule("a", ""), rulestore.Absent)
	require.NoError(t, err)
	_, err = s.Put(rule("c", ""), rulestore.Absent)
	require.ErrorIs(t, err, rulestore.ErrFull)

	got, err := s.Get("b")
	require.NoError(t, err)
	assert.Equal(t, rulestore.Entry{Rule: rule("b", "2"), Version: second}, got)
	all := s.All()
	require.Len(t, all, 2)
	assert.Equal(t, "a", all[0].Rule.ID)

	require.ErrorIs(t, s.Delete("b", first), rulestore.ErrConflict)
	require.NoError(t, s.Delete("b", second))
	require.ErrorIs(t, s.Delete("b", rulestore.Any), rulestore.ErrNotFound)
	_, err = s.Get("b")
	require.ErrorIs(t, err, rulestore.ErrNotFound)
	third, err := s.Put(rule("b", "1"), rulestore.Absent)
	require.NoError(t, err)
	assert.Greater(t, third, second, "a rule that comes back is another one")
}

func TestChanged(t *testing.T) {
	s := rulestore.New(10)
	rules, changed := s.ThresholdRules()
	assert.Empty(t, rules)
	_, err := s.Put(rule("a", ""), rulestore.Absent)
	require.NoError(t, err)
	<-changed
	rules, changed = s.ThresholdRules()
	assert.Len(t, rules, 1)
	_, err = s.Put(rule("a", ""), rulestore.Absent)
	require.Error(t, err)
	select {
	case <-changed:
		t.Fatal("nothing changed")
	default:
	}
	require.NoError(t, s.Delete("a", rulestore.Any))
	<-changed
}
