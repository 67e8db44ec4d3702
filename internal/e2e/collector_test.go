package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
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

// freePort returns a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// broker starts the embedded Kafka; the test stops it where it has not.
func broker(t *testing.T, listen, dir string) *devbroker.Broker {
	t.Helper()
	b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: listen, DataDir: dir, Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// A collector is a running otelcol-vmusage with the repository's own configuration.
type collector struct {
	cmd        *exec.Cmd
	prometheus string
	log        *lockedBuffer
	done       chan error
}

// start runs the collector against kafka, with periods of two seconds unless
// set says otherwise.
func start(t *testing.T, kafka string, set ...string) *collector {
	t.Helper()
	c := &collector{prometheus: freePort(t), log: &lockedBuffer{}, done: make(chan error, 1)}
	_, selfPort, _ := net.SplitHostPort(freePort(t))
	args := []string{
		"--config", filepath.Join(repository, "otelcol-config.yaml"),
		"--set=receivers::vm_usage::collection_interval=500ms",
		"--set=receivers::vm_usage::period=2s",
		"--set=receivers::vm_usage::jitter=0s",
	}
	for _, s := range set {
		args = append(args, "--set="+s)
	}
	c.cmd = exec.Command(binary(t, "otelcol-vmusage"), args...)
	c.cmd.Env = append(os.Environ(),
		"KAFKA_BROKER="+kafka, "PROMETHEUS_ENDPOINT="+c.prometheus,
		"HEALTH_ENDPOINT="+freePort(t), "SELF_METRICS_PORT="+selfPort,
		"VM_ID=vm-e2e", "VM_USER_ID=user-1", "VM_ORG_ID=org-1")
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(t, c.cmd.Start())
	go func() { c.done <- c.cmd.Wait() }()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("log of the collector:\n%s", c.log.String())
		}
	})
	return c
}

// stop ends the collector as an operator does and returns how long that took.
func (c *collector) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-c.done:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("the collector does not end")
	}
	return time.Since(began)
}

// waitLog waits for a line of the log.
func (c *collector) waitLog(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(c.log.String(), text) },
		patience, 50*time.Millisecond, "no %q in the log", text)
}

// A record is what a Kafka client sees, with the event in it.
type record struct {
	*kgo.Record
	event *event.Event
}

// consumer reads the topic of usage events from its beginning.
type consumer struct{ client *kgo.Client }

func consume(t *testing.T, kafka string) *consumer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics("usage_events"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &consumer{client}
}

// take reads until enough says so.
func (c *consumer) take(t *testing.T, enough func([]record) bool) []record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []record
	for !enough(got) {
		fetches := c.client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "only %d events came", len(got))
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := event.Decode(r.Value)
			require.NoError(t, err, "%s", r.Value)
			got = append(got, record{r, e})
		})
	}
	return got
}

func atLeast(n int) func([]record) bool {
	return func(rs []record) bool { return len(rs) >= n }
}

// contiguous checks that the records hold every period of one stream from its
// first on, each starting where the last one ended, and returns them without
// repeats, in order.
func contiguous(t *testing.T, rs []record) []record {
	t.Helper()
	bySequence := map[uint64]record{}
	for _, r := range rs {
		p := r.event.Period
		require.NotNil(t, p)
		require.Equal(t, rs[0].event.Period.Stream.ID, p.Stream.ID, "one run, one stream")
		if was, repeated := bySequence[p.Sequence]; repeated {
			require.Equal(t, was.Value, r.Value, "a repeated id has the same content")
		}
		bySequence[p.Sequence] = r
	}
	ordered := make([]record, 0, len(bySequence))
	for i := range uint64(len(bySequence)) {
		r, ok := bySequence[i+1]
		require.True(t, ok, "sequence %d is missing among %d", i+1, len(bySequence))
		if i > 0 {
			require.Equal(t, bySequence[i].event.Period.End, r.event.Period.Start)
		}
		ordered = append(ordered, r)
	}
	return ordered
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

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed (Debian: kcat; prometheus for promtool)", name)
	}
	return path
}

func run(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), err
}
