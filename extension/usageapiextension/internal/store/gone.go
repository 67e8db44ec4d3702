package store

// Gone is an instance that is no longer there.
type Gone struct {
	ID, UserID, OrgID string
	Version           uint64
	end               int64 // unix ns; data up to then is of no use
}

// graveyard remembers the last that went, so that what comes late does not bring
// them back.
type graveyard struct {
	ring [1024]Gone
	next int
	full bool
}

func (g *graveyard) bury(n Gone) {
	g.ring[g.next] = n
	g.next = (g.next + 1) % len(g.ring)
	g.full = g.full || g.next == 0
}

func (g *graveyard) all() []Gone {
	if g.full {
		return g.ring[:]
	}
	return g.ring[:g.next]
}

// buried reports whether data of that time is of an instance that went later.
func (g *graveyard) buried(id string, at int64) bool {
	for i := range g.all() {
		if n := &g.ring[i]; n.ID == id && at <= n.end {
			return true
		}
	}
	return false
}

// GoneSince returns the instances that went after a version, in any order. complete is
// false where there may be more than are remembered.
func (s *Store) GoneSince(version uint64) (gone []Gone, complete bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	oldest := ^uint64(0)
	for _, n := range s.gone.all() {
		oldest = min(oldest, n.Version)
		if n.Version > version {
			gone = append(gone, n)
		}
	}
	return gone, !s.gone.full || oldest <= version+1
}
