package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func local() Settings {
	return Settings{AllowHTTP: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func post(url string) Request {
	return Request{URL: url, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"a":1}`)}
}

func TestSend(t *testing.T) {
	var got *http.Request
	var body string
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		_, _ = io.WriteString(w, "thank\x1b[31myou\xff\n")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := newClient(t, local())
	for range 10 {
		out := c.Send(t.Context(), post(s.URL+"/hook?x=y"))
		require.NoError(t, out.Err)
		assert.Equal(t, Delivered, out.Class)
		assert.Equal(t, 200, out.Status)
		assert.Equal(t, "thank [31myou?", out.Excerpt)
	}
	assert.Equal(t, "POST", got.Method)
	assert.Equal(t, "/hook?x=y", got.RequestURI)
	assert.Equal(t, `{"a":1}`, body)
	assert.Equal(t, int64(7), got.ContentLength)
	assert.Empty(t, got.Header.Get("Accept-Encoding"))
	assert.EqualValues(t, 1, conns.Load(), "the connection is kept")
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		status int
		header string
		class  Class
		wait   time.Duration
	}{
		{200, "", Delivered, 0},
		{202, "100", Delivered, 0},
		{299, "", Delivered, 0},
		{301, "", Failed, 0},
		{304, "", Failed, 0},
		{307, "", Failed, 0},
		{400, "100", Failed, 0},
		{401, "", Failed, 0},
		{404, "", Failed, 0},
		{410, "", Gone, 0},
		{429, "", Throttled, 0},
		{429, "120", Throttled, 2 * time.Minute},
		{429, "-1", Throttled, 0},
		{429, "soon", Throttled, 0},
		{429, "999999999999", Throttled, MaxRetryAfter},
		{429, "99999999999999999999999", Throttled, 0},
		{503, "Wed, 21 Oct 2015 07:28:00 GMT", Throttled, 0},
		{503, "Wed, 21 Oct 2099 07:28:00 GMT", Throttled, MaxRetryAfter},
		{500, "100", Failed, 0},
		{502, "7", Throttled, 7 * time.Second},
		{504, "", Throttled, 0},
		{599, "", Failed, 0},
	} {
		var hits atomic.Int64
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			hits.Add(1)
			if tt.header != "" {
				w.Header().Set("Retry-After", tt.header)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
		})
		c := newClient(t, local())
		out := c.Send(t.Context(), post(s.URL))
		assert.Equal(t, tt.class, out.Class, "%d", tt.status)
		assert.Equal(t, tt.status, out.Status)
		assert.Equal(t, tt.wait, out.RetryAfter, "%d %s", tt.status, tt.header)
		assert.Equal(t, tt.class == Delivered, out.Err == nil)
		assert.EqualValues(t, 1, hits.Load(), "redirects are not followed")
	}
}

// raw serves connections by hand.
func raw(t *testing.T, f func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// read reads a request.
func read(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }

func TestNoAnswers(t *testing.T) {
	refused := raw(t, func(net.Conn) {})
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "http://" + gone.Addr().String()
	require.NoError(t, gone.Close())
	reset := raw(t, func(c net.Conn) {
		read(c)
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	garbage := raw(t, func(c net.Conn) { read(c); _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n") })
	header := raw(t, func(c net.Conn) {
		read(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	})
	for _, tt := range []struct{ name, url, want string }{
		{"closed at once", refused, "closed"},
		{"nobody listens", closed, "refused"},
		{"reset", reset, "closed"},
		{"not HTTP", garbage, "valid HTTP"},
		{"endless header", header, "valid HTTP|closed"},
		{"no such name", "http://no-such-host.invalid/", "does not resolve"},
	} {
		c := newClient(t, local())
		out := c.Send(t.Context(), post(tt.url))
		assert.Equal(t, Unreachable, out.Class, tt.name)
		assert.Regexp(t, tt.want, fmt.Sprint(out.Err), tt.name)
		assert.Zero(t, out.Status)
	}
}

func TestTimeouts(t *testing.T) {
	quiet := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, _ *http.Request) { <-quiet })
	defer close(quiet)
	set := local()
	set.Timeout = 50 * time.Millisecond
	c := newClient(t, set)
	out := c.Send(t.Context(), post(s.URL))
	assert.Equal(t, Unreachable, out.Class)
	require.EqualError(t, out.Err, "there was no answer within 50ms")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out = newClient(t, local()).Send(ctx, post(s.URL))
	assert.Equal(t, errInterrupted, out.Err)
}

// Whoever answers without end is listened to for a moment only, and has answered.
func TestEndlessAnswers(t *testing.T) {
	for _, pause := range []time.Duration{0, 100 * time.Millisecond} {
		var written atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			block := make([]byte, 64<<10)
			for i := range block {
				block[i] = 'x'
			}
			if pause > 0 {
				block = block[:1]
			}
			for written.Load() < 1<<30 {
				n, err := w.Write(block)
				written.Add(int64(n))
				if err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(pause):
				case <-r.Context().Done():
					return
				}
			}
		})
		c := newClient(t, local())
		out := c.Send(t.Context(), post(s.URL))
		assert.Equal(t, Delivered, out.Class)
		assert.Contains(t, out.Excerpt, "x")
		assert.LessOrEqual(t, len(out.Excerpt), 64)
		s.CloseClientConnections()
		s.Close()
		assert.Less(t, written.Load(), int64(64<<20))
	}
}

// A name that resolves to a public address when somebody looks, and to another one when it
// is dialed, leads nowhere.
func TestRebinding(t *testing.T) {
	var hits, asked atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	answers := []string{"8.8.8.8", "127.0.0.1"}
	resolver := fakeDNS(t, func(q dnsmessage.Type) []string {
		if q != dnsmessage.TypeA {
			return nil
		}
		return answers[min(asked.Add(1)-1, 1):][:1]
	})
	first, err := resolver.LookupHost(t.Context(), "rebind.example.com")
	require.NoError(t, err)
	require.Equal(t, []string{"8.8.8.8"}, first)
	c := newClient(t, Settings{AllowHTTP: true, Resolver: resolver})
	url := "http://rebind.example.com:" + port
	require.NoError(t, c.CheckURL(url))
	out := c.Send(t.Context(), post(url))
	assert.Equal(t, Forbidden, out.Class)
	assert.Equal(t, errAddress, out.Err)
	assert.Zero(t, hits.Load())
	// With the network allowed it is the same request.
	set := local()
	set.Resolver = resolver
	out = newClient(t, set).Send(t.Context(), post(url))
	assert.Equal(t, Delivered, out.Class, "%v", out.Err)
	assert.EqualValues(t, 1, hits.Load())
}

// What was registered when more was allowed is not sent any more.
func TestForbiddenLater(t *testing.T) {
	var hits atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, set := range []Settings{{}, {AllowHTTP: true}} {
		out := newClient(t, set).Send(t.Context(), post(s.URL))
		assert.Equal(t, Forbidden, out.Class)
	}
	assert.Zero(t, hits.Load())
}

// A proxy of the environment would dial for us.
func TestNoProxy(t *testing.T) {
	var proxied atomic.Int64
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	out := newClient(t, local()).Send(t.Context(), post("http://no-such-host.invalid/"))
	assert.Equal(t, errAddress, out.Err)
	assert.Zero(t, proxied.Load())
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	set := local()
	out := newClient(t, set).Send(t.Context(), post(s.URL))
	assert.Equal(t, errAuthority, out.Err)
	set.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}
	out = newClient(t, set).Send(t.Context(), post(s.URL))
	assert.Equal(t, Delivered, out.Class, "%v", out.Err)
	set.TLS = &tls.Config{RootCAs: roots, Time: func() time.Time { return s.Certificate().NotAfter.Add(time.Hour) }}
	out = newClient(t, set).Send(t.Context(), post(s.URL))
	assert.Equal(t, errExpired, out.Err)
	set.TLS = &tls.Config{RootCAs: roots, ServerName: "other.example.org"}
	out = newClient(t, set).Send(t.Context(), post(s.URL))
	assert.Equal(t, errOtherHost, out.Err)
	out = newClient(t, local()).Send(t.Context(), post(strings.Replace(serve(t, func(http.ResponseWriter, *http.Request) {}).URL, "http:", "https:", 1)))
	assert.Equal(t, errTLS, out.Err)

	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} //nolint:gosec // to be refused
	old.StartTLS()
	defer old.Close()
	set.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10} //nolint:gosec // is raised
	out = newClient(t, set).Send(t.Context(), post(old.URL))
	assert.Equal(t, Unreachable, out.Class)
}

// fakeDNS answers each question with those of the answers that are of its family.
func fakeDNS(t *testing.T, answer func(dnsmessage.Type) []string) *net.Resolver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			q := m.Questions[0]
			head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			for _, text := range answer(q.Type) {
				switch a := netip.MustParseAddr(text); {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if reply, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// BenchmarkSend sends beside a bare http.Client.
func BenchmarkSend(b *testing.B) {
	s := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	body := make([]byte, 2000)
	b.Run("bare", func(b *testing.B) {
		var client http.Client
		b.ReportAllocs()
		for b.Loop() {
			resp, err := client.Post(s.URL, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		client.CloseIdleConnections()
	})
	b.Run("guarded", func(b *testing.B) {
		c := newClient(b, local())
		r := post(s.URL)
		r.Body = body
		b.ReportAllocs()
		for b.Loop() {
			if out := c.Send(b.Context(), r); out.Err != nil {
				b.Fatal(out.Err)
			}
		}
	})
}
