package e2e

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load keeps one CPU, the disk and the loopback interface busy until the test ends.
func load(t *testing.T) {
	t.Helper()
	stop := make(chan struct{})
	var running sync.WaitGroup
	dir := t.TempDir()
	running.Go(func() {
		block := make([]byte, 1<<20)
		for {
			select {
			case <-stop:
				return
			default:
			}
			f, err := os.CreateTemp(dir, "load")
			if err == nil {
				_, _ = f.Write(block)
				_ = f.Sync()
				_ = f.Close()
				_ = os.Remove(f.Name())
			}
			for i := range block {
				block[i] = block[i]*31 + byte(i)
			}
		}
	})
	ln, err := net.Listen("tcp", freePort(t))
	require.NoError(t, err)
	out, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	in, err := ln.Accept()
	require.NoError(t, err)
	running.Go(func() { _, _ = io.Copy(io.Discard, in) })
	running.Go(func() {
		defer out.Close()
		block := make([]byte, 16<<10)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_, _ = out.Write(block)
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		running.Wait()
		_ = in.Close()
		_ = ln.Close()
	})
}
