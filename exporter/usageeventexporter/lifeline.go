package usageeventexporter

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A lifeline holds every connection of one producer, so that whatever sarama
// waits for can be ended at once: sarama itself takes no context. After cut,
// reads and writes fail, dials are refused and there is no backoff.
type lifeline struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timeout time.Duration // of a dial
	dial    dialFunc

	mu    sync.Mutex
	conns []net.Conn // open, or closed since the last Dial
	until time.Time  // when the last time is over for which brokers told it to wait
}

// A dialFunc is as [net.Dialer.DialContext].
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func newLifeline(dialTimeout time.Duration) *lifeline {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &lifeline{ctx: ctx, cancel: cancel, timeout: dialTimeout, dial: new(net.Dialer).DialContext}
}

// Dial is what sarama calls. It returns the bare connection: sarama looks into
// idle TCP connections for errors before it uses them.
func (l *lifeline) Dial(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	conn, err := l.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		_ = conn.Close()
		return nil, context.Cause(l.ctx)
	}
	l.conns = append(slices.DeleteFunc(l.conns, isClosed), conn)
	return conn, nil
}

// cut ends all; the first cause stays.
func (l *lifeline) cut(cause error) {
	l.cancel(cause)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// longestHold is the longest that brokers can make an attempt wait. By the defaults
// of Kafka's quotas they ask for 11 s at most.
const longestHold = time.Minute

// hold notes that a broker tells its client to wait.
func (l *lifeline) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(min(d, longestHold)); until.After(l.until) {
		l.until = until
	}
}

// held returns for how long the client is still to wait.
func (l *lifeline) held() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// severed is closed by cut.
func (l *lifeline) severed() <-chan struct{} { return l.ctx.Done() }

// cause is that of cut, nil before.
func (l *lifeline) cause() error { return context.Cause(l.ctx) }

// backoff returns what sarama waits before a retry.
func (l *lifeline) backoff(d time.Duration) func(retries, maxRetries int) time.Duration {
	return func(int, int) time.Duration {
		if l.ctx.Err() != nil {
			return 0
		}
		return d
	}
}

// isClosed reports whether this side has closed the connection.
func isClosed(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
