package event

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// TestGolden compares with files that are indented for readers; indenting keeps
// every other byte.
func TestGolden(t *testing.T) {
	for name, p := range samples() {
		for v := range numVersions {
			name := name + "-" + v.String() + ".json"
			t.Run(name, func(t *testing.T) {
				var got bytes.Buffer
				require.NoError(t, json.Indent(&got, AppendUsage(nil, v, p), "", "  "))
				got.WriteByte('\n')
				path := filepath.Join("testdata", name)
				if *update {
					require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, string(want), got.String())
			})
		}
	}
}
