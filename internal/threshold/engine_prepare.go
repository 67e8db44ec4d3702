package threshold

// An offer is what a transaction was about to say of an episode: that it fires at
// a level, or at OK that it is over. Nobody heard whether that was taken.
type offer struct {
	made  bool
	level Level
}

// Prepare remembers, before the batch is handed on, what the transaction is about
// to say of episodes, and those that it begins. It reports whether there is anything:
// then call [Engine.Flush], so that it outlives the process.
//
// Should the process die after the next consumer took the batch and before that
// is written, then what is measured next is held against what may have been said. The same is said again
// under the same ids (the id of an episode has its start in it); anything else is a
// change from it, and said under another. Of several things that one transaction
// says of one episode that holds for the last.
//
// If the transaction is rolled back, what it began is known to have begun, nothing
// was said of it, and what is measured next says so.
func (tx *Tx) Prepare() bool {
	if tx.work == nil || len(tx.said) == 0 {
		return false
	}
	e := tx.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	something := false
	for _, n := range tx.work.claimed {
		something = e.prepare(n) || something
	}
	return something
}

func (e *Engine) prepare(n *entry) bool {
	p := n.work
	if p.removed {
		return false
	}
	to, undo := p.said, n.state.vital
	if n.exists && !n.state.closed {
		if p.closed || p.since != n.state.since { // it is over, whether another began or not
			to = OK
		}
		n.state.assume(to)
		if to == n.state.said {
			return false
		}
	} else {
		if p.closed || to == OK {
			return false
		}
		e.begin(n)
		undo = n.state.vital
	}
	n.state.offered = offer{true, to}
	n.undo = &undo
	e.dirty[n.spot.shard] = struct{}{}
	return true
}

// begin makes of what a transaction began an episode that fires and was not announced.
func (e *Engine) begin(n *entry) {
	n.state = *n.work
	p := &n.state
	p.said, p.saidAt, p.counts, p.kept = OK, 0, [NumLevels]uint32{}, kept{}
	p.last-- // the same measurement may come again, and is to be heard
	if n.begun {
		n.begun = false
		e.begun--
	}
	e.unlist(n)
	if !n.exists {
		n.exists = true
		e.shards[n.spot.shard].addEntry(n)
	}
}

// assume takes for said what was offered, where what there is to say now is something else.
func (p *episode) assume(level Level) {
	o := p.offered
	if !o.made || o.level == level {
		return
	}
	p.counts[o.level]++
	p.said, p.offered = o.level, offer{}
	if o.level != OK {
		p.was = o.level
	}
}
