package outbound

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever keeps a connection open without going on, in each of the ways that HTTP has for
// it, holds up a request for no longer than the timeout. What was answered counts.
func TestHeldOpen(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		class      Class
		excerpt    string
	}{
		{"nothing", "", Unreachable, ""},
		{"half a status", "HTTP/1.1 2", Unreachable, ""},
		{"half a header", "HTTP/1.1 200 OK\r\nX-", Unreachable, ""},
		{"a continue", "HTTP/1.1 100 Continue\r\n\r\n", Unreachable, ""},
		{"early hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 3), Unreachable, ""},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n", Failed, ""},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", Delivered, "half"},
		{"half a chunk", "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", Failed, "half"},
		{"half a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n4\r\nhalf\r\n0\r\nX: ", Delivered, "half"},
		{"a body without an end", "HTTP/1.0 410 Gone\r\n\r\nhalf", Gone, "half"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			url := raw(t, func(c net.Conn) {
				read(c)
				_, _ = io.WriteString(c, tt.says)
				<-over
			})
			set := local()
			set.Timeout = time.Second
			out := newClient(t, set).Send(t.Context(), post(url))
			close(over)
			assert.Equal(t, tt.class, out.Class, "%v", out)
			assert.Equal(t, tt.excerpt, out.Excerpt)
			if tt.class == Unreachable {
				assert.EqualError(t, out.Err, "there was no answer within 1s")
			}
		})
	}
}

// Interim answers without end are no way around the bounds of a header.
func TestEndlessInterim(t *testing.T) {
	url := raw(t, func(c net.Conn) {
		read(c)
		for range 1 << 20 {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
				return
			}
		}
	})
	out := newClient(t, local()).Send(t.Context(), post(url))
	assert.Equal(t, Unreachable, out.Class)
	assert.NotContains(t, out.Err.Error(), "within", "it is refused, not waited for")
}

func TestClientCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.Organization[0])
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	set := local()
	set.TLS = &tls.Config{RootCAs: roots}
	out := newClient(t, set).Send(t.Context(), post(s.URL))
	assert.Equal(t, Unreachable, out.Class)
	assert.Equal(t, errTLS, out.Err)
	set.TLS.Certificates = s.TLS.Certificates
	out = newClient(t, set).Send(t.Context(), post(s.URL))
	require.NoError(t, out.Err)
	assert.Equal(t, "Acme Co", out.Excerpt)
}

func TestHTTP2(t *testing.T) {
	var conns, v2 atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v2.Add(int64(r.ProtoMajor))
	}))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	set := local()
	set.TLS = &tls.Config{RootCAs: roots}
	c := newClient(t, set)
	for range 3 {
		out := c.Send(t.Context(), post(s.URL))
		require.NoError(t, out.Err)
	}
	assert.EqualValues(t, 6, v2.Load())
	assert.EqualValues(t, 1, conns.Load())
}

func TestOldHTTP(t *testing.T) {
	url := raw(t, func(c net.Conn) {
		read(c)
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nclosed behind it")
	})
	c := newClient(t, local())
	for range 3 {
		out := c.Send(t.Context(), post(url))
		require.NoError(t, out.Err)
		assert.Equal(t, "closed behind it", out.Excerpt)
	}
}

// A connection that carries several requests and falls silent is found out and replaced.
func TestSilentHTTP2(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	var silent atomic.Bool
	var conns atomic.Int64
	front := forward(t, s.Listener.Addr().String(), func() func() bool {
		first := conns.Add(1) == 1
		return func() bool { return first && silent.Load() }
	})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	set := local()
	set.TLS = &tls.Config{RootCAs: roots}
	set.Timeout = time.Second
	c := newClient(t, set)
	require.NoError(t, c.Send(t.Context(), post("https://"+front)).Err)
	silent.Store(true)
	out := c.Send(t.Context(), post("https://"+front))
	require.Equal(t, Unreachable, out.Class)
	for range 20 {
		if out = c.Send(t.Context(), post("https://"+front)); out.Err == nil {
			break
		}
	}
	require.NoError(t, out.Err)
	assert.GreaterOrEqual(t, conns.Load(), int64(2))
}

// forward carries what comes on to an address and back. cut is asked once a connection,
// and what it returns before each piece: whether to swallow it.
func forward(t *testing.T, to string, cut func() func() bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	var stop []net.Conn
	pipe := func(dst, src net.Conn, swallow func() bool) {
		defer dst.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := src.Read(buf)
			if err != nil {
				return
			}
			if !swallow() {
				_, _ = dst.Write(buf[:n])
			}
		}
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				return
			}
			stop = append(stop, in, out)
			swallow := cut()
			open.Go(func() { pipe(out, in, swallow) })
			open.Go(func() { pipe(in, out, swallow) })
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-accepted
		for _, c := range stop {
			c.Close()
		}
		open.Wait()
	})
	return l.Addr().String()
}

// Whoever closes a connection that was kept, just when it is used again, gets the request
// by another one: it says nothing of the endpoint.
func TestClosedWhenUsedAgain(t *testing.T) {
	var requests, conns atomic.Int64
	url := raw(t, func(c net.Conn) {
		first := conns.Add(1) == 1
		r := bufio.NewReader(c)
		for range 2 {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			assert.Empty(t, req.Header.Values("Idempotency-Key"))
			if requests.Add(1) == 2 && first {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	c := newClient(t, local())
	r := post(url)
	for range 2 {
		require.NoError(t, c.Send(t.Context(), r).Err)
	}
	assert.EqualValues(t, 3, requests.Load())
	assert.EqualValues(t, 2, conns.Load())
	assert.Equal(t, post(url).Header, r.Header, "what is given is not changed")
}
