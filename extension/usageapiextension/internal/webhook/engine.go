package webhook

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is who wants to hear of what, and what waits to be delivered. It is safe for
// concurrent use.
//
// Lock order: writing, then mu. Only writing is held while the storage is written, so that
// neither requests nor who looks at a hook wait for a disk.
type Engine struct {
	settings Settings

	writing  sync.Mutex // one change of what is kept at a time
	sequence uint64     // number of the newest message; guarded by writing
	pages    pages      // guarded by writing
	marks    marks      // guarded by writing
	batch    Batch      // guarded by writing

	matching atomic.Pointer[index]

	mu        sync.Mutex
	endpoints map[string]*endpoint // by the id of the hook
	calm      line                 // endpoints that have something to send
	ailing    line                 // likewise, those whose last attempt failed or took long
	inFlight  int                  // tests left out: they take no workers
	suspects  int                  // of them, to endpoints of which the last attempt had failed or taken long
	pending   int                  // deliveries that wait or are being sent
	stopped   bool

	unwritten      map[*message]struct{} // bodies to be written
	unwrittenBytes int64
	dirty          map[*message]struct{} // deliveries to be written
	states         map[int]struct{}      // shards of hooks to be written
	finished       *list.List            // of *message, of which no delivery waits, in that order
	finishedBytes  int64
	bodies         []*message // those that may have their body in memory besides the storage, in order of arrival
	bodyBytes      int64
	bodyCount      int

	wake    chan struct{} // the dispatcher
	soon    chan struct{} // who writes what became of deliveries
	stop    context.CancelFunc
	running sync.WaitGroup
	sending context.Context //nolint:containedctx // ends all attempts
	abort   context.CancelFunc
}

const (
	// flushEvery is how often is written what became of deliveries: after a crash, what was
	// delivered since is delivered again.
	flushEvery = time.Second
	// sweepEvery is how often deliveries are looked for that wait for too long.
	sweepEvery = time.Minute
	// bodyMemory is how many bytes of bodies that are in the storage stay in memory, too.
	bodyMemory = 16 << 20
)

// Open returns an engine with what is in the storage. It delivers from Start on. An error that
// wraps wire.ErrNewer says that what is kept is of a newer version, and not to be touched.
func Open(ctx context.Context, s Settings) (*Engine, error) {
	e := &Engine{
		settings: s, endpoints: map[string]*endpoint{}, marks: newMarks(), pages: pages{},
		unwritten: map[*message]struct{}{}, dirty: map[*message]struct{}{}, states: map[int]struct{}{},
		finished: list.New(),
		wake:     make(chan struct{}, 1), soon: make(chan struct{}, 1), stop: func() {},
	}
	e.batch.engine, e.batch.known = e, map[[16]byte]Mark{}
	e.sending, e.abort = context.WithCancel(context.Background())
	if s.Storage != nil {
		if err := e.restore(ctx); err != nil {
			return nil, err
		}
	}
	e.reindexLocked()
	return e, nil
}

// Start begins to deliver.
func (e *Engine) Start() {
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.running.Go(func() { e.dispatch(ctx) })
	e.running.Go(func() { e.keep(ctx) })
}

// Shutdown lets requests that are under way end, for as long as ctx allows, and writes what
// became of them. What is not delivered waits for the next start.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.stop()
	ended := context.AfterFunc(ctx, e.abort)
	e.running.Wait()
	ended()
	e.abort()
	return e.flush(context.WithoutCancel(ctx))
}

// Wants reports whether some hook may take events of a type: a look before anything is built.
func (e *Engine) Wants(t Type) bool { return (*e.matching.Load())[t] != nil }

// Stats says how the engine is.
func (e *Engine) Stats() Stats {
	e.writing.Lock()
	marks := e.marks.len()
	e.writing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Stats{
		Hooks: len(e.endpoints), Pending: e.pending, InFlight: e.inFlight, History: e.finishedBytes,
		Unwritten: e.unwrittenBytes, Marks: marks,
	}
	var oldest int64
	for _, ep := range e.endpoints {
		if ep.hook.Status == Disabled {
			s.Disabled++
		}
		if ep.failing() {
			s.Failing++
		}
		if ep.testing {
			s.InFlight++
		}
		if d := ep.oldest(); d != nil && (oldest == 0 || d.message.accepted < oldest) {
			oldest = d.message.accepted
		}
	}
	if oldest != 0 {
		s.Oldest = time.Unix(0, oldest)
	}
	return s
}

// reindexLocked makes the index anew after hooks changed.
func (e *Engine) reindexLocked() {
	x := newIndex(e.endpoints)
	e.matching.Store(&x)
}

// keep writes what became of deliveries, and drops what waits for too long, until ctx ends.
func (e *Engine) keep(ctx context.Context) {
	flush, sweep := time.NewTimer(0), time.NewTicker(sweepEvery)
	armed := true
	defer flush.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.soon:
			if !armed {
				armed = true
				flush.Reset(flushEvery)
			}
		case <-flush.C:
			if armed = e.flush(context.WithoutCancel(ctx)) != nil; armed { // the observer was told
				flush.Reset(flushEvery)
			}
		case <-sweep.C:
			e.sweep()
		}
	}
}

// changed has what is dirty be written in a while.
func (e *Engine) changed() {
	select {
	case e.soon <- struct{}{}:
	default:
	}
}

// sweep drops what waits for too long.
func (e *Engine) sweep() {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := time.Now().Add(-e.settings.Limits.Age).UnixNano()
	for _, ep := range e.endpoints {
		for _, d := range slices.Clone(ep.queue) {
			if d.since() <= before {
				e.dropLocked(d, DropAge)
			}
		}
		e.lineUpLocked(ep)
	}
}
