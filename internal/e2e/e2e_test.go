package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// TestEventsAreWhatTheKernelCounted meters this very machine with lo counted
// too, and compares the sums over all events with /proc read by hand.
func TestEventsAreWhatTheKernelCounted(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", t.TempDir())
	load(t)

	k := thisKernel(t)
	outerStart := k.read(t)
	c := start(t, b.Addr(), k.set())
	events := consume(t, b.Addr())
	events.take(t, atLeast(1))
	innerStart := k.read(t)
	events.take(t, atLeast(3))
	innerEnd := k.read(t)
	c.stop(t)
	outerEnd := k.read(t)

	proof := prove(t, everything(t, b))
	proof.within(t, outerStart, innerStart, innerEnd, outerEnd)
	verify(t, b.Addr(), proof)
	ordered := proof.only(t)
	first := ordered[0].event.Period
	for _, r := range ordered {
		p := r.event.Period
		assert.Equal(t, usage.Measured, p.WorstQuality())
		assert.InDelta(t, p.Duration/1000, p.Usage[usage.Running], 1, "nanoseconds are carried into the next period")
		assert.InDelta(t, float64(memTotal(t)>>20)*float64(p.Duration)/1e9, float64(p.Usage[usage.MemoryProvisioned]), 2)
	}
	assert.Positive(t, proof.sums[usage.CPUTime])
	assert.Positive(t, proof.sums[usage.NetworkTransmitBytes])
	if len(k.disks) > 0 {
		assert.Positive(t, proof.sums[usage.DiskWriteBytes])
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
		body = metrics(c.prometheus)
		return strings.Contains(body, "vm_metered_cpu_time")
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
	b = broker(t, addr, dir)
	require.Eventually(t, func() bool { return strings.Count(c.log.String(), "delivery works again") == 2 }, patience, 50*time.Millisecond)
	c.stop(t)
	all := prove(t, everything(t, b))
	assert.Greater(t, len(all.only(t)), len(records))
	verify(t, addr, all)
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
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	t.Setenv("USAGE_API_ENDPOINT", freePort(t))
	t.Setenv("HEALTH_ENDPOINT", freePort(t))
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
	t.Setenv("USAGE_API_ENDPOINT", freePort(t))
	t.Setenv("SELF_METRICS_PORT", port)
	t.Setenv("STATE_DIRECTORY", filepath.Join(dir, "state"))
	out, err := run(t, "", ctl, "up", "--config", config, "--broker-listen", addr, "--data-dir", filepath.Join(dir, "kafka"),
		"--log", filepath.Join(dir, "collector.log"), "--json", "--count", "1", "--timeout", "90s")
	require.NoError(t, err)
	assert.Contains(t, out, `"event_type":"resource_usage"`)
}
