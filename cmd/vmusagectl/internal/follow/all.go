package follow

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// RunAll is [Run] over several topics at once: handle is called with the records
// of all, one at a time, and Idle, Drain and Ready are about all of them together.
// Options.Topic is not used.
func RunAll(ctx context.Context, topics []string, o Options, handle func(*kgo.Record) error) error {
	if len(topics) == 1 {
		o.Topic = topics[0]
		return Run(ctx, o, handle)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &all{records: make(chan *kgo.Record), ended: make(chan error, len(topics)), left: len(topics)}
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel() // before the wait
	idle := o.Idle
	o.Idle, o.Ready, o.Notice = 0, onLast(len(topics), o.Ready), apart(o.Notice)
	for _, topic := range topics {
		each := o
		each.Topic = topic
		readers.Go(func() { a.ended <- Run(ctx, each, a.hand(ctx)) })
	}
	return a.merge(ctx, idle, handle)
}

// all is what the readers of several topics share with the one that handles.
type all struct {
	records chan *kgo.Record
	ended   chan error // what each reader returned
	left    int        // readers that have not
}

// hand returns a handler that gives a record on and goes on once it is taken.
func (a *all) hand(ctx context.Context) func(*kgo.Record) error {
	return func(r *kgo.Record) error {
		select {
		case a.records <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *all) merge(ctx context.Context, idle time.Duration, handle func(*kgo.Record) error) error {
	silence := time.NewTimer(idle)
	defer silence.Stop()
	if idle <= 0 {
		silence.Stop() // never
	}
	for a.left > 0 {
		select {
		case r := <-a.records:
			if idle > 0 {
				silence.Reset(idle)
			}
			if err := handle(r); errors.Is(err, ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
		case err := <-a.ended:
			if err != nil {
				return err
			}
			a.left-- // it was drained
		case <-silence.C:
			return ErrIdle
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// onLast returns a function whose n-th call calls f.
func onLast(n int, f func()) func() {
	var calls atomic.Int64
	return func() {
		if f != nil && int(calls.Add(1)) == n {
			f()
		}
	}
}

// apart lets one line through at a time, and what several readers say alike once.
func apart(say func(string)) func(string) {
	var mu sync.Mutex
	last := ""
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		if say != nil && line != last {
			say(line)
		}
		last = line
	}
}
