package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
)

func TestProcessesOfThisMachine(t *testing.T) {
	if !isProcfs("/proc") {
		t.Skip("/proc is no procfs")
	}
	p := processes{path: "/proc"}
	defer p.close()
	n, err := p.count(0)
	require.NoError(t, err)
	listed, _, err := p.list()
	require.NoError(t, err)
	// Others come and go meanwhile, and a PID namespace lists a part of them.
	assert.GreaterOrEqual(t, n, listed/2)
}

func TestProcessesOfACopy(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"1/comm", "22/comm", "sys/x", "fs/x", "12a/x", "333"} {
		hosttest.Put(t, root, path, "")
	}
	p := processes{path: root}
	defer p.close()
	n, err := p.count(0)
	require.NoError(t, err)
	assert.Equal(t, int64(2), n)
	hosttest.Put(t, root, "4/comm", "")
	n, err = p.count(1)
	require.NoError(t, err)
	assert.Equal(t, int64(3), n)

	gone := processes{path: root + "/nothing"}
	_, err = gone.count(0)
	require.Error(t, err)
}
