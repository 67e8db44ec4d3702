package threshold

import (
	"cmp"
)

// Layers are the rules of all sources, each from its latest document. They are
// never changed: With returns others.
type Layers struct {
	inline, file, http, api []*Rule
}

// With returns layers in which a source has these rules and no others of its own.
func (l Layers) With(source Source, rules []*Rule) Layers {
	switch source {
	case Inline:
		l.inline = rules
	case File:
		l.file = rules
	case HTTP:
		l.http = rules
	case API:
		l.api = rules
	}
	return l
}

// A Shadowed rule is one that does not hold, since a source before its own has
// one with the same id.
type Shadowed struct {
	Rule *Rule
	By   Source
}

// Merge returns the rules that hold: of each id the one of the first source of
// inline, file, http and api that has it. Whoever may write to a source that
// comes later can add rules and cannot take one away or weaken it.
func (l Layers) Merge() (rules []*Rule, shadowed []Shadowed) {
	n := len(l.inline) + len(l.file) + len(l.http) + len(l.api)
	rules = make([]*Rule, 0, n)
	by := make(map[string]Source, n)
	for _, layer := range []struct {
		source Source
		rules  []*Rule
	}{{Inline, l.inline}, {File, l.file}, {HTTP, l.http}, {API, l.api}} {
		for _, r := range layer.rules {
			if first, ok := by[r.ID]; ok {
				shadowed = append(shadowed, Shadowed{r, first})
				continue
			}
			by[r.ID] = layer.source
			rules = append(rules, r)
		}
	}
	return rules, shadowed
}

// A Diff is how one set differs from an older one. Ids are sorted.
type Diff struct {
	Added, Removed []string
	// Changed are those whose [Rule.Hash] differs; Unchanged may differ in how
	// they are told.
	Changed, Unchanged []string
}

// Diff returns how s differs from old, which may be nil.
func (s *Set) Diff(old *Set) Diff {
	var d Diff
	if old == nil {
		old = &Set{}
	}
	i, k := 0, 0
	for i < len(s.rules) || k < len(old.rules) {
		order := 0
		switch {
		case i == len(s.rules):
			order = 1
		case k == len(old.rules):
			order = -1
		default:
			order = cmp.Compare(s.rules[i].ID, old.rules[k].ID)
		}
		switch {
		case order < 0:
			d.Added = append(d.Added, s.rules[i].ID)
			i++
		case order > 0:
			d.Removed = append(d.Removed, old.rules[k].ID)
			k++
		default:
			if s.hashes[i] == old.hashes[k] {
				d.Unchanged = append(d.Unchanged, s.rules[i].ID)
			} else {
				d.Changed = append(d.Changed, s.rules[i].ID)
			}
			i++
			k++
		}
	}
	return d
}

// Sources returns how many rules of the set each source has, enabled or not.
func (s *Set) Sources() map[Source]int {
	n := map[Source]int{}
	for _, r := range s.rules {
		n[r.Source]++
	}
	return n
}
