package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

// vmusagectl top shows what a collector meters: for programs, with rates between two reads, and
// live on a terminal, which is as it was before when it ends, by a key or a signal.
func TestTopOfARunningCollector(t *testing.T) {
	vmusagectl := binary(t, "vmusagectl")
	b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: freePort(t), Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	defer b.Close()
	c := start(t, b.Addr())
	c.waitAPI(t, "/api/v1/usage/instances/vm-e2e/current?fields=cpu", func(status int, body string) bool {
		var i struct {
			CPU struct{ Utilization *float64 }
		}
		return status == http.StatusOK && json.Unmarshal([]byte(body), &i) == nil && i.CPU.Utilization != nil
	})
	endpoint := "http://" + c.api

	out, err := run(t, "", vmusagectl, "top", "--once", "--json", "--interval", "2s", "--user", "user-1", "--endpoint", endpoint)
	require.NoError(t, err)
	var rows []struct {
		ID       string   `json:"id"`
		OrgID    string   `json:"org_id"`
		CPUs     *float64 `json:"cpu_count"`
		Used     *int64   `json:"memory_used_bytes"`
		Received *int64   `json:"network_receive_bytes_total"`
		Rate     *float64 `json:"network_receive_bytes_per_second"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &rows), "%s", out)
	require.Len(t, rows, 1, "%s", out)
	assert.Equal(t, "vm-e2e", rows[0].ID)
	assert.Equal(t, "org-1", rows[0].OrgID)
	require.NotNil(t, rows[0].Rate, "read twice: %s", out)
	assert.GreaterOrEqual(t, *rows[0].Rate, 0.0)
	assert.Positive(t, *rows[0].Received)
	assert.Positive(t, *rows[0].CPUs)
	assert.Positive(t, *rows[0].Used)

	for name, end := range map[string]func(*terminal){
		"q":       func(x *terminal) { x.press(t, "q") },
		"Ctrl-C":  func(x *terminal) { x.press(t, "\x03") },
		"SIGTERM": func(x *terminal) { require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM)) },
	} {
		t.Run(name, func(t *testing.T) {
			x := onTerminal(t, vmusagectl, "top", "--endpoint", endpoint, "--interval", "500ms")
			x.await(t, "\x1b[?1049h", "1 instance")
			assert.NotEqual(t, x.before, x.state(t), "keys come as they are pressed")
			end(x)
			x.await(t, "\x1b[?1049l")
			require.NoError(t, x.cmd.Wait())
			assert.Equal(t, x.before, x.state(t))
		})
	}
	c.stop(t)
	_, err = run(t, "", vmusagectl, "top", "--once", "--endpoint", endpoint)
	require.ErrorContains(t, err, "exit status 1")
	assert.ErrorContains(t, err, endpoint)
}

// A terminal is a pseudo terminal, with a program in a session of its own.
type terminal struct {
	cmd         *exec.Cmd
	master, tty *os.File
	before      *unix.Termios
	shown       lockedBuffer
}

// onTerminal runs a program on a terminal of 120 columns and 20 lines.
func onTerminal(t *testing.T, program string, args ...string) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("SKIPPED: there are no pseudo terminals here: %v", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	x := &terminal{master: os.NewFile(uintptr(fd), "ptmx"), tty: tty}
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 120, Row: 20}))
	x.before = x.state(t)
	x.cmd = exec.CommandContext(t.Context(), program, args...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.Env = append(os.Environ(), "TERM=xterm")
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, x.cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := x.master.Read(buf)
			if err != nil { // nobody has the other end any more
				return
			}
			_, _ = x.shown.Write(buf[:n])
		}
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		x.tty.Close()
		<-ended
		x.master.Close()
	})
	return x
}

func (x *terminal) state(t *testing.T) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return s
}

func (x *terminal) press(t *testing.T, keys string) {
	t.Helper()
	_, err := x.master.WriteString(keys)
	require.NoError(t, err)
}

// await waits until all parts were shown.
func (x *terminal) await(t *testing.T, parts ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text, missing := x.shown.String(), ""
		for _, part := range parts {
			if !strings.Contains(text, part) {
				missing = part
			}
		}
		if missing == "" {
			return
		}
		require.True(t, time.Now().Before(deadline), "no %q on the terminal: %q", missing, text)
	}
}
