package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A console is a terminal with a program in it.
type console struct {
	t      *testing.T
	master *os.File
	slave  *os.File // keeps the terminal, and its settings, after the program
	before unix.Termios
	cmd    *exec.Cmd
	shown  bytes.Buffer
}

// open runs a command line in a terminal of 100 columns and 20 lines.
func open(t *testing.T, args ...string) *console {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("SKIPPED: there are no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	c := &console{t: t, master: master}
	var number int
	conn, err := master.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, conn.Control(func(fd uintptr) {
		require.NoError(t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	}))
	require.NoError(t, err)
	c.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.slave.Close() })
	c.resize(100, 20)
	c.before = c.settings()

	c.cmd = exec.Command(os.Args[0], args...)
	c.cmd.Env = append(os.Environ(), role+"=vmusagectl", "TERM=xterm", "NO_COLOR=")
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.slave, c.slave, c.slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	require.NoError(t, master.SetReadDeadline(time.Now().Add(time.Minute)))
	return c
}

func (c *console) settings() unix.Termios {
	s, err := unix.IoctlGetTermios(int(c.slave.Fd()), unix.TCGETS)
	require.NoError(c.t, err)
	return *s
}

func (c *console) resize(width, height uint16) {
	require.NoError(c.t, unix.IoctlSetWinsize(int(c.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}))
}

// await reads until the terminal was sent a text since the last await.
func (c *console) await(text string) {
	c.t.Helper()
	c.shown.Reset()
	for b := make([]byte, 4096); !strings.Contains(c.shown.String(), text); {
		n, err := c.master.Read(b)
		require.NoError(c.t, err, "waiting for %q after %q", text, c.shown.String())
		c.shown.Write(b[:n])
	}
}

func (c *console) typed(keys string) {
	_, err := c.master.WriteString(keys)
	require.NoError(c.t, err)
}

// The terminal is as it was, however the program ends.
func TestTopInATerminal(t *testing.T) {
	a := newAPI(t)
	a.consume(30, time.Now(), 1)
	for name, end := range map[string]func(*console){
		"quit":       func(c *console) { c.typed("q") },
		"Ctrl-C":     func(c *console) { c.typed("\x03") },
		"told to":    func(c *console) { _ = c.cmd.Process.Signal(syscall.SIGTERM) },
		"after stop": func(c *console) { _ = c.cmd.Process.Signal(syscall.SIGCONT); c.await(enterScreen); c.typed("q") },
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, "top", "--endpoint", a.url, "--label", "n")
			c.await("30 instances: ")
			assert.True(t, strings.HasPrefix(c.shown.String(), enterScreen), "%q", c.shown.String())
			c.await("web-29")
			assert.NotEqual(t, c.before, c.settings(), "keys come at once")
			c.typed("\x1b[6~")
			c.await("15-28 of 30")
			c.typed("a")
			c.await("INSTANCE↑")
			c.resize(60, 10)
			c.await("1-4 of 30")
			end(c)
			c.await(leaveScreen)
			require.NoError(t, c.cmd.Wait())
			assert.Equal(t, c.before, c.settings())
		})
	}
}

// What ends it is told where it can be read: on the screen that was there before.
func TestTopInATerminalFails(t *testing.T) {
	a := newAnswers(t, map[string]string{})
	c := open(t, "top", "--endpoint", a.URL)
	c.await(leaveScreen)
	if !strings.Contains(c.shown.String(), "404 Not Found") {
		c.await("404 Not Found")
	}
	assert.Equal(t, exitFailed, exitStatus(c.cmd.Wait()))
	assert.Equal(t, c.before, c.settings())
}

func exitStatus(err error) int {
	if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // of Wait itself
		return e.ExitCode()
	}
	return exitOK
}
