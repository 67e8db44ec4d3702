// Package rulestore holds the threshold rules that are written while the
// collector runs, each with a version, so that two writers notice each other.
package rulestore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// What can be wrong with a change.
var (
	ErrNotFound = errors.New("there is no such rule")
	ErrConflict = errors.New("the rule has another version")
	ErrFull     = errors.New("there are too many rules")
)

// Any, as the version that is expected, takes every version that there is, and
// Absent that there is none.
const (
	Any    uint64 = 1<<64 - 1
	Absent uint64 = 0
)

// A Store is a set of rules in memory. It is safe for concurrent use.
type Store struct {
	limit int

	mu      sync.Mutex
	entries []Entry // sorted by id
	version uint64  // of the last change
	changed chan struct{}
}

// An Entry is a rule and the version of its last change, which no other change
// of any rule has.
type Entry struct {
	Rule    *threshold.Rule
	Version uint64
}

// New returns an empty store that holds at most limit rules.
func New(limit int) *Store {
	return &Store{limit: limit, changed: make(chan struct{})}
}

// ThresholdRules returns all rules, sorted by id, and a channel that is closed
// when there are others.
func (s *Store) ThresholdRules() (rules []*threshold.Rule, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules = make([]*threshold.Rule, len(s.entries))
	for i := range s.entries {
		rules[i] = s.entries[i].Rule
	}
	return rules, s.changed
}

// All returns all entries, sorted by id.
func (s *Store) All() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries)
}

// Get returns the rule with that id, or ErrNotFound.
func (s *Store) Get(id string) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.findLocked(id)
	if !found {
		return Entry{}, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	return s.entries[at], nil
}

// Put writes a rule, which must be valid, if the one that is there has the
// expected version. It returns the new version, ErrConflict, ErrNotFound where Any
// was expected to be there, or ErrFull.
func (s *Store) Put(rule *threshold.Rule, expected uint64) (version uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.findLocked(rule.ID)
	switch {
	case !found && expected != Absent:
		return 0, fmt.Errorf("%q: %w", rule.ID, ErrNotFound)
	case found && expected != Any && expected != s.entries[at].Version:
		return 0, fmt.Errorf("%q: %w", rule.ID, ErrConflict)
	case !found && len(s.entries) >= s.limit:
		return 0, fmt.Errorf("%q: %w: at most %d", rule.ID, ErrFull, s.limit)
	}
	s.version++
	e := Entry{Rule: rule, Version: s.version}
	if found {
		s.entries[at] = e
	} else {
		s.entries = slices.Insert(s.entries, at, e)
	}
	s.tellLocked()
	return e.Version, nil
}

// Delete removes the rule with that id if it has the expected version.
func (s *Store) Delete(id string, expected uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.findLocked(id)
	switch {
	case !found:
		return fmt.Errorf("%q: %w", id, ErrNotFound)
	case expected != Any && expected != s.entries[at].Version:
		return fmt.Errorf("%q: %w", id, ErrConflict)
	}
	s.version++
	s.entries = slices.Delete(s.entries, at, at+1)
	s.tellLocked()
	return nil
}

func (s *Store) findLocked(id string) (at int, found bool) {
	return slices.BinarySearchFunc(s.entries, id, func(e Entry, id string) int { return strings.Compare(e.Rule.ID, id) })
}

func (s *Store) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}
