package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHelpTeaches(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"--help"},
		{"broker", "--help"},
		{"tail", "--help"},
		{"verify", "--help"},
		{"up", "--help"},
		{"dlq"},
		{"dlq", "list", "--help"},
		{"dlq", "show", "--help"},
		{"dlq", "replay", "--help"},
		{"dlq", "export", "--help"},
		{"rules"},
		{"rules", "check", "--help"},
	} {
		status, out, err := call(t, args...)
		assert.Equal(t, exitOK, status)
		assert.Contains(t, out, "Examples:\n  ")
		assert.Empty(t, err)
	}
}

func TestVersion(t *testing.T) {
	status, out, _ := call(t, "--version")
	assert.Equal(t, exitOK, status)
	assert.Regexp(t, `^vmusagectl \S+\n$`, out)
}

func TestUnknownCommand(t *testing.T) {
	status, _, err := call(t, "nope")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, err, `"nope"`)
	assert.Contains(t, err, "vmusagectl --help")
}

func TestColorOnlyOnATerminal(t *testing.T) {
	env := func(pairs map[string]string) func(string) string { return func(k string) string { return pairs[k] } }
	assert.False(t, terminal{out: newScreen(), getenv: env(nil)}.color())
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, terminal{out: file, getenv: env(nil)}.color())

	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here")
	}
	defer tty.Close()
	assert.True(t, terminal{out: tty, getenv: env(nil)}.color())
	assert.False(t, terminal{out: tty, getenv: env(map[string]string{"NO_COLOR": "1"})}.color())
	assert.False(t, terminal{out: tty, getenv: env(map[string]string{"TERM": "dumb"})}.color())
}
