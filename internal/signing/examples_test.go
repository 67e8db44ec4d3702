package signing_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// example returns the block of a language in docs/webhooks.md, and how it is run.
func example(t *testing.T, language, name string, command ...string) func(secret string, args []string, body []byte) bool {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("SKIPPED: there is no %s here: %v", command[0], err)
	}
	docs, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)\n```\n").FindSubmatch(docs)
	require.NotNil(t, block, language)
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, append(block[1], '\n'), 0o600))
	if language == "go" {
		binary := filepath.Join(t.TempDir(), "example")
		out, err := exec.Command(command[0], "build", "-o", binary, file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		command, file = nil, binary
	}
	return func(secret string, args []string, body []byte) bool {
		all := append(append(append([]string{}, command...), file), args...)
		cmd := exec.CommandContext(t.Context(), all[0], all[1:]...)
		cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret)
		cmd.Stdin = bytes.NewReader(body)
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // as it came
			require.NoError(t, err)
		}
		assert.Empty(t, string(out))
		return err == nil
	}
}

// The examples in the documentation take what is genuine, and nothing else.
func TestDocumentedExamples(t *testing.T) {
	for _, tt := range []struct {
		language, name string
		command        []string
	}{
		{"go", "verify.go", []string{"go"}},
		{"python", "verify.py", []string{"python3"}},
		{"js", "verify.js", []string{"node"}},
		{"sh", "verify.sh", []string{"sh"}},
	} {
		t.Run(tt.language, func(t *testing.T) {
			if tt.language == "sh" {
				if _, err := exec.LookPath("openssl"); err != nil {
					t.Skipf("SKIPPED: there is no openssl here: %v", err)
				}
			}
			genuine := example(t, tt.language, tt.name, tt.command...)
			first, err := signing.NewSecret()
			require.NoError(t, err)
			second, err := signing.NewSecret()
			require.NoError(t, err)
			now := time.Now()
			body := []byte("{\"text\":\"gr\u00fc\u00dfe \x00\\n\"}\n")
			args := func(at time.Time, keys ...signing.Secret) []string {
				return []string{"id-1", strconv.FormatInt(at.Unix(), 10), string(signing.Sign(nil, keys, "id-1", at, body))}
			}
			assert.True(t, genuine(first.Reveal(), args(now, first), body))
			assert.True(t, genuine(first.Reveal(), args(now, second, first), body), "while a secret is rotated")
			assert.False(t, genuine(second.Reveal(), args(now, first), body), "another secret")
			assert.False(t, genuine(first.Reveal(), args(now, first), append(body, ' ')), "another body")
			assert.False(t, genuine(first.Reveal(), args(now.Add(-10*time.Minute), first), body), "too old")
			assert.False(t, genuine(first.Reveal(), args(now.Add(10*time.Minute), first), body), "too early")
			other := args(now, first)
			other[0] = "id-2"
			assert.False(t, genuine(first.Reveal(), other, body), "another id")
		})
	}
}
