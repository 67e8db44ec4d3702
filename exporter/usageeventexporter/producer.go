package usageeventexporter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var (
	errStopped  = errors.New("the exporter is shut down")
	errNoAnswer = errors.New("no answer from the brokers")
)

// cutGrace is how long after a cut sarama may take to say which records were
// acknowledged before; without its word all count as failed.
const cutGrace = time.Second

// A producer sends records by way of a sarama producer that it builds when one
// is needed and replaces when it is of no more use. It is safe for concurrent use.
type producer struct {
	timeout time.Duration    // of a produce call, connecting included
	most    int              // bytes of a record, as sarama counts them
	line    func() *lifeline // of a new session
	build   func(*lifeline) (sarama.SyncProducer, error)

	mu       sync.Mutex
	current  *session // nil: the next attempt builds one
	sessions map[*session]struct{}
	stopped  bool
	running  sync.WaitGroup // attempts, and sessions being built or closed
}

// A session is one sarama producer.
type session struct {
	line  *lifeline
	ready chan struct{} // closed when sync or err is set
	sync  sarama.SyncProducer
	err   error

	// turns of produce calls: sarama may put their records into batches with those
	// of other calls, unless one is alone.
	turns *turns

	// guarded by producer.mu
	attempts int  // that use it
	retired  bool // no new attempt uses it; the last one closes it
}

func newProducer(timeout time.Duration, most int, build func(*lifeline) (sarama.SyncProducer, error)) *producer {
	return &producer{
		timeout: timeout, most: most, build: build, sessions: map[*session]struct{}{},
		line: func() *lifeline { return newLifeline(dialTimeout(timeout)) },
	}
}

// send makes one attempt and returns nil once Kafka has acknowledged all
// records. Otherwise the error is a [publishError] with those that it has not,
// as far as is known, or, where ctx ended first, that of ctx: then the attempt
// goes on until its produce call ends, and what it still delivers is delivered
// again by whoever tries again.
func (p *producer) send(ctx context.Context, records []record) error {
	s, err := p.acquire()
	if err != nil {
		return &publishError{failed: records, total: len(records), cause: err}
	}
	done := make(chan error, 1)
	go func() {
		defer p.release(s)
		done <- p.attempt(ctx, s, records)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.line.severed():
		grace := time.NewTimer(cutGrace)
		defer grace.Stop()
		select {
		case err = <-done:
		case <-grace.C:
			err = &publishError{failed: records, total: len(records), cause: s.line.cause()}
		}
	}
	return err
}

// causeOf returns why the session was cut, if it was: what sarama then says
// is only the consequence.
func (s *session) causeOf(err error) error {
	if cause := s.line.cause(); cause != nil {
		return cause
	}
	return err
}

// acquire returns the current session, or begins one, and holds it until release.
func (p *producer) acquire() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil, errStopped
	}
	if p.current == nil {
		s := &session{line: p.line(), ready: make(chan struct{}), turns: newTurns()}
		p.current = s
		p.sessions[s] = struct{}{}
		p.running.Go(func() {
			defer close(s.ready)
			s.sync, s.err = p.build(s.line)
		})
	}
	p.current.attempts++
	p.running.Add(1)
	return p.current, nil
}

func (p *producer) release(s *session) {
	p.mu.Lock()
	s.attempts--
	p.closeUnusedLocked(s)
	p.mu.Unlock()
	p.running.Done()
}

// retire makes the next attempt begin a new session.
func (p *producer) retire(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retireLocked(s)
}

func (p *producer) retireLocked(s *session) {
	if s.retired {
		return
	}
	s.retired = true
	if p.current == s {
		p.current = nil
	}
	p.closeUnusedLocked(s)
}

// closeUnusedLocked closes a retired session that no attempt uses, on a goroutine
// of its own: sarama's Close waits for its brokers.
func (p *producer) closeUnusedLocked(s *session) {
	if !s.retired || s.attempts > 0 {
		return
	}
	p.running.Go(func() {
		clock := time.AfterFunc(p.timeout, func() { s.line.cut(errStopped) })
		defer clock.Stop()
		<-s.ready
		if s.sync != nil {
			_ = s.sync.Close() // what is left is cut below
		}
		s.line.cut(errStopped) // frees the context
		p.mu.Lock()
		delete(p.sessions, s)
		p.mu.Unlock()
	})
}

// abort ends whatever is under way; from now on send fails at once.
func (p *producer) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for s := range p.sessions {
		s.line.cut(errStopped)
	}
}

// close ends the producer when nothing sends any more, and returns after at most
// twice the grace. It may be called more than once.
func (p *producer) close(grace time.Duration) {
	p.mu.Lock()
	p.stopped = true
	if p.current != nil {
		p.retireLocked(p.current)
	}
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.running.Wait()
	}()
	for range 2 {
		timer := time.NewTimer(grace)
		select {
		case <-ended:
			timer.Stop()
			return
		case <-timer.C:
			p.abort()
		}
	}
}

// messages returns what sarama takes. Its messages are used once: sarama writes
// into them, and may do so long after an attempt was given up.
func messages(records []record) []*sarama.ProducerMessage {
	slab := make([]sarama.ProducerMessage, len(records))
	out := make([]*sarama.ProducerMessage, len(records))
	for i := range records {
		r := &records[i]
		slab[i] = sarama.ProducerMessage{
			Topic:     r.topic,
			Key:       &r.key,
			Value:     &r.value,
			Headers:   r.headers,
			Timestamp: time.Unix(0, r.end),
			Metadata:  r,
		}
		out[i] = &slab[i]
	}
	return out
}
