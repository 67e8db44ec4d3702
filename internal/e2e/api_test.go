package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
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

	c.top(t)

	require.NoError(t, b.Close())
	c.waitAPI(t, "/health", is("degraded\n"))
	_, body = c.ask("/api/v1/health/status")
	assert.Contains(t, body, "exporter usage_event: ")
	b = broker()
	c.waitAPI(t, "/health", is("healthy\n"))
	c.stop(t)
	require.NoError(t, b.Close())
}

// TestGetIsWhatTheKernelSays: what /get says of disks lies between two looks at /proc/diskstats.
func TestGetIsWhatTheKernelSays(t *testing.T) {
	addr := freePort(t)
	broker(t, addr, t.TempDir())
	c := start(t, addr)
	before := diskstats(t)
	began := time.Now()
	var got struct {
		Timestamp int64
		Memory    struct{ Total, Free, Available int64 }
		Disks     []map[string]any
	}
	c.waitAPI(t, "/get", func(status int, body string) bool {
		return status == http.StatusOK && json.Unmarshal([]byte(body), &got) == nil && got.Timestamp > began.Unix()
	})
	after := diskstats(t)
	c.stop(t)
	assert.Positive(t, got.Memory.Free)
	assert.Less(t, got.Memory.Free, got.Memory.Total)
	assert.NotEqual(t, got.Memory.Free, got.Memory.Available)
	if len(got.Disks) == 0 {
		t.Skip("SKIPPED: this machine has no disk that counts")
	}
	fields := []string{
		"reads_completed", "reads_merged", "sectors_read", "time_reading", "writes_completed", "writes_merged", "sectors_written", "time_writing",
		"io_in_progress", "time_doing_io", "weighted_time_doing_io",
	}
	for _, d := range got.Disks {
		name := d["device_name"].(string)
		for i, field := range fields {
			if field == "io_in_progress" { // goes up and down
				continue
			}
			value := d[field].(float64)
			assert.GreaterOrEqual(t, value, before[name][i], "%s %s", name, field)
			assert.LessOrEqual(t, value, after[name][i], "%s %s", name, field)
		}
	}
}

// diskstats returns the numbers of /proc/diskstats, by device.
func diskstats(t *testing.T) map[string][]float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/diskstats")
	require.NoError(t, err)
	all := map[string][]float64{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		for _, s := range f[3:] {
			n, err := strconv.ParseFloat(s, 64)
			require.NoError(t, err)
			all[f[2]] = append(all[f[2]], n)
		}
	}
	return all
}

// top has vmusagectl show the same as a table for scripts. The collector reads each half second.
func (c *collector) top(t *testing.T) {
	t.Helper()
	out, err := run(t, "", binary(t, "vmusagectl"), "top", "--once", "--json", "--interval", "2s", "--user", "user-1", "--endpoint", "http://"+c.api)
	require.NoError(t, err)
	var rows []struct {
		ID     string
		OrgID  string   `json:"org_id"`
		CPUs   int      `json:"cpu_count"`
		CPU    *float64 `json:"cpu_utilization_ratio"`
		Memory int64    `json:"memory_limit_bytes"`
		Age    *float64 `json:"age_seconds"`
		Level  string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	require.Len(t, rows, 1)
	assert.Equal(t, "vm-e2e", rows[0].ID)
	assert.Equal(t, "org-1", rows[0].OrgID)
	assert.Positive(t, rows[0].CPUs)
	assert.Positive(t, rows[0].Memory)
	assert.NotNil(t, rows[0].CPU)
	assert.NotNil(t, rows[0].Age)
	assert.NotEmpty(t, rows[0].Level)

	out, err = run(t, "", binary(t, "vmusagectl"), "top", "--once", "--json", "--user", "nobody", "--endpoint", "http://"+c.api)
	require.NoError(t, err)
	assert.JSONEq(t, "[]", out)
}
