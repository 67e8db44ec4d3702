package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A roster is what an enumeration found.
type roster struct {
	gpus     []found
	skipped  map[int]bool // indices of GPUs that were not asked
	problems []error      // GPUs that are there and could not be identified
}

type found struct {
	id        Identity
	dev       device
	instances []found // MIG
}

// list enumerates all but the GPUs at some indices. It returns an error where
// there is no use in going on.
func list(d driver, skip map[int]bool) (*roster, error) {
	n, err := d.Count()
	if err != nil {
		return nil, err
	}
	r := &roster{skipped: skip}
	for i := range n {
		if skip[i] {
			continue
		}
		f, err := identify(d, i)
		switch {
		case err == nil:
			r.gpus = append(r.gpus, f)
		case codeOf(err).driverGone():
			return nil, err
		default:
			r.problems = append(r.problems, fmt.Errorf("GPU %d cannot be identified: %w", i, err))
		}
	}
	return r, nil
}

func identify(d driver, i int) (f found, err error) {
	if f.dev, err = d.Device(i); err != nil {
		return f, err
	}
	if f.id, err = f.dev.Identify(); err != nil {
		return f, err
	}
	f.id.Index, f.id.Name = i, fmt.Sprintf("GPU %d", i)
	if !f.id.MIG {
		return f, nil
	}
	instances, err := f.dev.Instances()
	if err != nil {
		return f, err
	}
	for n, dev := range instances {
		id, err := dev.Identify()
		if err != nil {
			return f, err
		}
		id.Index, id.Parent, id.ParentIndex, id.MIG = n, f.id.UUID, i, false
		id.Name = fmt.Sprintf("GPU %d MIG %d", i, n)
		f.instances = append(f.instances, found{id: id, dev: dev})
	}
	return f, nil
}

// enumerate looks for GPUs that came or went. One that hangs is not asked: it is
// as it was.
func (m *Meter) enumerate() error {
	skip := map[int]bool{}
	m.mu.Lock()
	for _, w := range m.workers {
		if !w.stopped && m.overdue(w) >= m.cfg.Timeout {
			skip[w.id().Index] = true
		}
	}
	m.mu.Unlock()
	var r *roster
	err := m.do(func() (err error) {
		listed, err := list(m.driver, skip)
		if err == nil {
			r = listed
		}
		return err
	})
	if err != nil {
		return err
	}
	m.reconcile(r)
	for _, problem := range r.problems {
		if codeOf(problem).gpuGone() {
			m.gone(problem)
		}
	}
	return nil
}

// overdue is for how long a worker has not answered.
func (m *Meter) overdue(w *worker) time.Duration {
	since := w.pending.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(m.clock().Boot - since)
}

// reconcile starts workers for GPUs that came and stops those of GPUs that went.
// Where an enumeration is not complete, nobody has gone.
func (m *Meter) reconcile(r *roster) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make([]*worker, 0, len(r.gpus))
	for i := range r.gpus {
		f := &r.gpus[i]
		if !m.cfg.counts(&f.id) {
			continue
		}
		at := slices.IndexFunc(m.workers, func(w *worker) bool { return w.id().UUID == f.id.UUID })
		if at >= 0 && !m.workers[at].stopped && m.workers[at].meters(f) {
			next = append(next, m.workers[at])
			continue
		}
		if at >= 0 {
			m.stopLocked(m.workers[at])
		}
		w := newWorker(m, m.units(f))
		next = append(next, w)
		go w.run()
	}
	for _, w := range m.workers {
		if slices.ContainsFunc(next, func(o *worker) bool { return o.id().UUID == w.id().UUID }) {
			continue
		}
		if len(r.problems) > 0 || r.skipped[w.id().Index] {
			next = append(next, w)
			continue
		}
		m.stopLocked(w)
	}
	slices.SortFunc(next, func(x, y *worker) int { return cmp.Compare(x.id().Index, y.id().Index) })
	m.workers = next
	m.state, m.err = Ready, errors.Join(r.problems...)
	m.enumerated = m.enumerated || m.err == nil
}

// meters reports whether w meters just what was found.
func (w *worker) meters(f *found) bool {
	if len(w.units) > 1+len(f.instances) || w.id().MIG != f.id.MIG || w.id().Index != f.id.Index {
		return false
	}
	n := 1
	for i := range f.instances {
		in := &f.instances[i].id
		switch {
		case n < len(w.units) && w.units[n].id == *in:
			n++
		case w.meter.cfg.Exclude.matches(in):
		default:
			return false
		}
	}
	return n == len(w.units)
}

// units are what is metered of a GPU: itself, and its MIG instances.
func (m *Meter) units(f *found) []*unit {
	us := []*unit{{id: f.id, dev: f.dev, tally: m.tally(f.id.UUID), owner: m.cfg.owner(&f.id, nil)}}
	for i := range f.instances {
		in := &f.instances[i]
		if !m.cfg.Exclude.matches(&in.id) {
			us = append(us, &unit{id: in.id, dev: in.dev, tally: m.tally(in.id.UUID), owner: m.cfg.owner(&in.id, &f.id)})
		}
	}
	return us
}

// tally returns what was added up for a UUID. It forgets those that nobody adds
// to any more when there are too many: MIG instances get new UUIDs when they are
// made anew.
func (m *Meter) tally(uuid string) *tally {
	if t, known := m.tallies[uuid]; known {
		return t
	}
	if len(m.tallies) >= maxTallies {
		for u := range m.tallies {
			used := slices.ContainsFunc(m.workers, func(w *worker) bool {
				return slices.ContainsFunc(w.units, func(o *unit) bool { return o.id.UUID == u })
			})
			if !used {
				delete(m.tallies, u)
			}
		}
	}
	t := newTally(m.clock())
	m.tallies[uuid] = t
	return t
}

func (m *Meter) stopLocked(w *worker) {
	if !w.stopped {
		w.stopped = true
		close(w.stop)
	}
}

// replaceHung gives up the workers that hang for too long. Another one asks the
// GPU anew; if that hangs, too, it is given twice the time.
func (m *Meter) replaceHung() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, w := range m.workers {
		if w.stopped || m.overdue(w) < w.patience || m.hanging.Load() >= maxHanging {
			continue
		}
		m.hanging.Add(1)
		w.givenUp.Store(true)
		m.stopLocked(w)
		units := make([]*unit, len(w.units))
		for k, u := range w.units {
			units[k] = &unit{id: u.id, dev: u.dev.Renew(), tally: u.tally, owner: u.owner}
		}
		n := newWorker(m, units)
		n.patience = min(2*w.patience, maxPatience)
		m.workers[i] = n
		m.counts.add(0, 1, 0)
		go n.run()
	}
}

// shut stops all workers and closes the driver, unless somebody hangs in it.
func (m *Meter) shut() {
	if m.dismiss() {
		_ = m.do(m.driver.Close) // counted; the next Open begins anew anyway
	}
}

// dismiss stops all workers, and reports whether they have ended. They stay on
// the list: their GPUs are not gone.
func (m *Meter) dismiss() bool {
	m.mu.Lock()
	workers := slices.Clone(m.workers)
	for _, w := range workers {
		m.stopLocked(w)
	}
	m.mu.Unlock()
	timer := time.NewTimer(m.cfg.Timeout)
	defer timer.Stop()
	for _, w := range workers {
		select {
		case <-w.done:
			continue
		case <-timer.C:
			return false
		}
	}
	return m.hanging.Load() == 0
}
