package usageeventexporter

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A network connects an exporter with brokers inside a synctest bubble, and can
// break what runs over it. The zero value is one that works.
type network struct {
	wires kfake.VirtualNetwork

	mu    sync.Mutex
	away  bool          // nobody listens
	mute  bool          // whoever dials waits
	dials int           // so far
	lost  int           // answers to produce requests that are to be lost, with their connection; below 0: all
	slow  time.Duration // what answers to produce requests say to wait
	conns []*serverConn
}

// dial is the exporter's way in.
func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	away, mute := n.away, n.mute
	n.mu.Unlock()
	switch {
	case away:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case mute:
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return n.wires.DialContext(ctx, network, addr)
	}
}

// dialed returns how often the exporter dialed so far.
func (n *network) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// refuse makes dials fail, or work again, and cuts what is connected.
func (n *network) refuse(away bool) {
	n.mu.Lock()
	n.away = away
	n.mu.Unlock()
	n.cut()
}

// swallow makes dials wait for ever, or work again, and cuts what is connected.
func (n *network) swallow(mute bool) {
	n.mu.Lock()
	n.mute = mute
	n.mu.Unlock()
	n.cut()
}

// cut closes all connections.
func (n *network) cut() {
	n.mu.Lock()
	conns := slices.Clone(n.conns)
	n.conns = nil
	n.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// lose cuts the connection instead of the next times answers to produce requests:
// what was asked for has been done.
func (n *network) lose(times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = times
}

// throttle makes the broker tell those who produce to wait.
func (n *network) throttle(wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow = wait
}

// throttled returns the answer to a produce request, of a version before 9, with
// the time to wait: its last four bytes.
func (n *network) throttled(answer []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return binary.BigEndian.AppendUint32(answer[:len(answer)-4:len(answer)-4], uint32(n.slow.Milliseconds()))
}

// losing reports whether the answer to a produce request is lost, and counts it.
func (n *network) losing() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost == 0 {
		return false
	}
	n.lost--
	return true
}

// listen is for kfake.ListenFn.
func (n *network) listen(network, addr string) (net.Listener, error) {
	l, err := n.wires.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	return &listener{l, n}, nil
}

type listener struct {
	net.Listener
	network *network
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	sc := &serverConn{Conn: c, network: l.network, asked: map[uint32]kmsg.Key{}}
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.network.conns = append(l.network.conns, sc)
	return sc, nil
}

// A serverConn knows which request an answer is to. The broker reads and writes
// from one goroutine each, and an answer in one call.
type serverConn struct {
	net.Conn
	network *network

	head []byte // of the request that is being read: size, key, version, correlation
	rest int    // of it that is still to come

	mu    sync.Mutex
	asked map[uint32]kmsg.Key // by correlation
}

const requestHead = 12

func (c *serverConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for seen := b[:n]; len(seen) > 0; {
		if c.rest > 0 {
			skip := min(c.rest, len(seen))
			c.rest, seen = c.rest-skip, seen[skip:]
			continue
		}
		take := min(requestHead-len(c.head), len(seen))
		c.head, seen = append(c.head, seen[:take]...), seen[take:]
		if len(c.head) < requestHead {
			continue
		}
		c.mu.Lock()
		c.asked[binary.BigEndian.Uint32(c.head[8:])] = kmsg.Key(binary.BigEndian.Uint16(c.head[4:]))
		c.mu.Unlock()
		c.rest = int(binary.BigEndian.Uint32(c.head)) + 4 - requestHead
		c.head = c.head[:0]
	}
	return n, err
}

func (c *serverConn) Write(b []byte) (int, error) {
	correlation := binary.BigEndian.Uint32(b[4:])
	c.mu.Lock()
	key := c.asked[correlation]
	delete(c.asked, correlation)
	c.mu.Unlock()
	if key == kmsg.Produce {
		if c.network.losing() {
			_ = c.Close()
			return 0, net.ErrClosed
		}
		b = c.network.throttled(b)
	}
	return c.Conn.Write(b)
}
