package threshold

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// cachedSubjects bounds how many subjects one half of the cache holds.
const cachedSubjects = 1 << 16

// A matchCache remembers what matches the subjects seen of late. It has two
// halves: when the young one is full, it becomes the old one, and what was the
// old one is forgotten; what is found in the old one goes into the young one
// again. So it holds at most twice cachedSubjects, and a subject that is seen
// more often than that many others are is not forgotten.
type matchCache struct {
	seed maphash.Seed
	keys []string // of the labels that selectors name, sorted; no other matters
	size int

	mu         sync.RWMutex
	young, old map[uint64]*cachedMatch
	// sets has each distinct list of rules of the young half once.
	sets map[string]*Matched
}

type cachedMatch struct {
	instance, user, org string
	labels              []string // values, one for each of keys
	matched             *Matched
}

func newMatchCache(keys []string, size int) *matchCache {
	return &matchCache{
		seed: maphash.MakeSeed(), keys: keys, size: size,
		young: map[uint64]*cachedMatch{}, sets: map[string]*Matched{},
	}
}

func (c *matchCache) hash(s *Subject) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	write := func(text string) {
		h.WriteString(text)
		h.WriteByte(0xff) // in no UTF-8, so that texts do not run into each other
	}
	write(s.InstanceID)
	write(s.UserID)
	write(s.OrgID)
	for _, key := range c.keys {
		write(s.label(key))
	}
	return h.Sum64()
}

func (c *matchCache) is(e *cachedMatch, s *Subject) bool {
	if e.instance != s.InstanceID || e.user != s.UserID || e.org != s.OrgID {
		return false
	}
	for i, key := range c.keys {
		if e.labels[i] != s.label(key) {
			return false
		}
	}
	return true
}

// get returns what is remembered of a subject with this hash, or nil.
func (c *matchCache) get(hash uint64, s *Subject) *Matched {
	c.mu.RLock()
	e, young := c.young[hash]
	if !young {
		e = c.old[hash]
	}
	c.mu.RUnlock()
	if e == nil || !c.is(e, s) {
		return nil
	}
	if !young {
		c.mu.Lock()
		c.putLocked(hash, e)
		c.mu.Unlock()
	}
	return e.matched
}

// put remembers that the rules, whose list is written in key, are those of the
// subject. Where other subjects have the same ones, it returns theirs.
func (c *matchCache) put(hash uint64, s *Subject, key []byte, build func() *Matched) *Matched {
	c.mu.RLock()
	m := c.sets[string(key)]
	c.mu.RUnlock()
	if m == nil {
		m = build()
	}
	e := c.entry(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.sets[string(key)]; first != nil { // of another goroutine
		m = first
	} else {
		c.sets[string(key)] = m
	}
	e.matched = m
	c.putLocked(hash, e)
	return m
}

func (c *matchCache) putLocked(hash uint64, e *cachedMatch) {
	if len(c.young) >= c.size {
		c.old, c.young = c.young, map[uint64]*cachedMatch{}
		c.sets = map[string]*Matched{}
	}
	c.young[hash] = e
}

// entry returns a copy of the subject's texts, which may lie in a batch that is
// to be freed. They lie in a row, so that comparing them reads little memory.
func (c *matchCache) entry(s *Subject) *cachedMatch {
	texts := append(make([]string, 0, 3+len(c.keys)), s.InstanceID, s.UserID, s.OrgID)
	for _, key := range c.keys {
		texts = append(texts, s.label(key))
	}
	all := strings.Join(texts, "")
	for i := range texts {
		texts[i], all = all[:len(texts[i])], all[len(texts[i]):]
	}
	return &cachedMatch{instance: texts[0], user: texts[1], org: texts[2], labels: texts[3:]}
}

// labelKeys returns the keys of labels that the selectors of rules name, sorted.
func labelKeys(rules []*Rule) []string {
	var keys []string
	seen := map[string]bool{}
	for _, r := range rules {
		for _, m := range r.Selector.Labels {
			if !seen[m.Key] {
				seen[m.Key] = true
				keys = append(keys, m.Key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}
