package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait of these tests; it is only used up where they fail.
const patience = 90 * time.Second

// repository is the root of the repository, seen from this package.
const repository = "../.."

func binary(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("VMUSAGE_BIN")
	if dir == "" {
		dir = filepath.Join(repository, "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: %s is not built; `make build` builds it", path)
	}
	return path
}

// freePort returns a loopback address that nobody listens on, and that stays
// free while nobody does: it lies below the ports that outgoing connections get.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// An installation is a collector with its configuration, its addresses and its
// state, which stay the same however often it is started.
type installation struct {
	args       []string
	env        []string
	state      string // where ledger and outbox are kept
	prometheus string // the exporter's address
	self       string // the address of the collector's own metrics
	api        string // the address of the usage API
	runs       []*collector
}

// install prepares a collector with a configuration file. The test ends what
// still runs.
func install(t *testing.T, config string, env ...string) *installation {
	t.Helper()
	i := &installation{
		args:  []string{"--config", config},
		state: filepath.Join(t.TempDir(), "state"), prometheus: freePort(t), self: freePort(t), api: freePort(t),
	}
	_, selfPort, _ := net.SplitHostPort(i.self)
	i.env = append(append(os.Environ(),
		"STATE_DIRECTORY="+i.state, "PROMETHEUS_ENDPOINT="+i.prometheus,
		"HEALTH_ENDPOINT="+freePort(t), "SELF_METRICS_PORT="+selfPort, "USAGE_API_ENDPOINT="+i.api,
		"VM_ID=vm-e2e", "VM_USER_ID=user-1", "VM_ORG_ID=org-1"), env...)
	t.Cleanup(func() {
		for n, c := range i.runs {
			_ = c.cmd.Process.Kill()
			<-c.exited
			if t.Failed() && n >= len(i.runs)-3 {
				t.Logf("log of run %d of the collector with %s:\n%s", n+1, config, c.log.String())
			}
		}
	})
	return i
}

// node prepares a collector with the repository's own configuration, which
// meters this machine into kafka, in periods of two seconds unless set says
// otherwise.
func node(t *testing.T, kafka string, set ...string) *installation {
	t.Helper()
	return install(t, filepath.Join(repository, "otelcol-config.yaml"), "KAFKA_BROKER="+kafka).
		set("receivers::vm_usage::collection_interval=500ms", "receivers::vm_usage::period=2s", "receivers::vm_usage::jitter=0s").
		set(set...)
}

// set changes the configuration for all starts to come.
func (i *installation) set(values ...string) *installation {
	for _, v := range values {
		i.args = append(i.args, "--set="+v)
	}
	return i
}

// A collector is one run of an installation.
type collector struct {
	*installation
	cmd    *exec.Cmd
	log    *lockedBuffer
	exited chan struct{}
	err    error // of the process, once it has exited
}

// start runs a new [node].
func start(t *testing.T, kafka string, set ...string) *collector {
	t.Helper()
	return node(t, kafka, set...).start(t)
}

func (i *installation) start(t *testing.T) *collector {
	t.Helper()
	c := &collector{installation: i, log: &lockedBuffer{}, exited: make(chan struct{})}
	c.cmd = exec.Command(binary(t, "otelcol-vmusage"), i.args...)
	c.cmd.Env = i.env
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(t, c.cmd.Start())
	go func() { c.err = c.cmd.Wait(); close(c.exited) }()
	i.runs = append(i.runs, c)
	return c
}

// stop ends the collector as an operator does and returns how long that took.
func (c *collector) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.exited:
		require.NoError(t, c.err)
	case <-time.After(patience):
		t.Fatal("the collector does not end")
	}
	return time.Since(began)
}

// kill ends the collector as a crash does: it has no say in it. That it had
// ended by itself is an error.
func (c *collector) kill(t *testing.T) {
	t.Helper()
	select {
	case <-c.exited:
		t.Fatalf("the collector ended by itself: %v", c.err)
	default:
	}
	require.NoError(t, c.cmd.Process.Kill())
	<-c.exited
}

// waitLog waits for a line of the log.
func (c *collector) waitLog(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(c.log.String(), text); time.Sleep(50 * time.Millisecond) {
		select {
		case <-c.exited:
			require.Contains(t, c.log.String(), text, "the collector ended: %v", c.err)
		default:
			require.True(t, time.Now().Before(deadline), "no %q in the log", text)
		}
	}
}

// metrics returns what a Prometheus endpoint says, or "" where it does not answer.
func metrics(endpoint string) string {
	res, err := http.Get("http://" + endpoint + "/metrics")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// own returns the sum of one of the collector's own metrics, without the prefix
// that all of the receiver's have, and whether there is one.
func (c *collector) own(name string) (sum float64, ok bool) {
	for line := range strings.Lines(metrics(c.self)) {
		rest, found := strings.CutPrefix(line, "otelcol_receiver_vm_usage_"+name)
		if !found || rest[0] != '{' && rest[0] != ' ' && !strings.HasPrefix(rest, "_total") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		if err == nil {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
