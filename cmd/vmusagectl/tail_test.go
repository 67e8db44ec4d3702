package main

import (
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// listening finds the address in a broker's ready line.
func listening(t *testing.T, out string) string {
	t.Helper()
	found := regexp.MustCompile(`on (127\.0\.0\.1:\d+)`).FindStringSubmatch(out)
	require.NotNil(t, found, out)
	return found[1]
}

func kafka(t *testing.T, addr string) string {
	t.Helper()
	b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: addr, Topics: []devbroker.Topic{{Name: "usage_events", Partitions: 1}}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b.Addr()
}

func TestTailShowsEvents(t *testing.T) {
	addr := kafka(t, "")
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("one"), usageEvent("two"), usageEvent("three")))
	status, out, err := call(t, "tail", "--brokers", addr, "--from-beginning", "--count", "2")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	assert.Equal(t, `2021-07-15 12:00:00 - 12:00:30 UTC  one  owner user
  cpu     30 s          12.5 %  memory  4.20 GiB       52.5 %  storage 25.70 GiB
  net out 15.20 MiB             net in  8.70 MiB
2021-07-15 12:00:00 - 12:00:30 UTC  two  owner user
  cpu     30 s          12.5 %  memory  4.20 GiB       52.5 %  storage 25.70 GiB
  net out 15.20 MiB             net in  8.70 MiB
`, out)
}

func TestTailShowsBothTopics(t *testing.T) {
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	violation := event.AppendViolation(nil, event.V1_1, usagetest.Violation(1))
	require.NoError(t, send(t.Context(), b.Addr(), "usage_events", usageEvent("one")))
	require.NoError(t, send(t.Context(), b.Addr(), "usage_thresholds", violation,
		[]byte(`{"event_type":"threshold_violation","version":"2.0"}`), []byte(`{"event_type":"threshold_violation","version":"1.0"}`)))
	status, out, errs := call(t, "tail", "--brokers", b.Addr(), "--from-beginning", "--timeout", "500ms", "--topic", "usage_events,usage_thresholds")
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "one  owner user\n")
	assert.Contains(t, out, "web-1 (6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77)  owner user-42 of org-7  warning\n"+
		"  cpu-high  cpu 87.5 % (threshold: above 80 %)  since 2021-07-15 11:59:30 UTC\n  the CPU is busy\n")
	assert.Contains(t, out, `{"event_type":"threshold_violation","version":"2.0"}`, "as it is")
	assert.Contains(t, errs, "no event: malformed event: config is missing")
	status, out, errs = call(t, "tail", "--brokers", b.Addr(), "--from-beginning", "--count", "1", "--topic", "usage_thresholds", "--json")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, errs)
	assert.Equal(t, string(violation)+"\n", out)
}

func TestTailJSONIsTheRecordsBytes(t *testing.T) {
	addr := kafka(t, "")
	odd := []byte("{ \"metrics\" : {\"cpu_seconds\":30,\"cpu_percent_avg\":1.250,\"memory_gb\":1,\"memory_percent\":1,\"storage_gb\":1," +
		"\"network_egress_mb\":1,\"network_ingress_mb\":1,\"gpu_seconds\":0}, \"instance_id\":\"\\u0061<\", \"user_id\":\"\",\"org_id\":null," +
		"\"period\":{\"start\":1626350400,\"end\":1626350430},\"timestamp\":1626350430,\"version\":\"1.0\",\"event_type\":\"resource_usage\"}")
	require.NoError(t, send(t.Context(), addr, "usage_events", odd))
	status, out, err := call(t, "tail", "--brokers", addr, "--from-beginning", "--json", "--count", "1")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	assert.Equal(t, string(odd)+"\n", out)
}

func TestTailPassesOverWhatIsNoEvent(t *testing.T) {
	addr := kafka(t, "")
	other := []byte(`{"event_type":"instance_lifecycle","version":"1.0"}`)
	require.NoError(t, send(t.Context(), addr, "usage_events", []byte("junk"), nil, []byte("{}"), other, usageEvent("good")))
	for _, flags := range [][]string{{"--json"}, {}} {
		status, out, err := call(t, append([]string{"tail", "--brokers", addr, "--from-beginning", "--count", "2"}, flags...)...)
		assert.Equal(t, exitOK, status)
		assert.True(t, strings.HasPrefix(out, string(other)+"\n"), out)
		assert.Contains(t, out, "good")
		lines := strings.Split(strings.TrimSpace(err), "\n")
		require.Len(t, lines, 3)
		for offset, line := range lines {
			assert.Contains(t, line, "usage_events, partition 0, offset "+string(rune('0'+offset))+": no event: ")
		}
	}
}

func TestTailWithoutEventsFails(t *testing.T) {
	addr := kafka(t, "")
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("old")))
	status, out, err := call(t, "tail", "--brokers", addr, "--timeout", "1ms")
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out)
	assert.Contains(t, err, "nothing came")
}

func TestTailWithEventsAndATimeoutSucceeds(t *testing.T) {
	addr := kafka(t, "")
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("one")))
	status, out, err := call(t, "tail", "--brokers", addr, "--from-beginning", "--timeout", "300ms", "--json")
	assert.Equal(t, exitOK, status)
	assert.Equal(t, string(usageEvent("one"))+"\n", out)
	assert.Empty(t, err)
}

func TestTailWaitsForKafka(t *testing.T) {
	addr := freeAddr(t)
	s := begin(t, "tail", "--brokers", addr, "--count", "1", "--json", "--from-beginning")
	assert.Contains(t, s.await(s.err, "waiting"), "Kafka at "+addr)
	kafka(t, addr)
	s.await(s.err, "is there")
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("one")))
	assert.Equal(t, exitOK, s.end())
	assert.Equal(t, 1, strings.Count(s.err.String(), "waiting"), s.err.String())
}

func TestTailInterrupted(t *testing.T) {
	s := begin(t, "tail", "--brokers", freeAddr(t))
	s.await(s.err, "waiting")
	s.stop()
	assert.Equal(t, exitFailed, s.end(), "nothing came")
}

func TestTailWrongUsage(t *testing.T) {
	for flag, value := range map[string]string{"--count": "-1", "--timeout": "-1s"} {
		status, _, err := call(t, "tail", flag, value)
		assert.Equal(t, exitUsage, status)
		assert.Contains(t, err, flag+" is "+value)
		assert.Contains(t, err, "vmusagectl tail --help")
	}
	status, _, err := call(t, "tail", "--topic", "a,")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, err, "a topic to show is empty")
}

// As in `vmusagectl tail | head -1`.
func TestTailIntoAClosedPipe(t *testing.T) {
	addr := kafka(t, "")
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("one")))
	errs := newScreen()
	for broken, want := range map[error]int{syscall.EPIPE: exitOK, errors.New("disk full"): exitFailed} {
		term := terminal{out: failing{broken}, err: errs, getenv: func(string) string { return "" }}
		assert.Equal(t, want, run(t.Context(), term, []string{"tail", "--brokers", addr, "--from-beginning"}))
	}
	assert.Equal(t, "vmusagectl: show an event: disk full\n", errs.String())
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
