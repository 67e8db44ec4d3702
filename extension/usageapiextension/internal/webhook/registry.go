package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Create registers a hook, which must be valid. Its ID, Version, RegisteredAt, Status and Since are
// set here. Errors are ErrFull and ErrNotKept.
func (e *Engine) Create(ctx context.Context, h Hook) (View, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	now := time.Now().Round(0) // as the storage has it: webhooks are listed in the same order after a restart
	h.ID = "wh_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random(15)))
	h.Version, h.RegisteredAt, h.Status, h.Reason, h.Since = nextVersion(0, now), now, Registered, "", now
	e.mu.Lock()
	err := e.roomLocked(h.Owner)
	e.mu.Unlock()
	if err != nil {
		return View{}, err
	}
	ep := newEndpoint(&h)
	if err := e.writeHook(ctx, ep, &h); err != nil {
		return View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endpoints[h.ID] = ep
	e.reindexLocked()
	return ep.view(now), nil
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// nextVersion returns a version after another one, also where the storage with it was lost.
func nextVersion(after uint64, now time.Time) uint64 {
	return max(after+1, uint64(max(0, now.UnixMicro()))) //nolint:gosec // not negative
}

// roomLocked says whether there may be one more hook.
func (e *Engine) roomLocked(o Owner) error {
	if len(e.endpoints) >= e.settings.Limits.Hooks {
		return fmt.Errorf("%w: at most %d", ErrFull, e.settings.Limits.Hooks)
	}
	if o.Admin {
		return nil
	}
	n := 0
	for _, ep := range e.endpoints {
		if ep.hook.Owner == o {
			n++
		}
	}
	if n >= e.settings.Limits.PerOwner {
		return fmt.Errorf("%w of yours: at most %d", ErrFull, e.settings.Limits.PerOwner)
	}
	return nil
}

// Get returns a hook, or ErrNotFound.
func (e *Engine) Get(id string) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ep, err := e.findLocked(id)
	if err != nil {
		return View{}, err
	}
	return ep.view(time.Now()), nil
}

// List returns all hooks, in the order in which they were registered.
func (e *Engine) List() []View {
	e.mu.Lock()
	now := time.Now()
	views := make([]View, 0, len(e.endpoints))
	for _, ep := range e.endpoints {
		views = append(views, ep.view(now))
	}
	e.mu.Unlock()
	slices.SortFunc(views, func(a, b View) int {
		if c := a.RegisteredAt.Compare(b.RegisteredAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return views
}

// Update has change change a copy of a hook, whose error is returned as it is, and puts that
// in its place. expected is the version that the hook has to have; 0 is any. Other errors are
// ErrNotFound, ErrConflict and ErrNotKept; nothing was changed then.
func (e *Engine) Update(ctx context.Context, id string, expected uint64, change func(*Hook) error) (View, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	ep, err := e.findLocked(id)
	if err != nil {
		e.mu.Unlock()
		return View{}, err
	}
	was := ep.hook
	e.mu.Unlock()
	if expected != 0 && expected != was.Version {
		return View{}, fmt.Errorf("%q: %w", id, ErrConflict)
	}
	now := time.Now()
	h := was.clone()
	if err := change(&h); err != nil {
		return View{}, err
	}
	h.ID, h.Owner, h.RegisteredAt, h.Version = was.ID, was.Owner, was.RegisteredAt, nextVersion(was.Version, now)
	if h.Status != was.Status {
		h.Since, h.Reason = now, ""
	}
	if err := e.writeHook(ctx, ep, &h); err != nil {
		return View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ep.hook != was { // it was disabled meanwhile
		h.Version = nextVersion(ep.hook.Version, now)
		e.touchHookLocked(ep)
	}
	// Nothing that changes something else takes that back.
	if ep.hook.Status == Disabled && was.Status != Disabled && h.Status == was.Status {
		h.Status, h.Reason, h.Since = ep.hook.Status, ep.hook.Reason, ep.hook.Since
	}
	disabled := ep.hook.Status == Disabled
	ep.hook = &h
	e.reindexLocked()
	switch {
	case disabled && h.Status != Disabled:
		e.settings.Observe.StatusChanged(&h, false)
		ep.anew(now)
		e.touchHookLocked(ep)
	case was.URL != h.URL:
		ep.anew(now)
		e.touchHookLocked(ep)
	case was.Status == Paused && h.Status == Registered: // nothing was tried meanwhile
		ep.failingSince = time.Time{}
		e.touchHookLocked(ep)
	}
	e.lineUpLocked(ep)
	e.nudge()
	return ep.view(now), nil
}

// anew forgets how an endpoint was: it is another one, or its owner says that it works.
func (ep *endpoint) anew(now time.Time) {
	ep.fails, ep.failingSince, ep.blocked, ep.slow = 0, time.Time{}, time.Time{}, false
	ep.hurry(now)
}

// clone returns a copy that shares nothing which may be changed.
func (h *Hook) clone() Hook {
	c := *h
	c.Types, c.Secrets = slices.Clone(h.Types), slices.Clone(h.Secrets)
	f := &h.Filter
	c.Filter = Filter{
		InstanceIDs: slices.Clone(f.InstanceIDs), UserIDs: slices.Clone(f.UserIDs), OrgIDs: slices.Clone(f.OrgIDs),
		Levels: slices.Clone(f.Levels), Labels: slices.Clone(f.Labels),
	}
	return c
}

// Delete removes a hook and all that waits for it, in one step. When it returns nil, nothing
// is sent any more, or ctx ended. Errors are those of Update.
func (e *Engine) Delete(ctx context.Context, id string, expected uint64) error {
	idle, err := e.remove(ctx, id, expected)
	if err != nil || idle == nil {
		return err
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
	return nil
}

// remove returns a channel that is closed when nothing is sent any more; nil where nothing is.
func (e *Engine) remove(ctx context.Context, id string, expected uint64) (idle <-chan struct{}, err error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	ep, err := e.findLocked(id)
	if err == nil && expected != 0 && expected != ep.hook.Version {
		err = fmt.Errorf("%q: %w", id, ErrConflict)
	}
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := e.writeHook(ctx, ep, nil); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.endpoints, id)
	ep.deleted = true
	ep.leave()
	ep.cancel()
	e.reindexLocked()
	for _, d := range ep.order {
		e.abandonLocked(d)
	}
	ep.order, ep.finished, ep.queue, ep.volatile = nil, nil, nil, nil
	if ep.hook.Status == Disabled {
		e.settings.Observe.StatusChanged(ep.hook, false)
	}
	if ep.inFlight > 0 {
		ep.idle = make(chan struct{})
	}
	return ep.idle, nil
}

// abandonLocked forgets a delivery of a hook that was deleted.
func (e *Engine) abandonLocked(d *delivery) {
	if d.endpoint == nil {
		return // long forgotten
	}
	m := d.message
	m.refs--
	if d.state == Pending {
		m.open--
		e.pending--
		d.state = Dropped
		e.settings.Observe.Finished(m.typ, Dropped, DropDeleted)
	}
	d.endpoint, d.place = nil, -1
	switch {
	case m.refs == 0 && m.open == 0:
		e.evictLocked(m)
	case m.open == 0 && m.closed == nil && !m.evicted:
		e.closedLocked(m)
	}
}

func (e *Engine) findLocked(id string) (*endpoint, error) {
	ep, ok := e.endpoints[id]
	if !ok {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	return ep, nil
}
