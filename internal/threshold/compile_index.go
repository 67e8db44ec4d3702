package threshold

import "slices"

// A ruleIndex finds the rules of a subject. Every enabled rule is in one place:
// under each of the exact values of the first part of its selector that has only
// such, or else among the broad ones. What is found there is compared in full.
type ruleIndex struct {
	instance, user, org postings
	labels              map[string]*postings // by key
	broad               []int32
}

// postings are the rules under each value: those of a value are a span of ids.
type postings struct {
	spans map[string]span
	ids   []int32
}

type span struct{ from, to int32 }

func (p *postings) get(value string) []int32 {
	s := p.spans[value]
	return p.ids[s.from:s.to]
}

func newRuleIndex(rules []*Rule) ruleIndex {
	var x ruleIndex
	x.labels = map[string]*postings{}
	place := func(r *Rule) (*postings, []string) {
		s := &r.Selector
		switch {
		case s.InstanceID.onlyExact():
			return &x.instance, s.InstanceID.Exact
		case s.UserID.onlyExact():
			return &x.user, s.UserID.Exact
		case s.OrgID.onlyExact():
			return &x.org, s.OrgID.Exact
		}
		for i := range s.Labels {
			if m := &s.Labels[i]; m.Values.onlyExact() {
				p := x.labels[m.Key]
				if p == nil {
					p = &postings{}
					x.labels[m.Key] = p
				}
				return p, m.Values.Exact
			}
		}
		return nil, nil
	}

	// Twice over the rules: how many there are of a value, then which.
	for i, r := range rules {
		if !r.Enabled {
			continue
		}
		p, values := place(r)
		if p == nil {
			x.broad = append(x.broad, int32(i)) //nolint:gosec // at most MaxRules
			continue
		}
		p.count(values)
	}
	x.each((*postings).allot)
	for i, r := range rules {
		if !r.Enabled {
			continue
		}
		if p, values := place(r); p != nil {
			p.add(values, int32(i)) //nolint:gosec // as above
		}
	}
	return x
}

func (x *ruleIndex) each(do func(*postings)) {
	for _, p := range []*postings{&x.instance, &x.user, &x.org} {
		do(p)
	}
	for _, p := range x.labels {
		do(p)
	}
}

func (p *postings) count(values []string) {
	if p.spans == nil {
		p.spans = map[string]span{}
	}
	for _, v := range values {
		s := p.spans[v]
		s.to++
		p.spans[v] = s
	}
}

// allot gives each value its place, still empty.
func (p *postings) allot() {
	next := int32(0)
	for v, s := range p.spans {
		p.spans[v] = span{next, next}
		next += s.to
	}
	p.ids = make([]int32, next)
}

func (p *postings) add(values []string, id int32) {
	for _, v := range values {
		s := p.spans[v]
		p.ids[s.to] = id
		s.to++
		p.spans[v] = s
	}
}

// match returns the indexes of the rules of a subject, ascending.
func (x *ruleIndex) match(rules []*Rule, s *Subject) []int32 {
	var found []int32
	try := func(ids []int32) {
		for _, i := range ids {
			if rules[i].Selector.Match(s) {
				found = append(found, i)
			}
		}
	}
	try(x.instance.get(s.InstanceID))
	try(x.user.get(s.UserID))
	try(x.org.get(s.OrgID))
	for key, p := range x.labels {
		try(p.get(s.label(key)))
	}
	try(x.broad)
	slices.Sort(found)
	return found
}
