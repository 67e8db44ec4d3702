package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// corruptPrefix is under which values lie that could not be used.
const corruptPrefix = "corrupt/"

// readAtOnce is how many values are read at once.
const readAtOnce = 1024

// restoring is what is being read.
type restoring struct {
	*Engine
	ctx    context.Context //nolint:containedctx // of Open
	repair []Op
}

// restore reads what is in the storage. What cannot be used is set aside and told to the
// observer; the rest is used.
func (e *Engine) restore(ctx context.Context) error {
	r := &restoring{Engine: e, ctx: ctx}
	for _, step := range []func() error{r.hooks, r.knownMarks, r.messages} {
		if err := step(); err != nil {
			return err
		}
	}
	if len(r.repair) > 0 {
		if err := e.settings.Storage.Write(ctx, r.repair); err != nil {
			return fmt.Errorf("set values aside: %w", err)
		}
	}
	for _, ep := range e.endpoints {
		slices.SortFunc(ep.order, func(a, b *delivery) int { return cmp.Compare(a.number, b.number) })
		e.lineUpLocked(ep)
	}
	return nil
}

// bad sets a value aside. The error is that of a newer version.
func (r *restoring) bad(key string, value []byte, err error) error {
	if errors.Is(err, wire.ErrNewer) {
		return fmt.Errorf("%s: %w", key, err)
	}
	r.settings.Observe.Damaged(key, err)
	r.repair = append(r.repair, Op{corruptPrefix + key, value}, Op{Key: key})
	return nil
}

// read calls f with each value of keys that there is.
func (r *restoring) read(keys []string, f func(i int, value []byte) error) error {
	for from := 0; from < len(keys); from += readAtOnce {
		values, err := r.settings.Storage.Read(r.ctx, keys[from:min(from+readAtOnce, len(keys))])
		if err != nil {
			return err
		}
		for i, value := range values {
			if err := f(from+i, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restoring) hooks() error {
	keys := make([]string, hookShards)
	for i := range keys {
		keys[i] = hookKey(i)
	}
	return r.read(keys, func(i int, value []byte) error {
		if value == nil {
			return nil
		}
		eps, err := decodeHooks(value)
		if err != nil {
			return r.bad(keys[i], value, err)
		}
		for _, ep := range eps {
			if shardOf(ep.hook.ID) != i || r.endpoints[ep.hook.ID] != nil {
				return r.bad(keys[i], value, fmt.Errorf("%w: hook %q does not belong there", wire.ErrCorrupt, ep.hook.ID))
			}
		}
		for _, ep := range eps {
			r.endpoints[ep.hook.ID] = ep
		}
		return nil
	})
}

func (r *restoring) knownMarks() error {
	keys := make([]string, markShards)
	for i := range keys {
		keys[i] = markKey(i)
	}
	return r.read(keys, func(i int, value []byte) error {
		if value == nil {
			return nil
		}
		if err := r.marks.decode(i, value); err != nil {
			return r.bad(keys[i], value, err)
		}
		return nil
	})
}

func (r *restoring) messages() error {
	list, err := r.listed()
	if err != nil {
		return err
	}
	for _, at := range list {
		numbers := r.pages.numbers(at)
		keys := make([]string, len(numbers))
		for i, n := range numbers {
			keys[i] = toKey(n)
		}
		err := r.read(keys, func(i int, value []byte) error {
			return r.message(numbers[i], keys[i], value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// listed reads the pages and returns which there are. Of one that is damaged it is tried out what
// is in it.
func (r *restoring) listed() ([]uint64, error) {
	var list []uint64
	err := r.read([]string{pagesKey}, func(_ int, value []byte) (err error) {
		if value == nil {
			return nil
		}
		if list, err = decodePages(value); err != nil {
			list = nil
			return r.bad(pagesKey, value, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(list))
	for i, at := range list {
		keys[i] = pageKey(at)
	}
	return list, r.read(keys, func(i int, value []byte) error {
		p, err := decodePage(value)
		if err != nil {
			p = fullPage()
			if value != nil {
				err = r.bad(keys[i], value, err)
			} else {
				r.settings.Observe.Damaged(keys[i], err)
				err = nil
			}
		}
		r.pages[list[i]] = p
		return err
	})
}

// message takes one that was read.
func (r *restoring) message(number uint64, key string, value []byte) error {
	if value == nil { // tried out in vain
		r.gone(number)
		return nil
	}
	m, err := decodeMessage(number, value, r.endpoints)
	if err != nil {
		if err := r.bad(key, value, err); err != nil {
			return err
		}
		r.repair = append(r.repair, Op{Key: bodyKey(number)})
		r.gone(number)
		return nil
	}
	r.sequence = max(r.sequence, number)
	if m.mark.Key != [16]byte{} {
		if last, ok := r.marks.get(m.mark.Key); !ok || m.mark.Sequence >= last.Sequence {
			r.marks.set(m.mark, number, time.Unix(0, m.accepted))
		}
	}
	latest := time.Now().Add(r.settings.Schedule.longest())
	for _, d := range m.to {
		ep := d.endpoint
		ep.last = max(ep.last, d.number)
		ep.order = append(ep.order, d)
		m.refs++
		if d.state == Pending {
			m.open++
			r.pending++
			if d.due.After(latest) { // the clock was ahead when that was written
				d.due = latest
			}
			ep.queue.add(d)
			continue
		}
		for _, f := range ep.finish(d, r.settings.Limits.History) {
			if f.message != m && f.message.refs == 0 && f.message.open == 0 {
				r.evictLocked(f.message)
			}
		}
	}
	if m.open == 0 {
		r.closedLocked(m)
	}
	return nil
}

// gone takes a message out of the pages.
func (r *restoring) gone(number uint64) {
	at, removed := r.pages.clear(number)
	r.repair = append(r.repair, r.pages.op(at))
	if removed {
		r.repair = append(r.repair, r.pages.listOp())
	}
}
