package usageapiextension

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
)

func dial(t *testing.T, s *served) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.server.addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// A header that is too large is refused, and one that comes too slowly ends the
// connection; others are served meanwhile.
func TestHeadersThatAreTooLargeOrTooSlow(t *testing.T) {
	s := serve(t, func(c *Config) { c.ServerConfig.ReadHeaderTimeout = 50 * time.Millisecond })
	s.machines(1)
	c := dial(t, s)
	_, err := fmt.Fprintf(c, "GET /get HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "431")

	c = dial(t, s)
	_, err = io.WriteString(c, "GET /get HTTP/1.1\r\nHost: localhost\r\nX: ")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode)
	_, err = io.Copy(io.Discard, c)
	require.NoError(t, err, "it is closed")
}

// Connections that do nothing cost little and hold up nobody: those that wait longest make
// room.
func TestIdleConnections(t *testing.T) {
	const conns = 200
	s := serve(t, func(c *Config) {
		c.MaxConnections = conns
		c.ServerConfig.ReadHeaderTimeout = 100 * time.Millisecond
	})
	s.machines(1)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 3 * conns {
		dial(t, s)
	}
	runtime.ReadMemStats(&after)
	assert.Equal(t, http.StatusOK, s.get(t, "/get").StatusCode, "one of those that do nothing is closed for it")
	assert.Less(t, int64(after.HeapInuse)-int64(before.HeapInuse), int64(16<<20)) //nolint:gosec // far below
}

func TestShutdownEndsStreams(t *testing.T) {
	s := serve(t)
	s.machines(1)
	res, err := s.client.Get(s.url + "/api/v1/usage/stream")
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, s.Shutdown(t.Context()))
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err, "in order, not torn")
	assert.Contains(t, string(body), `"id":"vm-00000"`)
	require.NoError(t, s.Shutdown(t.Context()), "twice is the same")
}

func TestAnEndpointThatIsTaken(t *testing.T) {
	s := serve(t)
	cfg := createDefaultConfig().(*Config)
	cfg.ServerConfig.NetAddr.Endpoint = s.server.addr.String()
	e, err := newExtension(extensiontest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	err = e.Start(context.Background(), componenttest.NewNopHost())
	require.ErrorContains(t, err, "endpoint is \""+s.server.addr.String()+"\"")
	require.NoError(t, e.Shutdown(context.Background()))
}
