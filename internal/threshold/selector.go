package threshold

import (
	"cmp"
	"slices"
)

// Match reports whether the text is one of the values. It does not allocate.
func (v *Values) Match(text string) bool {
	if v.Any() {
		return true
	}
	if text == "" {
		return false
	}
	if _, ok := slices.BinarySearch(v.Exact, text); ok {
		return true
	}
	for _, g := range v.Globs {
		if matchGlob(g, text) {
			return true
		}
	}
	return false
}

// Any reports whether every text is taken, absent ones too.
func (v *Values) Any() bool { return len(v.Exact) == 0 && len(v.Globs) == 0 }

// onlyExact reports whether there are values, and all are texts to look up.
func (v *Values) onlyExact() bool { return len(v.Exact) > 0 && len(v.Globs) == 0 }

// Match reports whether the rule that the selector belongs to is for the subject.
func (s *Selector) Match(subject *Subject) bool {
	if !s.InstanceID.Match(subject.InstanceID) || !s.UserID.Match(subject.UserID) || !s.OrgID.Match(subject.OrgID) {
		return false
	}
	for i := range s.Labels {
		if m := &s.Labels[i]; !m.Values.Match(subject.label(m.Key)) {
			return false
		}
	}
	return true
}

// label returns the value of a label, "" where it is absent.
func (s *Subject) label(key string) string {
	i, ok := slices.BinarySearchFunc(s.Labels, key, func(l Label, key string) int { return cmp.Compare(l.Key, key) })
	if !ok {
		return ""
	}
	return s.Labels[i].Value
}
