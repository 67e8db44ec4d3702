package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func keysIn(t *testing.T, file string) []apikey.Key {
	t.Helper()
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	keys, err := apikey.Parse(document)
	require.NoError(t, err)
	return keys
}

func TestAPIKeyCreate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	status, out, say := call(t, "apikey", "create", "-f", file, "--name", "portal", "--user", "007", "--expires", "30d")
	require.Equal(t, exitOK, status, "%s", say)
	token := strings.TrimSpace(out)
	id, ok := apikey.IDOf(token)
	require.True(t, ok, "stdout is the key and nothing else: %q", out)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	keys := keysIn(t, file)
	require.Len(t, keys, 1)
	k := keys[0]
	assert.Equal(t, id, k.ID)
	assert.True(t, k.Hash.Equal(apikey.HashOf(token)))
	assert.Equal(t, []string{"thresholds:read", "thresholds:write", "usage:read", "webhooks:read", "webhooks:write"}, k.Scopes)
	assert.Equal(t, "007", k.UserID)
	assert.Equal(t, k.Created.AddDate(0, 0, 30), k.Expires)
	secret := token[len(token)-43:]
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(document), secret)
	assert.NotContains(t, say, secret)

	require.NoError(t, os.Chmod(file, 0o640))
	status, _, _ = call(t, "apikey", "create", "-f", file, "--name", "root", "--admin", "--expires", "never")
	require.Equal(t, exitOK, status)
	keys = keysIn(t, file)
	require.Len(t, keys, 2)
	assert.Equal(t, k, keys[0])
	assert.True(t, keys[1].Expires.IsZero())
	assert.Equal(t, apikey.Scopes(), keys[1].Scopes)
	info, err = os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode(), "what was there keeps its permissions")
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing is left behind")
}

func TestAPIKeyCreateSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	for args, want := range map[string]string{
		"":                                      "--name is missing",
		"--name x":                              "give one of --user, --org and --admin",
		"--name x --user a --org":               "flag needs an argument",
		"--name x --user a --admin":             "give one of --user, --org and --admin",
		"--name x --admin --scopes all":         `--scopes has "all": there are health:read,`,
		"--name x --admin --expires soon":       `--expires is "soon": write a date such as 2027-06-30`,
		"--name x --admin --expires 0d":         `--expires is "0d": write a date`,
		"--name x --admin --expires 2001-01-01": `--expires is "2001-01-01", which is over`,
		"--name x --admin --expires 2001-01-01T00:00:00Z": "which is over",
	} {
		status, out, say := call(t, append([]string{"apikey", "create", "-f", file}, strings.Fields(args)...)...)
		assert.Equal(t, exitUsage, status, "%s", args)
		assert.Contains(t, say, want, "%s", args)
		assert.Empty(t, out)
	}
	_, err := os.Stat(file)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(file, []byte("keys: [{id: a}]\n"), 0o600))
	status, out, say := call(t, "apikey", "create", "-f", file, "--name", "x", "--admin")
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out, "a key that is not in the file is not shown")
	assert.Contains(t, say, "was not changed:\nline 1: keys[0]: name is missing")
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "keys: [{id: a}]\n", string(document))
	status, _, say = call(t, "apikey", "create", "-f", filepath.Join(file, "no", "keys.yaml"), "--name", "x", "--admin")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "not a directory")
	status, _, say = call(t, "apikey", "create", "-f", filepath.Join(t.TempDir(), "k"), "--name", "a\nb", "--admin")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "no control characters")
}

func TestAPIKeyListAndRevoke(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	status, _, say := call(t, "apikey", "list", "-f", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "no such file")

	_, first, _ := call(t, "apikey", "create", "-f", file, "--name", "portal", "--org", "acme", "--scopes", "usage:read", "--expires", "2999-06-30")
	_, second, _ := call(t, "apikey", "create", "-f", file, "--name", "oncall", "--admin", "--expires", "never")
	a, _ := apikey.IDOf(strings.TrimSpace(first))
	b, _ := apikey.IDOf(strings.TrimSpace(second))
	status, out, _ := call(t, "apikey", "list", "-f", file)
	require.Equal(t, exitOK, status)
	lines := strings.Split(out, "\n")
	assert.Equal(t, strings.Fields("id name sees state expires scopes"), strings.Fields(lines[0]))
	assert.Equal(t, strings.Fields(b+" oncall admin active never health:read thresholds:read thresholds:write usage:read webhooks:read webhooks:write"), strings.Fields(lines[1]))
	assert.Equal(t, strings.Fields(a+" portal org acme active 2999-06-30 usage:read"), strings.Fields(lines[2]))

	status, _, say = call(t, "apikey", "revoke", "-f", file, "nobody")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, `there is no key with that id: "nobody"; vmusagectl apikey list has those that there are`)
	status, _, say = call(t, "apikey", "revoke", "-f", file, strings.TrimSpace(first))
	assert.Equal(t, exitOK, status)
	assert.Contains(t, say, "key "+a+" is revoked")
	assert.NotContains(t, say, strings.TrimSpace(first))
	status, out, _ = call(t, "apikey", "list", "-f", file, "--json")
	require.Equal(t, exitOK, status)
	var last map[string]any
	for line := range strings.Lines(out) {
		last = nil
		require.NoError(t, json.Unmarshal([]byte(line), &last))
	}
	assert.Equal(t, "disabled", last["state"])
	assert.Equal(t, "2999-06-30T00:00:00Z", last["expires"])
	assert.NotContains(t, out, "sha256")

	status, _, _ = call(t, "apikey", "revoke", "-f", file, a, "--remove")
	assert.Equal(t, exitOK, status)
	assert.Len(t, keysIn(t, file), 1)

	require.NoError(t, os.WriteFile(file, []byte("keys: {}\n"), 0o600))
	status, _, say = call(t, "apikey", "list", "-f", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "line 1: keys is no list")
}

// A link to the file stays one.
func TestAPIKeyFileBehindLink(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	real := filepath.Join(dir, "real", "keys.yaml")
	require.NoError(t, os.WriteFile(real, []byte("keys: []\n"), 0o600))
	link := filepath.Join(dir, "keys.yaml")
	require.NoError(t, os.Symlink(real, link))
	status, _, _ := call(t, "apikey", "create", "-f", link, "--name", "x", "--admin")
	require.Equal(t, exitOK, status)
	assert.Len(t, keysIn(t, real), 1)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink)
}

// Two at once: whoever says that it is done is in the file.
func TestAPIKeysAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 8 {
		wg.Go(func() {
			o := createKey{file: file, key: apikey.Key{Name: "x", Admin: true}, expires: "never"}
			var out strings.Builder
			if o.run(terminal{out: &out, err: &strings.Builder{}}, time.Now()) == nil {
				mu.Lock()
				defer mu.Unlock()
				done++
			}
		})
	}
	wg.Wait()
	assert.Positive(t, done)
	assert.Len(t, keysIn(t, file), done)
}
