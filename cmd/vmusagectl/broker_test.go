package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBrokerKeepsItsDataOverAStop(t *testing.T) {
	addr, dir := freeAddr(t), filepath.Join(t.TempDir(), "kafka")
	s := begin(t, "broker", "--listen", addr, "--data-dir", dir)
	assert.Equal(t, "Kafka is ready on "+addr+", data in "+dir+", topics usage_events:3, usage_thresholds:3, usage_events_dlq:1",
		s.await(s.out, "ready"))
	require.NoError(t, send(t.Context(), addr, "usage_events", usageEvent("kept")))
	s.stop()
	assert.Equal(t, exitOK, s.end())
	assert.Contains(t, s.err.String(), "stopped, all data is in "+dir)

	s = begin(t, "broker", "--listen", addr, "--data-dir", dir, "--topic", "usage_events:7", "--topic", "more")
	assert.Contains(t, s.await(s.out, "ready"), "topics usage_events:3, more:1")
	status, out, _ := call(t, "tail", "--brokers", addr, "--from-beginning", "--json", "--count", "1")
	assert.Equal(t, exitOK, status)
	assert.Equal(t, string(usageEvent("kept"))+"\n", out)
	s.stop()
	assert.Equal(t, exitOK, s.end())
}

func TestBrokerThatCannotWriteStops(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, "broker", "--listen", "127.0.0.1:0", "--data-dir", dir, "--topic", "t:1")
	s.await(s.out, "ready")
	// Where the topic's first record would go is a file.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "partitions"), 0o755))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "partitions", "t-0")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "partitions", "t-0"), nil, 0o600))
	addr := listening(t, s.out.String())
	require.Error(t, send(t.Context(), addr, "t", []byte("x")))
	assert.Equal(t, exitFailed, s.end())
	assert.Contains(t, s.err.String(), "could not write its data")
}

func TestBrokerRefuses(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, "broker", "--listen", "127.0.0.1:0", "--data-dir", dir)
	s.await(s.out, "ready")
	taken := listening(t, s.out.String())

	for name, tc := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"a taken address":    {[]string{"--listen", taken, "--data-dir", t.TempDir()}, exitFailed, []string{taken, "--listen"}},
		"a directory in use": {[]string{"--listen", "127.0.0.1:0", "--data-dir", dir}, exitFailed, []string{dir, "--data-dir"}},
		"other machines":     {[]string{"--listen", "0.0.0.0:0", "--data-dir", t.TempDir()}, exitFailed, []string{"no authentication", "--allow-remote"}},
		"nowhere to go":      {[]string{"--listen", "0.0.0.0:0", "--allow-remote", "--data-dir", t.TempDir()}, exitFailed, []string{"--advertise"}},
		"a bad topic":        {[]string{"--topic", "a:0", "--data-dir", t.TempDir()}, exitUsage, []string{"--topic", `"a:0"`, "1 to 1000", "broker --help"}},
		"no directory":       {[]string{"--data-dir", ""}, exitUsage, []string{"--data-dir"}},
		"an argument":        {[]string{"now"}, exitUsage, []string{`"now"`}},
		"an unknown flag":    {[]string{"--lissen", "x"}, exitUsage, []string{"--lissen"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, err := call(t, append([]string{"broker"}, tc.args...)...)
			assert.Equal(t, tc.status, status)
			assert.Empty(t, out)
			for _, part := range tc.says {
				assert.Contains(t, err, part)
			}
		})
	}
}
