// Package rulestore holds the threshold rules that are written while the
// collector runs, each with a version, so that two writers notice each other.
package rulestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// What can be wrong with a change.
var (
	ErrNotFound = errors.New("there is no such rule")
	ErrConflict = errors.New("the rule has another version")
	ErrFull     = errors.New("there are too many rules")
	ErrSet      = errors.New("the rules do not go together")
	ErrNotKept  = errors.New("the rule cannot be written to the storage")
)

// Any, as the version that is expected, takes every version that there is, and
// Absent that there is none.
const (
	Any    uint64 = 1<<64 - 1
	Absent uint64 = 0
)

// Options say how a store is bounded, and where it is kept.
type Options struct {
	// Limit is how many rules there are at most, PerAuthor how many of one author who
	// is no admin.
	Limit, PerAuthor int
	// Keep writes a value so that it outlives the process, or returns an error and has
	// written nothing. Each change is one value. nil keeps nothing.
	Keep func(ctx context.Context, key string, value []byte) error
}

// A Store is a set of rules. It is safe for concurrent use. What it says is in force
// is kept, too.
//
// Lock order: writing, then mu. Only writing is held while a value is written, so that
// nobody who reads waits for a disk.
type Store struct {
	options Options

	writing sync.Mutex // one change at a time
	version uint64     // of the last change; guarded by writing

	mu      sync.Mutex
	entries []Entry // sorted by id; replaced, never changed
	changed chan struct{}
}

// An Author is who wrote a rule: a user, an organization, or, the zero one, an admin.
type Author struct{ UserID, OrgID string }

// Admin reports whether it is one.
func (a Author) Admin() bool { return a == Author{} }

// An Entry is a rule and the version of its last change, which no other change
// of any rule has. Nobody changes the rule any more.
type Entry struct {
	Rule    *threshold.Rule
	Version uint64
	// Author wrote the rule first.
	Author Author
}

// New returns an empty store.
func New(o Options) *Store {
	return &Store{options: o, changed: make(chan struct{})}
}

// ThresholdRules returns all rules, sorted by id, and a channel that is closed
// when there are others.
func (s *Store) ThresholdRules() (rules []*threshold.Rule, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rulesOf(s.entries), s.changed
}

// All returns all entries, sorted by id. They are not to be changed.
func (s *Store) All() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries
}

// Get returns the rule with that id, or ErrNotFound.
func (s *Store) Get(id string) (Entry, error) {
	entries := s.All()
	at, found := find(entries, id)
	if !found {
		return Entry{}, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	return entries[at], nil
}

// Put writes a rule, which must be valid, if the one that is there has the
// expected version; a rule that is replaced keeps its author. It returns the new
// version when the rule is kept and in force, and otherwise changes nothing: ErrConflict,
// ErrNotFound where some version was expected to be there, ErrFull, ErrSet or ErrNotKept.
func (s *Store) Put(ctx context.Context, rule *threshold.Rule, expected uint64, author Author) (version uint64, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	entries := s.All()
	at, found := find(entries, rule.ID)
	switch {
	case !found && expected != Absent:
		return 0, fmt.Errorf("%q: %w", rule.ID, ErrNotFound)
	case found && expected != Any && expected != entries[at].Version:
		return 0, fmt.Errorf("%q: %w", rule.ID, ErrConflict)
	case !found && len(entries) >= s.options.Limit:
		return 0, fmt.Errorf("%w: at most %d", ErrFull, s.options.Limit)
	case !found && !author.Admin() && countOf(entries, author) >= s.options.PerAuthor:
		return 0, fmt.Errorf("%w of yours: at most %d", ErrFull, s.options.PerAuthor)
	}
	e := Entry{Rule: rule, Version: s.nextVersion(), Author: author}
	next := make([]Entry, 0, len(entries)+1)
	next = append(append(next, entries[:at]...), e)
	if found {
		e.Author = entries[at].Author
		next[at] = e
		at++
	}
	next = append(next, entries[at:]...)
	if mayNotFit(rule) {
		if _, err := threshold.Compile(rulesOf(next)); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrSet, err)
		}
	}
	if err := s.commit(ctx, rule.ID, next); err != nil {
		return 0, err
	}
	return e.Version, nil
}

// Delete removes the rule with that id if it has the expected version. Errors are those
// of Put.
func (s *Store) Delete(ctx context.Context, id string, expected uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	entries := s.All()
	at, found := find(entries, id)
	switch {
	case !found:
		return fmt.Errorf("%q: %w", id, ErrNotFound)
	case expected != Any && expected != entries[at].Version:
		return fmt.Errorf("%q: %w", id, ErrConflict)
	}
	return s.commit(ctx, id, slices.Delete(slices.Clone(entries), at, at+1))
}

// commit keeps the value that a rule is in, and then puts the rules into force.
func (s *Store) commit(ctx context.Context, id string, next []Entry) error {
	if s.options.Keep != nil {
		shard := shardOf(id)
		value, err := encode(next, shard)
		if err == nil {
			err = s.options.Keep(ctx, keyOf(shard), value)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotKept, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = next
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// nextVersion returns a version that was never there, also where the storage with
// earlier ones was lost: versions are microseconds since 1970 or, when they come too
// fast or the clock was set back, one more than the last.
func (s *Store) nextVersion() uint64 {
	s.version = max(s.version+1, uint64(max(0, time.Now().UnixMicro()))) //nolint:gosec // not negative
	return s.version
}

// mayNotFit reports whether a rule counts towards what a set bounds besides the number
// of its rules: labels by which they select, and rules that no exact value leads to.
func mayNotFit(r *threshold.Rule) bool {
	led := slices.ContainsFunc([]*threshold.Values{&r.Selector.UserID, &r.Selector.OrgID, &r.Selector.InstanceID}, func(v *threshold.Values) bool {
		return len(v.Exact) > 0 && len(v.Globs) == 0
	})
	return !led || len(r.Selector.Labels) > 0
}

func find(entries []Entry, id string) (at int, found bool) {
	return slices.BinarySearchFunc(entries, id, func(e Entry, id string) int { return strings.Compare(e.Rule.ID, id) })
}

func rulesOf(entries []Entry) []*threshold.Rule {
	rules := make([]*threshold.Rule, len(entries))
	for i := range entries {
		rules[i] = entries[i].Rule
	}
	return rules
}

func countOf(entries []Entry, a Author) (n int) {
	for i := range entries {
		if entries[i].Author == a {
			n++
		}
	}
	return n
}
