package usageapiextension

import (
	"bufio"
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

// descriptors raises the limit of open files, or skips where that is not allowed.
func descriptors(t *testing.T, n uint64) {
	t.Helper()
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
	dialTo   = "VMUSAGE_TEST_DIAL" // makes the test binary a client
	idleOnes = 10_000
)

// TestIdleClient is no test: as a process of its own it opens connections that do nothing, until its
// stdin ends. Both ends in one process would need twice as many files.
func TestIdleClient(t *testing.T) {
	addr := os.Getenv(dialTo)
	if addr == "" {
		t.Skip("it is run by other tests")
	}
	descriptors(t, idleOnes+500)
	var all []net.Conn
	for range idleOnes {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		all = append(all, c)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range all {
		c.Close()
	}
}

// idle has another process open connections that do nothing, until the test ends.
func idle(t *testing.T, s *served) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleClient$")
	cmd.Env = append(os.Environ(), dialTo+"="+s.server.addr.String())
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
	descriptors(t, idleOnes+500)
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
	descriptors(t, idleOnes+500)
	s := serve(t, func(c *Config) { c.ServerConfig.ReadHeaderTimeout = 10 * time.Minute })
	s.machines(1)
	before := used()
	idle(t, s)
	for range 10 {
		assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	}
	assert.Less(t, used()-before, int64(16<<20))
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
