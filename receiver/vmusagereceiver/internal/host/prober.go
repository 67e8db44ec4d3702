package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// statfs(2) on a file system whose server or disk is gone can block for ever,
// and nothing interrupts it. So a worker asks one file system after the other
// on a goroutine of its own. When that takes too long, the worker is given up,
// and each file system that it did not come to is asked on its own goroutine,
// in what is left of the time. One that does not answer at all is not asked
// again until it has answered.
//
// A question is asked by whoever moves it from pending to running, so never
// twice; while it is running it is the asker's alone, otherwise the prober's.
type question struct {
	mount
	path  []byte        // for the kernel: with a NUL at its end
	state atomic.Uint64 // the round's number, and in the lowest two bits what is up

	verified bool // what lies there was looked at
	statfs   unix.Statfs_t
	err      error
}

const (
	idle uint64 = iota
	pending
	running
	answered
	states = 3 // mask
)

// A round is one question to each file system that is not being asked still.
type round struct {
	number    uint64 // times states+1
	questions []*question
	left      atomic.Int32
	done      chan struct{} // has an element when none is left
}

type prober struct {
	calls   calls
	root    string
	timeout time.Duration
	// verify is whether what lies at a mount point has to be on the device that
	// mountinfo says: another mount may hide it, or a mounted root may lack it.
	verify bool

	questions []*question // one for each mount that counts
	lost      []*question // that still hang on mounts that are gone
	number    uint64      // of the last round
	round     *round      // the last one; nil where somebody may still look at it
	worker    chan *round // nil where there is none, or where it was given up
	timer     *time.Timer
}

// maxLost bounds how many goroutines hang on mounts that are gone.
const maxLost = 64

// calls are the system calls of the prober, so that tests can take their place.
type calls struct {
	statfs func(path []byte, into *unix.Statfs_t) error // path ends with a NUL
	stat   func(path string, into *unix.Stat_t) error
}

var (
	errStuck  = errors.New("statfs does not return")
	errHidden = errors.New("another device lies there: where a root is mounted, mount it with rslave propagation, so that what is mounted below it is there, too")
)

func newProber(root string, timeout time.Duration) *prober {
	t := time.NewTimer(timeout)
	t.Stop()
	return &prober{
		calls: calls{statfs: statfs, stat: unix.Stat},
		root:  root, timeout: timeout, timer: t,
		verify: isProcfs(filepath.Join(root, "proc")),
	}
}

// set takes over a new list of mounts. What still waits for an answer of a
// mount that is the same goes on waiting.
func (p *prober) set(listed []mount) {
	old := p.questions
	p.questions = make([]*question, 0, len(listed))
	for _, m := range listed {
		q := &question{mount: m, path: append([]byte(filepath.Join(p.root, m.MountPoint)), 0)}
		for _, o := range old {
			if o.mount == m && o.is(running) {
				q = o
			}
		}
		p.questions = append(p.questions, q)
	}
	for _, o := range old {
		if o.is(running) && !slices.Contains(p.questions, o) {
			p.lost = append(p.lost, o)
		}
	}
}

func (q *question) is(state uint64) bool { return q.state.Load()&states == state }

// start asks all file systems.
func (p *prober) start() {
	if len(p.lost) > 0 {
		p.lost = slices.DeleteFunc(p.lost, func(q *question) bool { return !q.is(running) })
	}
	r := p.prepare()
	if len(r.questions) == 0 || len(p.lost) >= maxLost {
		return
	}
	if p.worker == nil {
		p.worker = make(chan *round, 1)
		go work(p.worker, p.calls, p.verify)
	}
	p.worker <- r
}

// finish waits for the answers until the time is up or ctx ends, and appends
// what they say to into.
func (p *prober) finish(ctx context.Context, into []Filesystem) ([]Filesystem, []error) {
	if len(p.lost) >= maxLost {
		return into, []error{fmt.Errorf("file systems: %d that are unmounted still do not return from statfs", len(p.lost))}
	}
	p.wait(ctx)
	var errs []error
	for _, q := range p.questions {
		f, err := q.Filesystem, errStuck
		if q.is(answered) {
			if err = q.err; err == nil {
				err = f.fill(&q.statfs)
			}
		}
		switch {
		case err == nil:
			into = append(into, f)
		case p.root == "/" && errors.Is(err, errHidden): // by a mount over it: nobody can reach it
		default:
			errs = append(errs, fmt.Errorf("file system %s: %w; mend it, or leave it out with filesystems::mount_points::exclude", q.MountPoint, err))
		}
	}
	return into, errs
}

// prepare makes a round of all questions that nobody is asking.
func (p *prober) prepare() *round {
	r := p.round
	if r == nil {
		r = &round{done: make(chan struct{}, 1)}
		p.round = r
	}
	p.number += states + 1
	r.number, r.questions = p.number, r.questions[:0]
	for _, q := range p.questions {
		was := q.state.Load()
		if was&states != running && q.state.CompareAndSwap(was, r.number|pending) {
			r.questions = append(r.questions, q)
		}
	}
	r.left.Store(int32(len(r.questions))) //nolint:gosec // a number of mounts
	return r
}

func (p *prober) wait(ctx context.Context) {
	r := p.round
	if len(r.questions) == 0 {
		return
	}
	select {
	case <-r.done: // while other files were read
		return
	default:
	}
	p.timer.Reset(p.timeout / 2)
	defer p.timer.Stop()
	select {
	case <-r.done:
		return
	case <-ctx.Done():
	case <-p.timer.C:
	}
	close(p.worker)
	p.worker, p.round = nil, nil
	for _, q := range r.questions {
		if q.is(pending) {
			go q.ask(r, p.calls, p.verify)
		}
	}
	p.timer.Reset(p.timeout - p.timeout/2)
	select {
	case <-r.done:
	case <-ctx.Done():
	case <-p.timer.C:
	}
}

func work(rounds <-chan *round, c calls, verify bool) {
	for r := range rounds {
		for _, q := range r.questions {
			q.ask(r, c, verify)
		}
	}
}

// ask asks unless somebody else does, or the round is over.
func (q *question) ask(r *round, c calls, verify bool) {
	if !q.state.CompareAndSwap(r.number|pending, r.number|running) {
		return
	}
	q.err = q.call(c, verify)
	q.state.Store(r.number | answered)
	if r.left.Add(-1) == 0 {
		r.done <- struct{}{}
	}
}

func (q *question) call(c calls, verify bool) error {
	if verify && q.dev != 0 && !q.verified {
		var st unix.Stat_t
		err := c.stat(string(q.path[:len(q.path)-1]), &st)
		switch {
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
			return errHidden
		case err != nil:
			return err
		case uint64(st.Dev) != q.dev: //nolint:unconvert // 32 bits on some machines
			return errHidden
		}
		q.verified = true
	}
	return c.statfs(q.path, &q.statfs)
}

// close ends the worker. What hangs in a system call ends when that returns.
func (p *prober) close() {
	p.timer.Stop()
	if p.worker != nil {
		close(p.worker)
		p.worker = nil
	}
}
