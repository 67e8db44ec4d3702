package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

// ask returns status and body of an answer of the usage API; 0 where there is none.
func (c *collector) ask(path string) (status int, body string) {
	res, err := http.Get("http://" + c.api + path)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(b)
}

// waitAPI waits until an answer is as it should be.
func (c *collector) waitAPI(t *testing.T, path string, good func(status int, body string) bool) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		status, body := c.ask(path)
		if good(status, body) {
			return body
		}
		require.True(t, time.Now().Before(deadline), "%s answers %d %s", path, status, body)
	}
}

func is(want string) func(int, string) bool {
	return func(_ int, body string) bool { return body == want }
}

// The API of the example configuration shows this machine; that Kafka goes away and
// comes back is seen in its health.
func TestTheUsageAPI(t *testing.T) {
	addr := freePort(t)
	broker := func() *devbroker.Broker {
		b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: addr, Topics: devbroker.DefaultTopics()})
		require.NoError(t, err)
		return b
	}
	b := broker()
	c := start(t, addr)
	c.waitAPI(t, "/health", is("healthy\n"))
	body := c.waitAPI(t, "/api/v1/usage/instances/vm-e2e/current", func(status int, body string) bool {
		var i struct {
			Period struct{ Open, Closed *json.RawMessage }
		}
		return status == http.StatusOK && json.Unmarshal([]byte(body), &i) == nil && i.Period.Open != nil && i.Period.Closed != nil
	})
	assert.Contains(t, body, `"user_id":"user-1","org_id":"org-1"`)
	status, body := c.ask("/get")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"instance_id":"vm-e2e","account_id":"user-1"`)

	require.NoError(t, b.Close())
	c.waitAPI(t, "/health", is("degraded\n"))
	_, body = c.ask("/api/v1/health/status")
	assert.Contains(t, body, "exporter usage_event: ")
	b = broker()
	c.waitAPI(t, "/health", is("healthy\n"))
	c.stop(t)
	require.NoError(t, b.Close())
}
