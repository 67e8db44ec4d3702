package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// The values in the storage. A message is its body and who it is for, written in one batch with
// the page that says so; what became of it is written now and then.
//
//	pages     which pages there are
//	page.N    which messages there are, see [pages]
//	to.N      message N: the event, its mark, and each delivery
//	body.N    message N: what is sent
//	hooks.XX  the hooks, by a hash of their id
//	marks.XX  the marks of messages that are gone

const (
	flushMessages = 1024    // at once
	flushBytes    = 4 << 20 // of bodies
)

// write writes new messages. writing is held.
func (e *Engine) write(ctx context.Context, messages []*message) error {
	var ops []Op
	changed, list := map[uint64]struct{}{}, false
	e.mu.Lock()
	for _, m := range messages {
		if m.number == 0 {
			continue
		}
		at, added := e.pages.set(m.number)
		changed[at] = struct{}{}
		list = list || added
		ops = append(ops, Op{bodyKey(m.number), encodeBody(m.body)}, Op{toKey(m.number), m.encodeLocked()})
	}
	e.mu.Unlock()
	if len(ops) == 0 {
		return nil
	}
	for at := range changed {
		ops = append(ops, e.pages.op(at))
	}
	if list {
		ops = append(ops, e.pages.listOp())
	}
	// Who hands over events may go away meanwhile: they are written all the same.
	err := e.settings.Storage.Write(context.WithoutCancel(ctx), ops)
	e.settings.Observe.Written(err)
	if err != nil {
		for _, m := range messages {
			if m.number != 0 {
				e.pages.clear(m.number)
			}
		}
	}
	return err
}

// writeHook writes the value that a hook is in, with h in its place; nil is for none. writing is held.
func (e *Engine) writeHook(ctx context.Context, ep *endpoint, h *Hook) error {
	if e.settings.Storage == nil {
		return nil
	}
	shard := shardOf(ep.hook.ID)
	e.mu.Lock()
	value := e.encodeHooksLocked(shard, ep, h)
	e.mu.Unlock()
	// A client that goes away leaves no doubt whether its hook was written.
	err := e.settings.Storage.Write(context.WithoutCancel(ctx), []Op{{hookKey(shard), value}})
	e.settings.Observe.Written(err)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}

// encodeHooksLocked returns the value of a shard, with h in the place of the hook of ep; nil
// leaves that out.
func (e *Engine) encodeHooksLocked(shard int, ep *endpoint, h *Hook) []byte {
	var n uint64
	var hooks []byte
	add := func(h *Hook, of *endpoint) {
		n++
		hooks = appendHook(hooks, h, of)
	}
	for id, other := range e.endpoints {
		if other != ep && shardOf(id) == shard {
			add(other.hook, other)
		}
	}
	if h != nil {
		add(h, ep)
	}
	value := binary.AppendUvarint(wire.Begin(nil, wire.KindHooks), n)
	return wire.Seal(append(value, hooks...))
}

// flush writes what became of deliveries.
func (e *Engine) flush(ctx context.Context) error {
	if e.settings.Storage == nil {
		return nil
	}
	for {
		e.writing.Lock()
		more, err := e.flushSome(ctx)
		e.writing.Unlock()
		if err != nil || !more {
			return err
		}
	}
}

// portion is what is written at once.
type portion struct {
	ops      []Op
	messages []*message // that are in it, or go
	bodies   []*message // that are in it for the first time
	shards   []int      // of hooks
	marks    []int
}

// flushSome writes a portion and reports whether there is more. writing is held.
func (e *Engine) flushSome(ctx context.Context) (more bool, err error) {
	e.mu.Lock()
	p := e.portionLocked()
	more = len(e.dirty) > 0 || len(e.unwritten) > len(p.bodies)
	e.mu.Unlock()
	if len(p.ops) == 0 {
		return more, nil
	}
	err = e.settings.Storage.Write(ctx, p.ops)
	e.settings.Observe.Written(err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.unflushedLocked(p)
		return false, err
	}
	for _, m := range p.bodies {
		m.written = true
		if _, is := e.unwritten[m]; is {
			delete(e.unwritten, m)
			e.unwrittenBytes -= m.size
		}
		if m.open == 0 {
			e.uncacheLocked(m)
		}
	}
	return more, nil
}

// portionLocked takes what is to be written, and notes in the pages that it is.
func (e *Engine) portionLocked() *portion {
	p := &portion{}
	changed, list := map[uint64]struct{}{}, false
	page := func(at uint64, other bool) {
		changed[at] = struct{}{}
		list = list || other
	}
	var bytes int64
	for m := range e.unwritten {
		if len(p.bodies) >= flushMessages || bytes > flushBytes {
			break
		}
		bytes += m.size
		p.bodies = append(p.bodies, m)
		page(e.pages.set(m.number))
		p.ops = append(p.ops, Op{bodyKey(m.number), encodeBody(m.body)}, Op{toKey(m.number), m.encodeLocked()})
		delete(e.dirty, m)
	}
	for m := range e.dirty {
		if len(p.messages) >= flushMessages {
			break
		}
		delete(e.dirty, m)
		p.messages = append(p.messages, m)
		switch {
		case !m.evicted && e.pages.has(m.number):
			p.ops = append(p.ops, Op{toKey(m.number), m.encodeLocked()})
		case !m.evicted: // its body is written first
		default:
			if m.mark.Key != [16]byte{} {
				e.marks.release(m.mark.Key, m.number)
			}
			if e.pages.has(m.number) {
				page(e.pages.clear(m.number))
				p.ops = append(p.ops, Op{Key: toKey(m.number)}, Op{Key: bodyKey(m.number)})
			}
		}
	}
	for at := range changed {
		p.ops = append(p.ops, e.pages.op(at))
	}
	if list {
		p.ops = append(p.ops, e.pages.listOp())
	}
	for shard := range e.states {
		p.shards = append(p.shards, shard)
		p.ops = append(p.ops, Op{hookKey(shard), e.encodeHooksLocked(shard, nil, nil)})
	}
	clear(e.states)
	for shard := range e.marks.dirty {
		e.marks.prune(shard, time.Now())
		p.marks = append(p.marks, shard)
		p.ops = append(p.ops, Op{markKey(shard), e.marks.encode(shard)})
	}
	clear(e.marks.dirty)
	return p
}

// unflushedLocked takes back that a portion was written.
func (e *Engine) unflushedLocked(p *portion) {
	for _, m := range p.bodies {
		if e.pages.has(m.number) {
			e.pages.clear(m.number)
		}
	}
	for _, m := range p.messages {
		e.dirty[m] = struct{}{}
		if m.evicted && m.written && !e.pages.has(m.number) {
			e.pages.set(m.number) // and so it is to be removed still
		}
	}
	for _, shard := range p.shards {
		e.states[shard] = struct{}{}
	}
	for _, shard := range p.marks {
		e.marks.dirty[shard] = struct{}{}
	}
}

// errDamaged is that a payload can never be read.
var errDamaged = errors.New("the payload is damaged")

// readBody returns what is sent of a message, from the storage.
func (e *Engine) readBody(ctx context.Context, m *message) ([]byte, error) {
	values, err := e.settings.Storage.Read(ctx, []string{bodyKey(m.number)})
	if err != nil {
		e.settings.Observe.Written(err)
		return nil, err
	}
	body, err := wire.Open(values[0], wire.KindBody)
	if err != nil {
		e.settings.Observe.Damaged(bodyKey(m.number), err)
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return body, nil
}
