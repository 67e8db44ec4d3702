package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upArgs are arguments for an up whose collector is the test binary in a role.
func upArgs(t *testing.T, as string, more ...string) (args []string, dir string) {
	t.Helper()
	t.Setenv(role, as)
	dir = t.TempDir()
	return append([]string{
		"up", "--collector", os.Args[0], "--config", emptyFile(t), "--broker-listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(dir, "made", "kafka"), "--log", filepath.Join(dir, "logs", "collector.log"),
	}, more...), dir
}

func TestUpShowsEventsAndStopsInOrder(t *testing.T) {
	args, dir := upArgs(t, "good", "--json")
	s := begin(t, args...)
	assert.Equal(t, string(usageEvent("first")), s.await(s.out, "first"))
	s.stop()
	assert.Equal(t, exitOK, s.end())
	assert.Equal(t, string(usageEvent("first"))+"\n"+string(usageEvent("last"))+"\n", s.out.String(), "the event of the stop is stored and shown")
	for _, part := range []string{
		"Kafka        127.0.0.1:", "made/kafka", "logs/collector.log", "http://127.0.0.1:9464/metrics", "http://127.0.0.1:8080/api/v1/docs",
		"kcat -b 127.0.0.1:", "-t usage_events", "Ctrl-C",
	} {
		assert.Contains(t, s.err.String(), part)
	}
	log, err := os.ReadFile(filepath.Join(dir, "logs", "collector.log"))
	require.NoError(t, err)
	assert.Regexp(t, `^collector --config .*config\.yaml\n$`, string(log))
}

func TestUpCount(t *testing.T) {
	args, _ := upArgs(t, "good", "--count", "1", "--timeout", "1m", "--", "--set=a.b=c")
	status, out, err := call(t, args...)
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "first  owner user")
	assert.NotContains(t, out, "last", "one was asked for")
	assert.Contains(t, err, "config.yaml --set=a.b=c")
}

func TestUpThatShowsNothingFails(t *testing.T) {
	args, _ := upArgs(t, "good", "--show", "usage_thresholds", "--timeout", "1ms")
	status, out, err := call(t, args...)
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out)
	assert.Contains(t, err, "nothing came")
}

func TestUpWhoseCollectorFails(t *testing.T) {
	args, dir := upArgs(t, "fails")
	status, _, err := call(t, args...)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, "  cannot read its config\n", "the last lines of the log")
	assert.Contains(t, err, filepath.Join(dir, "logs", "collector.log"))
	assert.Contains(t, err, "the collector ended by itself, with exit status 1")
}

func TestUpWhoseCollectorDoesNotStop(t *testing.T) {
	args, _ := upArgs(t, "stubborn", "--grace", "1ms", "--count", "1")
	status, out, err := call(t, args...)
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "first")
	assert.Contains(t, err, "was killed")
}

func TestTwoUps(t *testing.T) {
	first, dir := upArgs(t, "good")
	s := begin(t, first...)
	s.await(s.out, "first")
	addr := listening(t, strings.ReplaceAll(s.err.String(), "kcat -b", "on"))

	second, _ := upArgs(t, "good", "--broker-listen", addr)
	status, _, err := call(t, second...)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, addr+" is taken")
	assert.Contains(t, err, "--broker-listen")

	second, _ = upArgs(t, "good", "--data-dir", filepath.Join(dir, "made", "kafka"))
	status, _, err = call(t, second...)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, "another vmusagectl")

	s.stop()
	assert.Equal(t, exitOK, s.end(), "the first one is not troubled")
	assert.Contains(t, s.out.String(), "last")
}

func TestUpRefuses(t *testing.T) {
	config := emptyFile(t)
	for name, tc := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"no config":         {[]string{"--config", "/nowhere.yaml"}, exitFailed, []string{"--config", "/nowhere.yaml"}},
		"no such collector": {[]string{"--config", config, "--collector", "/nowhere"}, exitFailed, []string{"--collector", "/nowhere"}},
		"no collector":      {[]string{"--config", config}, exitFailed, []string{"otelcol-vmusage", "make build", "--collector"}},
		"an argument":       {[]string{"now"}, exitUsage, []string{`"now"`, "--"}},
		"a negative grace":  {[]string{"--grace", "-1s"}, exitUsage, []string{"--grace is -1s"}},
		"a negative count":  {[]string{"--count", "-1"}, exitUsage, []string{"--count is -1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			status, out, err := call(t, append([]string{"up"}, tc.args...)...)
			assert.Equal(t, tc.status, status)
			assert.Empty(t, out)
			for _, part := range tc.says {
				assert.Contains(t, err, part)
			}
		})
	}
}
