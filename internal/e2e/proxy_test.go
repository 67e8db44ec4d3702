package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link is a TCP connection between two processes that can lose the answers.
type link struct {
	addr  string
	muted atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

// proxy forwards connections to an address until the test ends.
func proxy(t *testing.T, to string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", freePort(t))
	require.NoError(t, err)
	l := &link{addr: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, in, out)
			l.mu.Unlock()
			running.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			running.Go(func() { _, _ = io.Copy(answers{l, in}, out); _ = in.Close() })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		l.cut()
		running.Wait()
	})
	return l
}

// mute swallows all answers from now on, or ends that: connections that missed
// some are cut.
func (l *link) mute(on bool) {
	l.muted.Store(on)
	if !on {
		l.cut()
	}
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// answers are what goes back over a link.
type answers struct {
	link *link
	to   io.Writer
}

func (a answers) Write(p []byte) (int, error) {
	if a.link.muted.Load() {
		return len(p), nil
	}
	return a.to.Write(p)
}
