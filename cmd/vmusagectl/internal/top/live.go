package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/apiclient"
)

// A Live view polls and shows until it is quit.
type Live struct {
	Screen   *Screen
	Poll     func(context.Context) (*Snapshot, error)
	Interval time.Duration
	Out      io.Writer

	Typed   <-chan []byte   // what the terminal sends; closed where it is gone
	Resized <-chan struct{} // the screen has another size, or was written over
	Size    func() (width, height int)
}

type polled struct {
	snapshot *Snapshot
	err      error
	panicked any
}

// Run returns nil when it is quit, ctx is done or the terminal is gone. A refusal for good,
// such as of the key or of a filter, is its error; whatever else fails is shown, and asked
// again after the interval. A panic of Poll is one of Run, so that its caller can put the
// terminal in order.
func (l *Live) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	answers := make(chan polled)
	var poller sync.WaitGroup
	poller.Go(func() { l.polls(ctx, answers) })
	defer poller.Wait()
	defer stop()

	clock := time.NewTicker(time.Second) // ages grow
	defer clock.Stop()
	var keyboard Keyboard
	for l.Screen.Resize(l.Size()); ; {
		if err := l.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		case <-l.Resized:
			l.Screen.Resize(l.Size())
		case sent, open := <-l.Typed:
			if !open {
				return nil
			}
			if slices.ContainsFunc(keyboard.Type(sent), l.Screen.Press) {
				return nil
			}
		case a := <-answers:
			switch {
			case a.panicked != nil:
				panic(a.panicked)
			case a.err == nil:
				l.Screen.Update(a.snapshot, time.Now())
			case ctx.Err() != nil:
				return nil
			case forGood(a.err):
				return a.err
			default:
				l.Screen.Fail(a.err.Error())
			}
		}
	}
}

// polls sends an answer each interval.
func (l *Live) polls(ctx context.Context, answers chan<- polled) {
	for {
		a := l.poll(ctx)
		select {
		case answers <- a:
		case <-ctx.Done():
			return
		}
		if Wait(ctx, l.Interval) != nil {
			return
		}
	}
}

func (l *Live) poll(ctx context.Context) (a polled) {
	defer func() {
		if p := recover(); p != nil {
			a.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	a.snapshot, a.err = l.Poll(ctx)
	return a
}

// Wait waits.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forGood reports whether to ask again is of no use.
func forGood(err error) bool {
	e, ok := errors.AsType[*apiclient.Error](err)
	return ok && e.Status < http.StatusInternalServerError &&
		e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout
}

// draw writes the whole screen at once, so that nothing flickers. A line is erased before it
// is written: after one that fills the screen, some terminals would erase its last character.
func (l *Live) draw() error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range l.Screen.Frame(time.Now()) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("\x1b[2K" + line)
	}
	if _, err := io.WriteString(l.Out, b.String()); err != nil {
		return fmt.Errorf("show the table: %w", err)
	}
	return nil
}
