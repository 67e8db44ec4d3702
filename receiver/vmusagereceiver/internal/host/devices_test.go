package host

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
)

func TestLinkSpeed(t *testing.T) {
	for content, want := range map[string]int64{
		"10\n":         10e6,
		"1000\n":       1e9,
		"400000\n":     400e9,
		"-1\n":         0, // not known
		"4294967295\n": 0, // the same, of a driver that forgets the sign
		"\n":           0,
		"fast\n":       0,
		"":             0,
	} {
		root := t.TempDir()
		hosttest.Put(t, root, "eth0/speed", content)
		assert.Equal(t, want, linkSpeed(filepath.Join(root, "eth0")), "%q", content)
	}
	assert.Zero(t, linkSpeed(t.TempDir()), "no file, or one that cannot be read, as where the link is down")
}
