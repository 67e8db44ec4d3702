package rulestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// numShards is how many values hold the rules: a storage cannot list what is in it, so
// keys are fixed, and a change writes its value whole. It is part of the format.
const numShards = 64

func shardOf(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % numShards)
}

func keyOf(shard int) string { return fmt.Sprintf("rules.%02x", shard) }

// Keys returns the keys of all values that there may be.
func Keys() []string {
	keys := make([]string, numShards)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	return keys
}

// encode returns the value of a shard: for each rule version, author and the rule as
// a document has it.
func encode(entries []Entry, shard int) ([]byte, error) {
	var in []Entry
	for _, e := range entries {
		if shardOf(e.Rule.ID) == shard {
			in = append(in, e)
		}
	}
	value := wire.Begin(nil, wire.KindRules)
	value = binary.AppendUvarint(value, uint64(len(in)))
	for _, e := range in {
		rule, err := e.Rule.MarshalJSON()
		if err != nil {
			return nil, err
		}
		value = binary.AppendUvarint(value, e.Version)
		value = wire.AppendString(wire.AppendString(value, e.Author.UserID), e.Author.OrgID)
		value = wire.AppendString(value, string(rule))
	}
	return wire.Seal(value), nil
}

// A ValueError is a value that cannot be used, or not all of it.
type ValueError struct {
	Key string
	Err error
}

func (e *ValueError) Error() string { return e.Key + ": " + e.Err.Error() }

func (e *ValueError) Unwrap() error { return e.Err }

// Restore takes the values that Keep was given, by key, before anything else is done
// with the store. What cannot be used is returned, joined, each a [*ValueError], and
// the rest is in force; rules that o does not allow any more are among it. An error that
// wraps [ErrSet] says that nothing is in force, one that wraps [wire.ErrNewer] that a
// newer version wrote a value: what is kept is then not to be touched.
func (s *Store) Restore(values map[string][]byte, o threshold.Options) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var all []Entry
	seen := map[string]bool{}
	var errs []error
	bad := func(key string, err error) { errs = append(errs, &ValueError{key, err}) }
	for _, key := range slices.Sorted(maps.Keys(values)) {
		entries, err := decode(values[key], o)
		if err != nil {
			bad(key, err)
		}
		for _, e := range entries {
			if keyOf(shardOf(e.Rule.ID)) != key {
				bad(key, fmt.Errorf("%w: rule %q belongs to %s", wire.ErrCorrupt, e.Rule.ID, keyOf(shardOf(e.Rule.ID))))
				continue
			}
			if seen[e.Rule.ID] {
				bad(key, fmt.Errorf("%w: rule %q is there twice", wire.ErrCorrupt, e.Rule.ID))
				continue
			}
			seen[e.Rule.ID] = true
			all = append(all, e)
			s.version = max(s.version, e.Version)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Rule.ID, b.Rule.ID) })
	if _, err := threshold.Compile(rulesOf(all)); err != nil {
		return fmt.Errorf("%w: %w", ErrSet, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = all
	return errors.Join(errs...)
}

// Value returns what a value with that key is to be now.
func (s *Store) Value(key string) ([]byte, error) {
	return encode(s.All(), slices.Index(Keys(), key))
}

// decode returns the rules of a value that can be used.
func decode(value []byte, o threshold.Options) ([]Entry, error) {
	payload, err := wire.Open(value, wire.KindRules)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	var entries []Entry
	var errs []error
	for range d.Count() {
		e := Entry{Version: d.Uint(), Author: Author{d.String(), d.String()}}
		document := d.String()
		if d.Err() != nil {
			break
		}
		rules, err := threshold.Parse([]byte("["+document+"]"), o)
		if err == nil && len(rules) != 1 {
			err = fmt.Errorf("%w: %d rules in the place of one", wire.ErrCorrupt, len(rules))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e.Rule = rules[0]
		entries = append(entries, e)
	}
	return entries, errors.Join(append(errs, d.End())...)
}
