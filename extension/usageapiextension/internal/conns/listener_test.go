package conns_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/conns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener of connections in memory.
type pipes struct {
	next   chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{next: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return text(f.addr) }

type text string

func (text) Network() string  { return "tcp" }
func (t text) String() string { return string(t) }

// dial connects from an address. The server has it when all is idle.
func (p *pipes) dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	mine, theirs := net.Pipe()
	p.next <- from{theirs, addr}
	synctest.Wait()
	t.Cleanup(func() { mine.Close() })
	return mine
}

// isOpen reports whether the server has not closed a connection.
func isOpen(c net.Conn) bool {
	if c.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// ask asks over a connection and returns when the answer is read.
func ask(t *testing.T, c net.Conn, path string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	if err == nil {
		_, err = http.ReadResponse(bufio.NewReader(c), nil) // has no body
	}
	assert.NoError(t, err)
}

type server struct {
	*pipes
	listener *conns.Listener
	release  chan struct{} // lets requests of /wait end
	closed   []conns.Reason
	http     *http.Server
}

// serve runs a server in memory, in a bubble.
func serve(t *testing.T, most, perAddress int, f func(*testing.T, *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{pipes: newPipes(), release: make(chan struct{})}
		s.listener = conns.New(s.pipes, conns.Settings{
			Max: most, PerAddress: perAddress,
			Counted: func(a netip.Addr) (netip.Addr, bool) { return a, a != netip.MustParseAddr("192.0.2.99") },
			Closed:  func(why conns.Reason) { s.closed = append(s.closed, why) },
		})
		h := &http.Server{ConnState: s.listener.State, ReadHeaderTimeout: time.Hour, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				<-s.release
			}
		})}
		var serving sync.WaitGroup
		serving.Go(func() { assert.ErrorIs(t, h.Serve(s.listener), http.ErrServerClosed) })
		s.http = h
		defer h.Close()
		f(t, s)
		require.NoError(t, h.Close())
		serving.Wait()
		synctest.Wait()
		open, addresses := s.listener.Len()
		assert.Zero(t, open)
		assert.Zero(t, addresses)
	})
}

// Who waits longest makes room for who comes: one that sent nothing, one that sent half of
// a header, one between two requests.
func TestWhoWaitsMakesRoom(t *testing.T) {
	serve(t, 3, 0, func(t *testing.T, s *server) {
		asked := s.dial(t, "192.0.2.1:1")
		silent := s.dial(t, "192.0.2.2:1")
		slow := s.dial(t, "192.0.2.3:1")
		_, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHos")
		require.NoError(t, err)
		ask(t, asked, "/")
		synctest.Wait() // until it waits anew
		for i, longest := range []net.Conn{silent, slow, asked} {
			c := s.dial(t, "192.0.2.4:1")
			assert.False(t, isOpen(longest), "%d", i)
			ask(t, c, "/")
			synctest.Wait()
		}
		assert.Equal(t, []conns.Reason{conns.Idle, conns.Idle, conns.Idle}, s.closed)
	})
}

// What is being answered is never cut off: who comes waits.
func TestWhoIsServedStays(t *testing.T) {
	serve(t, 2, 0, func(t *testing.T, s *server) {
		for i := range 2 {
			go ask(t, s.dial(t, fmt.Sprintf("192.0.2.%d:1", i)), "/wait")
		}
		synctest.Wait()
		late := s.dial(t, "192.0.2.7:1")
		answered := make(chan struct{})
		go func() {
			ask(t, late, "/")
			close(answered)
		}()
		synctest.Wait()
		select {
		case <-answered:
			t.Error("there was no room")
		default:
		}
		assert.Empty(t, s.closed)
		s.release <- struct{}{}
		<-answered
		close(s.release)
		synctest.Wait()
	})
}

// One address has so many; those of others are not touched for it.
func TestOneAddress(t *testing.T) {
	serve(t, 100, 2, func(t *testing.T, s *server) {
		other := s.dial(t, "192.0.2.2:1")
		first := s.dial(t, "192.0.2.1:1")
		second := s.dial(t, "[::ffff:192.0.2.1]:2")
		third := s.dial(t, "192.0.2.1:3")
		assert.False(t, isOpen(first))
		assert.True(t, isOpen(other))
		assert.Equal(t, []conns.Reason{conns.Idle}, s.closed)

		go ask(t, second, "/wait")
		go ask(t, third, "/wait")
		synctest.Wait()
		assert.False(t, isOpen(s.dial(t, "192.0.2.1:4")), "none of them waits")
		assert.Equal(t, []conns.Reason{conns.Idle, conns.Address}, s.closed)
		for range 10 {
			s.dial(t, "192.0.2.99:1")
			s.dial(t, "@") // a unix socket
		}
		open, addresses := s.listener.Len()
		assert.Equal(t, 23, open)
		assert.Equal(t, 2, addresses)
		close(s.release)
		synctest.Wait()
		ask(t, s.dial(t, "192.0.2.1:5"), "/")
	})
}

// A listener that is closed while somebody waits for room ends.
func TestCloseEndsWaiting(t *testing.T) {
	serve(t, 1, 0, func(t *testing.T, s *server) {
		_, err := io.WriteString(s.dial(t, "192.0.2.1:1"), "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		synctest.Wait()
		late := s.dial(t, "192.0.2.7:1")
		require.NoError(t, s.http.Close())
		synctest.Wait()
		assert.False(t, isOpen(late))
		close(s.release)
	})
}
