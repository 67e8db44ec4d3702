package store

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Settings bound a store.
type Settings struct {
	MaxInstances int
	MaxBytes     int64         // as it is estimated
	Retain       time.Duration // how long an instance is known after its last data
	Now          func() time.Time
}

// A Store is what is known of all instances. It is safe for concurrent use.
type Store struct {
	settings Settings
	readers  sync.Pool // of *reader

	// version is that of the last change. It is raised while the lock of the entry
	// is held that changes.
	version atomic.Uint64
	bytes   atomic.Int64
	arrived atomic.Int64 // unix ns at which the last levels or usage came; 0: none did

	mu      sync.RWMutex
	entries map[string]*Entry
	sorted  []*Entry // by id, never changed in place; nil where it is to be made anew
	gone    graveyard
	changed chan struct{}
}

// New returns an empty store.
func New(s Settings) *Store {
	return &Store{
		settings: s,
		readers:  sync.Pool{New: func() any { return new(reader) }},
		entries:  map[string]*Entry{},
		changed:  make(chan struct{}),
	}
}

// Get returns the entry of an instance, or nil.
func (s *Store) Get(id string) *Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[id]
}

// All returns all entries, sorted by id. Nobody may change the list.
func (s *Store) All() []*Entry {
	s.mu.RLock()
	all := s.sorted
	s.mu.RUnlock()
	if all != nil {
		return all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		all = make([]*Entry, 0, len(s.entries))
		for _, e := range s.entries {
			all = append(all, e)
		}
		slices.SortFunc(all, func(a, b *Entry) int { return strings.Compare(a.id, b.id) })
		s.sorted = all
	}
	return s.sorted
}

// Len returns of how many instances something is known.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.entries)
}

// Bytes estimates the memory of all entries.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// LastData returns when levels or usage came last; zero where none did.
func (s *Store) LastData() time.Time {
	if ns := s.arrived.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Changes returns the version of the last change, and a channel that is closed at
// the next one.
func (s *Store) Changes() (version uint64, next <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version.Load(), s.changed
}

// tell wakes who waits for changes.
func (s *Store) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// entry returns the entry of an instance, which is made where there is none and
// there is room; else nil and the reason.
func (s *Store) entry(id string, at int64) (*Entry, Reason) {
	if e := s.Get(id); e != nil {
		return e, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		return e, ""
	}
	switch {
	case s.gone.buried(id, at):
		return nil, reasonGone
	case len(s.entries) >= s.settings.MaxInstances:
		return nil, ReasonInstances
	case s.bytes.Load() >= s.settings.MaxBytes:
		return nil, ReasonBytes
	}
	e := &Entry{id: cloned(id)}
	e.data.Levels.marked = -1
	e.data.touched = s.settings.Now()
	e.size = e.sizeLocked()
	s.bytes.Add(e.size)
	s.entries[e.id] = e
	s.sorted = nil
	return e, ""
}

// drop removes an entry. end is until when data of the instance is of no use any more.
func (s *Store) drop(e *Entry, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.id] != e {
		return
	}
	delete(s.entries, e.id)
	s.sorted = nil
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead = true
	s.bytes.Add(-e.size)
	s.gone.bury(Gone{
		ID: e.id, UserID: e.data.Instance.UserID, OrgID: e.data.Instance.OrgID,
		Version: s.version.Add(1), end: end,
	})
}

// Prune drops the instances of which nothing came for too long, and returns how many
// there were.
func (s *Store) Prune() int {
	now := s.settings.Now()
	n := 0
	for _, e := range s.All() {
		old := false
		e.Read(func(d *Data) { old = now.Sub(d.touched) > s.settings.Retain })
		if old {
			s.drop(e, 0)
			n++
		}
	}
	if n > 0 {
		s.tell()
	}
	return n
}

// Stalled returns how many instances sent no levels for longer than twice the
// interval at which they are used to, or than most.
func (s *Store) Stalled(most time.Duration) (stalled, of int) {
	const least = 2 * time.Second
	now := s.settings.Now()
	for _, e := range s.All() {
		e.Read(func(d *Data) {
			of++
			since := d.arrived
			if since.IsZero() {
				since = d.touched
			}
			limit := most
			if d.interval > 0 {
				limit = min(max(2*d.interval+d.interval/4, least), most)
			}
			if now.Sub(since) > limit {
				stalled++
			}
		})
	}
	return stalled, of
}
