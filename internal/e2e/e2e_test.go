package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// load keeps one CPU, the disk and the loopback interface busy until the test ends.
func load(t *testing.T) {
	t.Helper()
	stop := make(chan struct{})
	ended := make(chan struct{})
	dir := t.TempDir()
	go func() {
		defer close(ended)
		block := make([]byte, 1<<20)
		for {
			select {
			case <-stop:
				return
			default:
			}
			f, err := os.CreateTemp(dir, "load")
			if err == nil {
				_, _ = f.Write(block)
				_ = f.Sync()
				_ = f.Close()
				_ = os.Remove(f.Name())
			}
			for i := range block {
				block[i] = block[i]*31 + byte(i)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

// TestEventsAreWhatTheKernelCounted meters this very machine with lo counted
// too, and compares the sums over all events with /proc read by hand.
func TestEventsAreWhatTheKernelCounted(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", t.TempDir())
	load(t)

	var disks []string
	interfaces := []string{"lo"}
	entries, err := os.ReadDir("/sys/class/net")
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join("/sys/class/net", e.Name(), "device")); err == nil {
			interfaces = append(interfaces, e.Name())
		}
	}
	entries, err = os.ReadDir("/sys/block")
	require.NoError(t, err)
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, "loop") && !strings.HasPrefix(n, "ram") && !strings.HasPrefix(n, "zram") {
			if slaves, _ := os.ReadDir(filepath.Join("/sys/block", n, "slaves")); len(slaves) == 0 {
				disks = append(disks, n)
			}
		}
	}

	outerStart := procTotals(t, disks, interfaces)
	c := start(t, b.Addr(), "receivers::vm_usage::host::network::include=["+strings.Join(interfaces, ",")+"]")
	events := consume(t, b.Addr())
	records := events.take(t, atLeast(1))
	innerStart := procTotals(t, disks, interfaces)
	records = append(records, events.take(t, atLeast(3))...)
	innerEnd := procTotals(t, disks, interfaces)
	c.stop(t)
	outerEnd := procTotals(t, disks, interfaces)

	// The last period is closed by the end of the collector: read up to it.
	last := records[len(records)-1].event.Period.Sequence
	records = append(records, events.take(t, func(rs []record) bool {
		return len(rs) > 0 && rs[len(rs)-1].event.Period.Sequence > last
	})...)
	ordered := contiguous(t, records)

	sums := usage.Amounts{}
	first := ordered[0].event.Period
	for _, r := range ordered {
		p := r.event.Period
		assert.Equal(t, usage.Measured, p.WorstQuality())
		for m := range p.Metered.All() {
			sums[m] += p.Usage[m]
			assert.Equal(t, sums[m], p.Totals[m], "total of %s", m)
		}
		assert.InDelta(t, p.Duration/1000, p.Usage[usage.Running], 1, "nanoseconds are carried into the next period")
		assert.InDelta(t, float64(memTotal(t)>>20)*float64(p.Duration)/1e9, float64(p.Usage[usage.MemoryProvisioned]), 2)
	}
	for _, m := range counted {
		assert.LessOrEqual(t, sums[m], outerEnd[m]-outerStart[m], "%s exceeds what the kernel counted", m)
		assert.GreaterOrEqual(t, sums[m], innerEnd[m]-innerStart[m], "%s misses what the kernel counted", m)
	}
	assert.Positive(t, sums[usage.CPUTime])
	assert.Positive(t, sums[usage.NetworkTransmitBytes])
	if len(disks) > 0 {
		assert.Positive(t, sums[usage.DiskWriteBytes])
	}

	assert.Equal(t, "vm-e2e", first.Instance.ID)
	assert.Equal(t, "user-1", first.Instance.UserID)
	assert.Equal(t, "org-1", first.Instance.OrgID)
	for _, r := range ordered {
		assert.Equal(t, "vm-e2e", string(r.Key))
		assert.Equal(t, r.event.Period.End/1e6, r.Timestamp.UnixMilli())
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		assert.Equal(t, r.event.ID.String(), headers["event-id"])
		assert.Equal(t, r.event.ID.String(), headers["ce_id"])
	}
	t.Run("kcat reads the same bytes", func(t *testing.T) {
		kcat := tool(t, "kcat")
		out, err := run(t, "", kcat, "-b", b.Addr(), "-t", "usage_events", "-C", "-e", "-q", "-f", `%k|%s\n`)
		require.NoError(t, err)
		for _, r := range ordered {
			assert.Contains(t, out, "vm-e2e|"+string(r.Value)+"\n")
		}
	})
}

func TestPrometheusSeesTheInstance(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", "")
	c := start(t, b.Addr())
	consume(t, b.Addr()).take(t, atLeast(1))
	var body string
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + c.prometheus + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		body = string(data)
		return err == nil && strings.Contains(body, "vm_metered_cpu_time")
	}, patience, 100*time.Millisecond)
	for _, name := range []string{"vm_cpu_time_seconds_total", "vm_memory_usage_bytes", "vm_disk_io_bytes_total", "vm_network_io_bytes_total", "vm_uptime_seconds", "vm_metered_cpu_time"} {
		assert.Regexp(t, `(?m)^`+name+`[a-z_]*\{.*vm_id="vm-e2e".*\} `, body)
	}
	assert.NotContains(t, body, "vm_usage_", "usage stays on the billing path")
	c.stop(t)
	t.Run("promtool parses it", func(t *testing.T) {
		out, err := run(t, body, tool(t, "promtool"), "check", "metrics")
		// promtool has opinions about names (exit 3); only a scrape that does not parse counts.
		if err != nil {
			assert.NotContains(t, err.Error(), "error while linting: text format parsing")
			assert.Contains(t, err.Error(), "exit status 3", "%s%v", out, err)
		}
	})
}

func TestKafkaComesAndGoes(t *testing.T) {
	binary(t, "otelcol-vmusage")
	addr, dir := freePort(t), t.TempDir()

	c := start(t, addr, "exporters::usage_event::timeout=2s",
		"exporters::usage_event::retry_on_failure::max_interval=1s", "exporters::usage_event::retry_on_failure::max_elapsed_time=3s")
	c.waitLog(t, "delivery fails")
	b := broker(t, addr, dir)
	c.waitLog(t, "delivery works again")
	records := consume(t, addr).take(t, atLeast(3))

	require.NoError(t, b.Close())
	require.Eventually(t, func() bool { return strings.Count(c.log.String(), "delivery fails") == 2 }, patience, 50*time.Millisecond)
	broker(t, addr, dir)
	require.Eventually(t, func() bool { return strings.Count(c.log.String(), "delivery works again") == 2 }, patience, 50*time.Millisecond)
	c.stop(t)
	last := contiguous(t, records)[0].event.Period.Stream
	all := consume(t, addr).take(t, func(rs []record) bool {
		return len(rs) > 0 && strings.Contains(c.log.String(), "Shutdown complete") && len(rs) >= len(records)
	})
	for _, r := range contiguous(t, all) {
		require.Equal(t, last.ID, r.event.Period.Stream.ID)
	}
	assert.LessOrEqual(t, strings.Count(c.log.String(), "warn"), 12, "one line for a change, not one for a try")
}

func TestTheEndAgainstADeadBrokerTakesSeconds(t *testing.T) {
	binary(t, "otelcol-vmusage")
	c := start(t, freePort(t))
	c.waitLog(t, "fails")
	assert.Less(t, c.stop(t), 30*time.Second)
	assert.Contains(t, c.log.String(), "not confirmed when the collector ended")
}

func TestBadInputNamesKeyValueAndRemedy(t *testing.T) {
	bin := binary(t, "otelcol-vmusage")
	for _, tt := range []struct {
		name, set string
		want      []string
		atStart   bool
	}{
		{"unknown key", "receivers::vm_usage::intervall=10s", []string{"intervall"}, false},
		{"bad duration", "receivers::vm_usage::period=soon", []string{"period", "soon"}, false},
		{"no multiple", "receivers::vm_usage::period=15s", []string{"period", "15s", "multiple of collection_interval"}, false},
		{"no brokers", "exporters::usage_event::brokers=[]", []string{"brokers"}, false},
		{"bad mechanism", "exporters::usage_event::auth::sasl={mechanism: MD5, username: u, password: p}", []string{"mechanism", "MD5", "SCRAM-SHA-512"}, false},
		{"unreadable root", "receivers::vm_usage::host::root_path=/nowhere", []string{"root_path", "/nowhere"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"--config", filepath.Join(repository, "otelcol-config.yaml"), "--set=" + tt.set}
			if !tt.atStart {
				args = append([]string{"validate"}, args...)
			}
			_, err := run(t, "", bin, args...)
			require.Error(t, err)
			for _, w := range tt.want {
				assert.Contains(t, err.Error(), w)
			}
		})
	}
	_, err := run(t, "", bin, "validate", "--config", filepath.Join(repository, "otelcol-config.yaml"))
	assert.NoError(t, err, "the configuration of the repository is valid")
}

func TestUpPrintsTheFirstEvent(t *testing.T) {
	binary(t, "otelcol-vmusage")
	ctl := binary(t, "vmusagectl")
	dir := t.TempDir()
	addr := freePort(t)
	config, err := filepath.Abs(filepath.Join(repository, "otelcol-config.yaml"))
	require.NoError(t, err)
	_, port, _ := strings.Cut(freePort(t), ":")
	t.Setenv("KAFKA_BROKER", addr)
	t.Setenv("PROMETHEUS_ENDPOINT", freePort(t))
	t.Setenv("HEALTH_ENDPOINT", freePort(t))
	t.Setenv("SELF_METRICS_PORT", port)
	out, err := run(t, "", ctl, "up", "--config", config, "--broker-listen", addr, "--data-dir", filepath.Join(dir, "kafka"),
		"--log", filepath.Join(dir, "collector.log"), "--json", "--count", "1", "--timeout", "90s")
	require.NoError(t, err)
	assert.Contains(t, out, `"event_type":"resource_usage"`)
}
