//go:build cgo

package accuracy

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:embed testdata
var sources embed.FS

// loadVariable names a load that is built already, for machines without a compiler.
const loadVariable = "VMUSAGE_GPULOAD"

// noGPU is the status with which the load ends where there is no driver or GPU.
const noGPU = 3

// build compiles one of the programs below testdata.
func build(t *testing.T, source, output string, flags ...string) string {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		var err error
		if cc, err = exec.LookPath("cc"); err != nil {
			t.Skip("SKIPPED, NOTHING IS TESTED: no C compiler: neither $CC nor cc is there")
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, sources))
	path := filepath.Join(dir, output)
	args := append([]string{"-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", path}, flags...)
	args = append(args, filepath.Join(dir, "testdata", source), "-ldl")
	out, err := exec.Command(cc, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

func buildLoad(t *testing.T) string {
	t.Helper()
	if path := os.Getenv(loadVariable); path != "" {
		return path
	}
	return build(t, "gpuload/gpuload.c", "gpuload")
}

// A load is the program that drives a GPU; what it answers is true.
type load struct {
	t          *testing.T
	cmd        *exec.Cmd
	in         io.WriteCloser
	out        *bufio.Scanner
	uuid, name string
}

// errNoGPU says why there is no GPU to load.
var errNoGPU = errors.New("no GPU that CUDA reaches")

func startLoad(t *testing.T, path string, env ...string) (*load, error) {
	t.Helper()
	l := &load{t: t, cmd: exec.Command(path)} // ended by its "quit", after the test
	l.cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	l.cmd.Stderr = &stderr
	in, err := l.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := l.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, l.cmd.Start())
	l.in, l.out = in, bufio.NewScanner(out)
	if !l.out.Scan() {
		err := l.cmd.Wait()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == noGPU {
			return nil, fmt.Errorf("%w: %s", errNoGPU, strings.TrimSpace(stderr.String()))
		}
		t.Fatalf("the load ended: %v: %s", err, stderr.String())
	}
	fields := strings.SplitN(l.out.Text(), " ", 3)
	require.Len(t, fields, 3, l.out.Text())
	require.Equal(t, "device", fields[0])
	l.uuid, l.name = fields[1], fields[2]
	t.Cleanup(func() {
		fmt.Fprintln(l.in, "quit")
		assert.NoError(t, l.cmd.Wait(), stderr.String())
	})
	return l, nil
}

func (l *load) tell(format string, args ...any) (v [2]int64) {
	l.t.Helper()
	_, err := fmt.Fprintf(l.in, format+"\n", args...)
	require.NoError(l.t, err)
	require.True(l.t, l.out.Scan(), "the load ended")
	n, _ := fmt.Sscanf(l.out.Text(), "ok %d %d", &v[0], &v[1])
	require.Positive(l.t, n, l.out.Text())
	return v
}

// run keeps the GPU busy for on of every so much, and returns for how long it was.
func (l *load) run(d, on, every time.Duration) (busy time.Duration) {
	l.t.Helper()
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	v := l.tell("run %g %g %g", d.Seconds(), ms(on), ms(every))
	return time.Duration(v[0]) * time.Microsecond
}

func (l *load) idle(d time.Duration) { l.t.Helper(); l.tell("idle %g", d.Seconds()) }

// alloc has that much memory allocated, and nothing else.
func (l *load) alloc(bytes int64) { l.t.Helper(); l.tell("alloc %d", bytes) }

// TestTheLoad runs it on a CUDA driver that computes nothing.
func TestTheLoad(t *testing.T) {
	path := build(t, "gpuload/gpuload.c", "gpuload")
	driver := build(t, "cudastub/cudastub.c", "libcuda.so.1", "-shared", "-fPIC")
	l, err := startLoad(t, path, "LD_LIBRARY_PATH="+filepath.Dir(driver))
	require.NoError(t, err)
	assert.Equal(t, "GPU-00112233-4455-6677-8899-aabbccddeeff", l.uuid)
	assert.Equal(t, "NVIDIA Stub", l.name)
	l.alloc(1 << 20)
	// What it says is what was: how much that is, is up to this machine.
	assert.Positive(t, l.run(time.Second, time.Second, time.Second))
	assert.Zero(t, l.run(time.Millisecond, 0, time.Millisecond))
	l.idle(time.Millisecond)
	l.alloc(0)
}

// TestNoGPU is how `make test-gpu` skips.
func TestNoGPU(t *testing.T) {
	// A library that is none is found before any that the machine has.
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "libcuda.so.1"), nil, 0o600))
	_, err := startLoad(t, build(t, "gpuload/gpuload.c", "gpuload"), "LD_LIBRARY_PATH="+dir)
	require.ErrorIs(t, err, errNoGPU)
	assert.ErrorContains(t, err, "no CUDA driver")
}
