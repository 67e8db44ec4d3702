package threshold

import "slices"

// Keep returns rules in which those that are the same as one of s, down to how
// they are told, are s's own. So whoever remembers a rule sees that it stayed, and a
// document that is read again takes no more memory. s may be nil.
func (s *Set) Keep(rules []*Rule) []*Rule {
	if s == nil {
		return rules
	}
	kept := slices.Clone(rules)
	for i, r := range kept {
		if k, ok := s.find(r.ID); ok && s.hashes[k] == r.Hash() && s.rules[k].toldAs(r) {
			kept[i] = s.rules[k]
		}
	}
	return kept
}

// toldAs compares what is not in [Rule.Hash].
func (r *Rule) toldAs(o *Rule) bool {
	return r.Source == o.Source && r.Description == o.Description && r.Action == o.Action && r.RepeatInterval == o.RepeatInterval &&
		slices.Equal(r.Channels, o.Channels) && slices.Equal(r.Labels, o.Labels)
}

// Warm looks up the subjects that old was asked about of late, so that s, before it
// is used, knows them. It does nothing where s selects by labels that old does not.
func (s *Set) Warm(old *Set) {
	if old == nil {
		return
	}
	at := make([]int, len(s.cache.keys)) // of each key of s among those of old
	for i, key := range s.cache.keys {
		var ok bool
		if at[i], ok = slices.BinarySearch(old.cache.keys, key); !ok {
			return
		}
	}
	subject := Subject{Labels: make([]Label, len(at))}
	for _, e := range old.cache.all() {
		subject.InstanceID, subject.UserID, subject.OrgID = e.instance, e.user, e.org
		for i, k := range at {
			subject.Labels[i] = Label{s.cache.keys[i], e.labels[k]}
		}
		s.Match(&subject)
	}
}

// all returns what is remembered, the old half first.
func (c *matchCache) all() []*cachedMatch {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]*cachedMatch, 0, len(c.old)+len(c.young))
	for h, e := range c.old {
		if c.young[h] == nil {
			all = append(all, e)
		}
	}
	for _, e := range c.young {
		all = append(all, e)
	}
	return all
}
