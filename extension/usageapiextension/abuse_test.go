package usageapiextension

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// descriptors raises the limit of open files to what idleOnes need, or skips where that is not
// allowed.
func descriptors(t *testing.T) {
	t.Helper()
	const n = idleOnes + 500
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	if was.Max < n {
		t.Skipf("SKIPPED: at most %d files may be open here (ulimit -Hn), and %d are needed", was.Max, n)
	}
	now := syscall.Rlimit{Cur: max(was.Cur, n), Max: was.Max}
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now))
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
}

// used is what there is of memory that goes with connections.
func used() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse) //nolint:gosec // far below
}

const (
	dialTo   = "VMUSAGE_TEST_DIAL"   // makes the test binary a client
	spread   = "VMUSAGE_TEST_SPREAD" // has it come from many addresses, and half of its connections ask once
	idleOnes = 10_000
)

// TestIdleClient is no test: as a process of its own it opens connections that do nothing, until its
// stdin ends. Both ends in one process would need twice as many files.
func TestIdleClient(t *testing.T) {
	addr := os.Getenv(dialTo)
	if addr == "" {
		t.Skip("it is run by other tests")
	}
	descriptors(t)
	var all []net.Conn
	for i := range idleOnes {
		var d net.Dialer
		if os.Getenv(spread) != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(i%100), 1)}
		}
		c, err := d.Dial("tcp", addr)
		require.NoError(t, err)
		if all = append(all, c); d.LocalAddr != nil && i%2 == 0 {
			_, err = io.WriteString(c, "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, res.Body)
			require.NoError(t, err)
			res.Body.Close()
		}
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range all {
		c.Close()
	}
}

// idle has another process open connections that do nothing, until the test ends.
func idle(t *testing.T, s *served, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleClient$")
	cmd.Env = append(append(os.Environ(), dialTo+"="+s.server.addr.String()), env...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		assert.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", line)
}

// Ten thousand connections that do nothing, where so many are allowed: each costs little, and others
// are served.
func TestTenThousandIdleConnections(t *testing.T) {
	descriptors(t)
	s := serve(t, func(c *Config) {
		c.MaxConnections, c.MaxConnectionsPerAddress = idleOnes+10, -1
		c.ServerConfig.ReadHeaderTimeout = 10 * time.Minute
	})
	s.machines(1)
	before := used()
	idle(t, s)
	assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	each := (used() - before) / idleOnes
	t.Logf("%d bytes each", each)
	assert.Less(t, each, int64(48<<10))
}

// By default one address has few of them, and whoever comes next takes the place of those that
// do nothing.
func TestTenThousandIdleConnectionsOfOneAddress(t *testing.T) {
	descriptors(t)
	s := serve(t, func(c *Config) { c.ServerConfig.ReadHeaderTimeout = 10 * time.Minute })
	s.machines(1)
	before := used()
	idle(t, s)
	for range 10 {
		assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	}
	assert.Less(t, used()-before, int64(16<<20))
}

// No address has more than it may, and all together fill the server with connections that say
// nothing and such as asked once: others are served all the same.
func TestTenThousandIdleConnectionsOfManyAddresses(t *testing.T) {
	descriptors(t)
	s := serve(t, func(c *Config) { c.ServerConfig.ReadHeaderTimeout = 10 * time.Minute })
	s.machines(1)
	before := used()
	idle(t, s, spread+"=1")
	for range 10 {
		s.client.CloseIdleConnections() // so that each needs room
		assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	}
	assert.Less(t, used()-before, int64(64<<20))
}

// A header that comes byte by byte has no more time than one that does not come.
func TestHeadersByteByByte(t *testing.T) {
	s := serve(t, func(c *Config) { c.ServerConfig.ReadHeaderTimeout = 100 * time.Millisecond })
	s.machines(1)
	c := dial(t, s)
	_, err := io.WriteString(c, "GET /get HTTP/1.1\r\nHost: localhost\r\nX: ")
	require.NoError(t, err)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, c)
	}()
	for sent := 0; ; sent++ {
		select {
		case <-closed:
			t.Logf("closed after %d bytes", sent)
			return
		default:
		}
		_, _ = io.WriteString(c, "x") // an error is seen above
		assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	}
}

// A small body that becomes a large one is one.
func TestBodiesThatGrow(t *testing.T) {
	s := serve(t)
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	_, err := z.Write([]byte(`{"description":"`))
	require.NoError(t, err)
	for range 8 {
		_, err = z.Write(bytes.Repeat([]byte("x"), 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.Less(t, body.Len(), 1<<20)
	a := s.send(t, http.MethodPost, "/api/v1/thresholds", body.String(), "Content-Encoding", "gzip")
	assert.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
}

// Bodies that are too large are refused, and those that come byte by byte end with the time
// that a request has; others are served.
func TestBodiesThatAreTooLargeOrTooSlow(t *testing.T) {
	s := serve(t, func(c *Config) {
		c.ServerConfig.MaxRequestBodySize = 10 << 10
		c.ServerConfig.ReadTimeout = 200 * time.Millisecond
	})
	s.machines(1)
	large := s.send(t, http.MethodPost, "/api/v1/thresholds", fmt.Sprintf(`{"description":%q}`, make([]byte, 11<<10)))
	assert.Equal(t, http.StatusRequestEntityTooLarge, large.StatusCode)

	c := dial(t, s)
	_, err := io.WriteString(c, "POST /api/v1/thresholds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{")
	require.NoError(t, err)
	for range 3 { // as a client would that has all the time in the world
		_, _ = io.WriteString(c, " ")
		assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	assert.GreaterOrEqual(t, answer.StatusCode, 400)
	assert.Less(t, answer.StatusCode, 500)
}
