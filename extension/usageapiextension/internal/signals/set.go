package signals

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// most is how many signals are active at once. Components are as many as the configuration
// has; the bound is for those that would invent them.
const most = 1024

// A Set is what is wrong now. It is safe for concurrent use, and none of its methods waits.
type Set struct {
	now func() time.Time

	mu      sync.Mutex
	active  map[key]*entry
	told    []func(Signal)
	ignored uint64
}

type key struct {
	source string
	name   Name
}

type entry struct {
	since  time.Time
	until  time.Time // zero where it lasts until it is said to be over
	detail string
}

// New returns a Set of nothing, on a clock.
func New(now func() time.Time) *Set {
	return &Set{now: now, active: map[key]*entry{}}
}

// OnChange has f called with each signal that begins or ends from now on, and at once with
// each that is active already. Calls come one at a time and in order, in the goroutine of
// whoever reports: f returns at once, and calls nothing of the Set.
func (s *Set) OnChange(f func(Signal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, f)
	for _, active := range s.currentLocked() {
		f(active)
	}
}

// Report notes that something is wrong with a source, or is not. It may be repeated: of
// what is active already only the detail becomes another one, and what lasts only for a
// while begins to last anew. Names that there are none of are ignored and counted.
func (s *Set) Report(source string, name Name, active bool, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{source, name}
	e, known := s.active[k]
	switch {
	case !slices.Contains(Names(), name), active && !known && len(s.active) >= most:
		s.ignored++
	case !active && known:
		s.endLocked(k, cut(detail))
	case active:
		now := s.now()
		if !known {
			e = &entry{since: now}
			s.active[k] = e
		}
		e.detail = cut(detail)
		if d := name.lasts(); d > 0 {
			e.until = now.Add(d)
		}
		if !known {
			s.tellLocked(e.signal(k))
		}
	}
}

// Expire ends what lasted for its time.
func (s *Set) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, active := range s.currentLocked() { // in order
		k := key{active.Source, active.Name}
		if until := s.active[k].until; !until.IsZero() && !until.After(now) {
			s.endLocked(k, "")
		}
	}
}

// Current returns what is wrong now, by source and name.
func (s *Set) Current() []Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.currentLocked()
}

// Count returns of how many sources a signal is active now.
func (s *Set) Count(name Name) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k := range s.active {
		if k.name == name {
			n++
		}
	}
	return n
}

// Ignored returns how many reports were of no name that there is, or found no room.
func (s *Set) Ignored() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ignored
}

func (s *Set) endLocked(k key, detail string) {
	delete(s.active, k)
	s.tellLocked(Signal{Source: k.source, Name: k.name, At: s.now(), Detail: detail})
}

func (s *Set) currentLocked() []Signal {
	all := make([]Signal, 0, len(s.active))
	for k, e := range s.active {
		all = append(all, e.signal(k))
	}
	slices.SortFunc(all, func(a, b Signal) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func (s *Set) tellLocked(change Signal) {
	for _, f := range s.told {
		f(change)
	}
}

func (e *entry) signal(k key) Signal {
	return Signal{Source: k.source, Name: k.name, Active: true, At: e.since, Detail: e.detail}
}
