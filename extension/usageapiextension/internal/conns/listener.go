// Package conns bounds the connections of a server so that those that do nothing take no
// place from those that do.
package conns

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// A Reason is why a connection was closed.
type Reason string

// The reasons.
const (
	Idle    Reason = "idle"    // it waited for a request longest when there was no room for another
	Address Reason = "address" // there are too many of its address, and none of them waits
)

// Settings of a [Listener].
type Settings struct {
	// Max is how many connections are open. PerAddress is how many of them may be of the same
	// address; below 1 is no limit.
	Max, PerAddress int
	// Counted returns as what an address counts, and false where PerAddress is not for it.
	Counted func(netip.Addr) (netip.Addr, bool)
	// Closed is told of each connection that was closed to keep a limit. It returns at once.
	Closed func(Reason)
}

// A Listener accepts connections within limits. Give its State to the server as ConnState.
//
// Where there is no room the connection goes that waits for a request longest: at the
// start, in the middle of a header or between two requests. What is being answered is
// never cut off: then it is Accept that waits. Connections are those of the listener below, as
// they are: wrapped ones of TLS would lose HTTP/2.
type Listener struct {
	net.Listener
	settings Settings

	mu        sync.Mutex
	room      *sync.Cond // a connection went, or began to wait, or all is closed
	closed    bool
	open      map[net.Conn]*conn
	waiting   list.List // of *conn, longest first
	addresses map[netip.Addr]*address
}

type conn struct {
	net.Conn
	of      *address // nil where it is not counted
	waits   *list.Element
	waitsOf *list.Element // among those of its address
}

type address struct {
	addr    netip.Addr
	open    int
	waiting list.List // as that of all
}

// New returns a Listener over another one.
func New(l net.Listener, s Settings) *Listener {
	n := &Listener{Listener: l, settings: s, open: map[net.Conn]*conn{}, addresses: map[netip.Addr]*address{}}
	n.room = sync.NewCond(&n.mu)
	return n
}

// Accept returns the next connection for which there is room.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.take(c) {
			return c, nil
		}
		_ = abort(c)
	}
}

// take finds room for a connection, or reports that there is none.
func (l *Listener) take(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.addressLocked(c)
	if of != nil && l.settings.PerAddress > 0 && of.open >= l.settings.PerAddress && !l.closeFirstLocked(&of.waiting) {
		l.settings.Closed(Address)
		return false
	}
	for len(l.open) >= l.settings.Max && !l.closed && !l.closeFirstLocked(&l.waiting) {
		l.room.Wait()
	}
	if l.closed {
		return false
	}
	n := &conn{Conn: c}
	if of != nil {
		// While it waited the last other one of the address may have gone.
		n.of = l.addressLocked(c)
		n.of.open++
		l.addresses[n.of.addr] = n.of
	}
	l.open[c] = n
	l.waitLocked(n)
	return true
}

// State notes what a server says of a connection.
func (l *Listener) State(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, known := l.open[c]
	if !known {
		return // closed by closeFirstLocked
	}
	switch s {
	case http.StateNew, http.StateIdle:
		l.waitLocked(n)
	case http.StateActive:
		l.workLocked(n)
	case http.StateHijacked, http.StateClosed:
		l.goneLocked(n)
	}
}

// Len returns how many connections are open, and of how many addresses that are counted.
func (l *Listener) Len() (open, addresses int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open), len(l.addresses)
}

// Close ends Accept.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.room.Broadcast()
	return l.Listener.Close()
}

// addressLocked returns that of a connection; it becomes known with its first connection.
func (l *Listener) addressLocked(c net.Conn) *address {
	port, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return nil // a unix socket
	}
	addr, counted := l.settings.Counted(port.Addr().Unmap().WithZone(""))
	if !counted {
		return nil
	}
	if of, known := l.addresses[addr]; known {
		return of
	}
	return &address{addr: addr}
}

// closeFirstLocked closes the connection that waits longest.
func (l *Listener) closeFirstLocked(waiting *list.List) bool {
	first := waiting.Front()
	if first == nil {
		return false
	}
	n := first.Value.(*conn)
	l.goneLocked(n)
	_ = abort(n.Conn)
	l.settings.Closed(Idle)
	return true
}

func (l *Listener) waitLocked(n *conn) {
	if n.waits != nil {
		return
	}
	n.waits = l.waiting.PushBack(n)
	if n.of != nil {
		n.waitsOf = n.of.waiting.PushBack(n)
	}
	l.room.Signal()
}

func (l *Listener) workLocked(n *conn) {
	if n.waits == nil {
		return
	}
	l.waiting.Remove(n.waits)
	n.waits = nil
	if n.of != nil {
		n.of.waiting.Remove(n.waitsOf)
	}
}

func (l *Listener) goneLocked(n *conn) {
	l.workLocked(n)
	delete(l.open, n.Conn)
	if n.of != nil {
		if n.of.open--; n.of.open == 0 {
			delete(l.addresses, n.of.addr)
		}
	}
	l.room.Signal()
}

// abort closes a connection at once: one of TLS would first take leave, for up to 5 s.
func abort(c net.Conn) error {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	return c.Close()
}
