package usageeventexporter

import (
	"context"
	"sync"
)

// turns lets produce calls run together, or one of them alone. One that wants to
// be alone comes before those that ask later.
type turns struct {
	mu       sync.Mutex
	changed  sync.Cond // of what follows, with mu
	together int
	alone    bool
	wanted   int // how many wait to be alone
}

func newTurns() *turns {
	t := &turns{}
	t.changed.L = &t.mu
	return t
}

// take waits for a turn until ctx ends; then it returns its cause. Otherwise end
// is to be called when the turn is over.
func (t *turns) take(ctx context.Context, alone bool) (end func(), err error) {
	defer context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})()
	t.mu.Lock()
	defer t.mu.Unlock()
	if alone {
		t.wanted++
		t.waitLocked(ctx, func() bool { return !t.alone && t.together == 0 })
		t.wanted--
	} else {
		t.waitLocked(ctx, func() bool { return !t.alone && t.wanted == 0 })
	}
	if ctx.Err() != nil {
		t.changed.Broadcast() // nobody is held up any more by what was wanted
		return nil, context.Cause(ctx)
	}
	if alone {
		t.alone = true
	} else {
		t.together++
	}
	return t.end, nil
}

func (t *turns) waitLocked(ctx context.Context, free func() bool) {
	for ctx.Err() == nil && !free() {
		t.changed.Wait()
	}
}

// end ends the turn of one that is alone, or of one of those together.
func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.alone {
		t.alone = false
	} else {
		t.together--
	}
	t.changed.Broadcast()
}
