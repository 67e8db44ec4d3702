// Package hosttest has roots of machines, as folders to be metered in tests.
package hosttest

import (
	"embed"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed *.txtar
var trees embed.FS

// Fixtures are the names of the machines.
func Fixtures() []string { return []string{"small_vm", "large_host", "old_kernel"} }

// Unpack writes the root of a machine into a folder of its own. In its file a
// line "-- path --" starts a file; what comes before the first is a comment.
func Unpack(t testing.TB, name string) (root string) {
	t.Helper()
	b, err := trees.ReadFile(name + ".txtar")
	require.NoError(t, err)
	root = t.TempDir()
	path, content := "", &strings.Builder{}
	flush := func() {
		if path != "" {
			Put(t, root, path, content.String())
		}
		content.Reset()
	}
	for l := range strings.Lines(string(b)) {
		if next, ok := strings.CutPrefix(l, "-- "); ok && strings.HasSuffix(next, " --\n") {
			flush()
			path = strings.TrimSuffix(next, " --\n")
			continue
		}
		content.WriteString(l)
	}
	flush()
	return root
}

// Put writes one file below root.
func Put(t testing.TB, root, path, content string) {
	t.Helper()
	path = filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}
