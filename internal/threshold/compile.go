package threshold

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Bounds of a [Set].
const (
	// MaxRules is how many rules a set, or a document, has at most.
	MaxRules = 200_000
	// MaxBroad is how many enabled rules may be for subjects that no exact value
	// names: every new subject is compared with each of them.
	MaxBroad = 10_000
	// MaxLabelKeys is how many keys of labels the selectors of a set name together:
	// every look-up reads each of them.
	MaxLabelKeys = 64
)

// Why rules do not become a [Set].
var (
	ErrTooMany   = errors.New("too many rules")
	ErrDuplicate = errors.New("duplicate rule id")
)

// A Set is the rules that hold at one time. It never changes and is safe for
// concurrent use.
type Set struct {
	rules  []*Rule // sorted by id
	hashes []Hash  // of rules
	index  ruleIndex
	cache  *matchCache
}

// Compile makes a set of rules that were decoded by this package, with ids that
// differ ([Merge] sees to it). It keeps the rules and sorts the slice.
func Compile(rules []*Rule) (*Set, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%w: %d, at most %d", ErrTooMany, len(rules), MaxRules)
	}
	slices.SortFunc(rules, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	s := &Set{rules: rules, hashes: make([]Hash, len(rules))}
	var enabled []*Rule
	for i, r := range rules {
		if i > 0 && rules[i-1].ID == r.ID {
			return nil, fmt.Errorf("%w: %q", ErrDuplicate, r.ID)
		}
		s.hashes[i] = r.Hash()
		if r.Enabled {
			enabled = append(enabled, r)
		}
	}
	keys := labelKeys(enabled)
	if len(keys) > MaxLabelKeys {
		return nil, fmt.Errorf("%w: their selectors name %d keys of labels, at most %d together", ErrTooMany, len(keys), MaxLabelKeys)
	}
	s.index = newRuleIndex(rules)
	if n := len(s.index.broad); n > MaxBroad {
		return nil, fmt.Errorf("%w: %d have no selector with exact values only, at most %d: name instances, users, organizations or labels", ErrTooMany, n, MaxBroad)
	}
	s.cache = newMatchCache(keys, cachedSubjects)
	return s, nil
}

// Len returns how many rules there are, enabled or not.
func (s *Set) Len() int { return len(s.rules) }

// All visits all rules by ascending id.
func (s *Set) All() iter.Seq[*Rule] { return slices.Values(s.rules) }

// Rule returns the rule with an id.
func (s *Set) Rule(id string) (*Rule, bool) {
	i, ok := s.find(id)
	if !ok {
		return nil, false
	}
	return s.rules[i], true
}

func (s *Set) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.rules, id, func(r *Rule, id string) int { return cmp.Compare(r.ID, id) })
}

// Applies returns the rule with an id where it is enabled and for the subject, and
// nil otherwise.
func (s *Set) Applies(id string, subject *Subject) *Rule {
	i, ok := s.find(id)
	if !ok || !s.rules[i].Enabled || !s.rules[i].Selector.Match(subject) {
		return nil
	}
	return s.rules[i]
}

// LabelKeys returns the keys of labels by which rules select, sorted. Labels of
// a [Subject] with other keys make no difference.
func (s *Set) LabelKeys() []string { return s.cache.keys }

// Match returns what is to be checked for a subject. For one that was seen of
// late it does not allocate, and takes the same time however many rules there
// are. The subject is not kept.
func (s *Set) Match(subject *Subject) *Matched {
	hash := s.cache.hash(subject)
	if m := s.cache.get(hash, subject); m != nil {
		return m
	}
	found := s.index.match(s.rules, subject)
	key := make([]byte, 0, 4*len(found))
	for _, i := range found {
		key = binary.LittleEndian.AppendUint32(key, uint32(i)) //nolint:gosec // an index
	}
	return s.cache.put(hash, subject, key, func() *Matched {
		rules := make([]*Rule, len(found))
		for k, i := range found {
			rules[k] = s.rules[i]
		}
		return newMatched(rules)
	})
}
