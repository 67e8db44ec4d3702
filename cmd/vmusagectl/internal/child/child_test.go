package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// role makes the test binary another program.
const role = "CHILD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		goleak.VerifyTestMain(m)
	case "fail":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
		os.Exit(3)
	case "obey":
		terminate := make(chan os.Signal, 1)
		signal.Notify(terminate, syscall.SIGTERM)
		fmt.Println("ready")
		<-terminate
		fmt.Println("stopped")
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	case "parent":
		parent()
	}
	os.Exit(0)
}

// parent starts a child that ignores SIGTERM, says which, and waits.
func parent() {
	r, w, err := os.Pipe()
	if err != nil {
		os.Exit(1)
	}
	p, err := Start(os.Args[0], nil, append(os.Environ(), role+"=ignore"), w)
	if err != nil {
		os.Exit(1)
	}
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	<-p.Done()
}

// start runs the test binary in a role and returns its output as a reader that
// ends when the child is gone.
func start(t *testing.T, as string) (*Process, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	p, err := Start(os.Args[0], nil, append(os.Environ(), role+"="+as), w)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	t.Cleanup(func() { p.Stop(0) })
	return p, bufio.NewReader(r)
}

func TestAChildThatFails(t *testing.T) {
	p, out := start(t, "fail")
	<-p.Done()
	require.ErrorContains(t, p.Err(), "exit status 3")
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Equal(t, "to stdout\nto stderr\n", string(text))
	assert.False(t, p.Stop(time.Hour), "gone already")
}

func TestAChildThatObeys(t *testing.T) {
	p, out := start(t, "obey")
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "ready\n", line)
	assert.False(t, p.Stop(time.Hour))
	require.NoError(t, p.Err())
	line, err = out.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "stopped\n", line)
	assert.False(t, p.Stop(time.Hour), "twice is fine")
}

func TestAChildThatIgnores(t *testing.T) {
	p, out := start(t, "ignore")
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	assert.True(t, p.Stop(time.Millisecond))
	require.ErrorContains(t, p.Err(), "killed")
}

func TestTheChildHasItsOwnProcessGroup(t *testing.T) {
	p, out := start(t, "obey")
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	group, err := syscall.Getpgid(p.Pid())
	require.NoError(t, err)
	assert.Equal(t, p.Pid(), group)
}

func TestNoSuchProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nothing")
	_, err := Start(path, nil, nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, path)
}

// The parent is killed; its child, which ignores SIGTERM, must go too.
func TestTheChildDiesWithItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=parent")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)

	// A descriptor for the process is readable when it is gone: no polling.
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	defer unix.Close(fd)

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, awaitReadable(fd, 30*time.Second), "the child of a killed parent lives on")
}

func TestCreateLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "collector.log")
	for _, run := range []string{"first", "second", "third"} {
		f, err := CreateLog(path)
		require.NoError(t, err)
		_, err = f.WriteString(run)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	assert.Equal(t, []string{"third"}, LastLines(path, 5))
	assert.Equal(t, []string{"second"}, LastLines(path+".old", 5))

	_, err := CreateLog(filepath.Join(path, "under", "a", "file"))
	require.Error(t, err)
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	assert.Contains(t, LastLines(path, 3)[0], "no such file")
	for text, want := range map[string][]string{
		"":                                     nil,
		"\n\n":                                 nil,
		"a":                                    {"a"},
		"a\nb\n":                               {"a", "b"},
		"a\nb\nc\nd\n":                         {"b", "c", "d"},
		"a\n\nb\nc\n\n":                        {"", "b", "c"},
		"a\nb\nc\nd\nno":                       {"c", "d", "no"},
		strings.Repeat("x", 20<<10) + "\nlast": {"last"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		assert.Equal(t, want, LastLines(path, 3))
	}
}

// awaitReadable waits until fd is readable.
func awaitReadable(fd int, most time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	end := time.Now().Add(most)
	for {
		n, err := unix.Poll(fds, int(time.Until(end).Milliseconds()))
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return err
		case n == 0:
			return errors.New("timed out")
		default:
			return nil
		}
	}
}
