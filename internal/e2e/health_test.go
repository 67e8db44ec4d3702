package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fakeRoot is the root of a machine whose files tests change under the collector.
type fakeRoot string

// newFakeRoot unpacks the small machine of the receiver's own tests.
func newFakeRoot(t *testing.T) fakeRoot {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "receiver/vmusagereceiver/internal/host/hosttest/small_vm.txtar"))
	require.NoError(t, err)
	_, files, _ := strings.Cut(string(b), "-- ")
	root := fakeRoot(t.TempDir())
	for f := range strings.SplitSeq(files, "\n-- ") {
		path, content, ok := strings.Cut(f, " --\n")
		require.True(t, ok, f)
		root.write(t, path, strings.TrimSuffix(content, "\n")+"\n")
	}
	return root
}

func (r fakeRoot) path(path string) string { return filepath.Join(string(r), path) }

func (r fakeRoot) read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(r.path(path))
	require.NoError(t, err)
	return string(b)
}

// write changes a file in place: the collector keeps those of proc open.
func (r fakeRoot) write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(r.path(path)), 0o755))
	require.NoError(t, os.WriteFile(r.path(path), []byte(content), 0o600))
}

// hangs adds a disk about which sysfs answers nobody, as a driver that hangs does, until
// release is called: it is a pipe that nobody writes to.
func (r fakeRoot) hangs(t *testing.T) (release func()) {
	t.Helper()
	fifo := r.path("sys/block/vdb/diskseq")
	require.NoError(t, os.MkdirAll(filepath.Dir(fifo), 0o755))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	r.write(t, "proc/diskstats", r.read(t, "proc/diskstats")+" 254      16 vdb 1 2 3 4 5 6 7 8 9 10 11\n")
	return func() {
		// Who opens it to write waits for the one who reads, and who comes later reads a file.
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		require.NoError(t, err)
		r.write(t, "sys/block/vdb/next", "9\n")
		require.NoError(t, os.Rename(r.path("sys/block/vdb/next"), fifo))
		_, err = w.WriteString("9\n")
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
}

// healthStatus is what /api/v1/health/status says.
type healthStatus struct {
	Status     string
	Components map[string]struct {
		Status  string
		Details []string
	}
}

// waitStatus waits until the health status is as good wants it.
func (c *collector) waitStatus(t *testing.T, good func(healthStatus) bool) (s healthStatus) {
	t.Helper()
	c.waitAPI(t, "/api/v1/health/status", func(status int, body string) bool {
		s = healthStatus{}
		return status == 200 && json.Unmarshal([]byte(body), &s) == nil && good(s)
	})
	return s
}

func allOK(s healthStatus) bool { return s.Status == "ok" }

// fails is that a part is degraded and one of its details has a text.
func fails(part, text string) func(healthStatus) bool {
	return func(s healthStatus) bool {
		return s.Status == "degraded" && s.Components[part].Status == "degraded" && strings.Contains(strings.Join(s.Components[part].Details, "\n"), text)
	}
}

// TestHealthSaysWhatFails breaks one thing after the other under one collector: each is
// seen, and is over when it is.
func TestHealthSaysWhatFails(t *testing.T) {
	const collection, publishing = "metrics_collection", "event_publishing"
	addr := freePort(t)
	kafka := broker(t, addr, "")
	root := newFakeRoot(t)
	c := start(t, addr, "receivers::vm_usage::host::root_path="+string(root),
		"receivers::vm_usage::outbox::growing::periods=2",
		"exporters::usage_event::timeout=1s", "exporters::usage_event::retry_on_failure::max_interval=500ms",
		"exporters::usage_event::retry_on_failure::max_elapsed_time=1s",
		"exporters::usage_event::circuit_breaker::consecutive_failures=3", "exporters::usage_event::circuit_breaker::open_interval=2s")
	c.waitStatus(t, allOK)
	sees := func(part, text string) healthStatus {
		t.Helper()
		began := time.Now()
		s := c.waitStatus(t, fails(part, text))
		t.Logf("%s is degraded after %v: %q", part, time.Since(began).Round(time.Millisecond), s.Components[part].Details)
		return s
	}
	only := func(s healthStatus, part string) {
		t.Helper()
		for name, c := range s.Components {
			assert.Equal(t, name == part, c.Status != "ok", name)
		}
	}

	// A source of which something cannot be read, and one that cannot be read at all.
	for _, path := range []string{"proc/meminfo", "proc/stat"} {
		was := root.read(t, path)
		root.write(t, path, "")
		only(sees(collection, "source host: "), collection)
		root.write(t, path, was)
		c.waitStatus(t, allOK)
	}

	// A receiver that hangs in the kernel says nothing of itself.
	release := root.hangs(t)
	only(sees(collection, "1 of 1 instances send no metrics any more"), collection)
	release()
	c.waitStatus(t, allOK)

	// Kafka goes away: at first attempts fail, then there are none, and usage waits. The
	// receiver says so, too: what it offers is refused.
	require.NoError(t, kafka.Close())
	sees(publishing, "exporter usage_event: ")
	sees(publishing, "usage_event: the circuit breaker is open")
	sees(publishing, "vm_usage: usage waits to be taken")
	broker(t, addr, "")
	s := c.waitStatus(t, allOK)
	only(s, "")
	for name, part := range s.Components {
		assert.Empty(t, part.Details, name)
	}
	c.stop(t)
}

// TestHealthSaysThatTheDiskIsFull: the storage has no room left, and then has.
func TestHealthSaysThatTheDiskIsFull(t *testing.T) {
	binary(t, "otelcol-vmusage")
	disk := smallDisk(t)
	addr := freePort(t)
	n := node(t, addr, "receivers::vm_usage::collection_interval=200ms", "receivers::vm_usage::period=1s",
		"exporters::usage_event::timeout=1s", "exporters::usage_event::retry_on_failure::max_interval=500ms",
		"exporters::usage_event::retry_on_failure::max_elapsed_time=1s")
	n.env = append(n.env, "STATE_DIRECTORY="+disk)
	c := n.start(t)
	c.waitLog(t, "delivery fails") // else the outbox does not grow, and needs no room
	filler := fill(t, disk)
	s := c.waitStatus(t, fails("metrics_collection", "no space left on device"))
	t.Logf("%q", s.Components["metrics_collection"].Details)
	broker(t, addr, "")
	require.NoError(t, os.Remove(filler))
	c.waitStatus(t, allOK)
	c.stop(t)
}
