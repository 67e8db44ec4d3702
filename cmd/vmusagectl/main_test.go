package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// role makes the test binary a collector: "good", "fails" or "stubborn"; or the command itself.
const role = "VMUSAGECTL_TEST_ROLE"

func TestMain(m *testing.M) {
	if as := os.Getenv(role); as == "vmusagectl" {
		main()
	} else if as != "" {
		os.Exit(collector(as))
	}
	goleak.VerifyTestMain(m)
}

// collector behaves as one: it sends an event to the Kafka that the environment
// names, and when told to stop another one.
func collector(as string) int {
	fmt.Println("collector", strings.Join(os.Args[1:], " "))
	if as == "fails" {
		fmt.Fprintln(os.Stderr, "cannot read its config")
		return 1
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	if err := send(context.Background(), os.Getenv("KAFKA_BROKER"), "usage_events", usageEvent("first")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-told
	if as == "stubborn" {
		select {}
	}
	if err := send(context.Background(), os.Getenv("KAFKA_BROKER"), "usage_events", usageEvent("last")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// usageEvent returns a usage event of an instance.
func usageEvent(instance string) []byte {
	data, err := json.Marshal(map[string]any{
		"event_type": "resource_usage", "version": "1.0", "timestamp": 1626350430,
		"instance_id": instance, "user_id": "user", "org_id": nil,
		"metrics": map[string]any{
			"cpu_seconds": 30, "cpu_percent_avg": 12.5, "memory_gb": 4.2, "memory_percent": 52.5, "storage_gb": 25.7,
			"network_egress_mb": 15.2, "network_ingress_mb": 8.7, "gpu_seconds": 0,
		},
		"period": map[string]any{"start": 1626350400, "end": 1626350430},
	})
	if err != nil {
		panic(err)
	}
	return data
}

func send(ctx context.Context, addr, topic string, values ...[]byte) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer c.Close()
	for _, v := range values {
		if err := c.ProduceSync(ctx, &kgo.Record{Key: []byte("vm"), Value: v}).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// A session is a command line that runs in the test's own process.
type session struct {
	t        *testing.T
	ctx      context.Context
	stop     context.CancelFunc
	out, err *screen
	status   chan int
}

// begin runs a command line until it ends, the test ends, or stop is called.
func begin(t *testing.T, args ...string) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	runCtx, stop := context.WithCancel(ctx)
	s := &session{t: t, ctx: ctx, stop: stop, out: newScreen(), err: newScreen(), status: make(chan int, 1)}
	term := terminal{out: s.out, err: s.err, getenv: func(string) string { return "" }}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.status <- run(runCtx, term, args)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// call runs a command line to its end.
func call(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	s := begin(t, args...)
	return s.end(), s.out.String(), s.err.String()
}

func (s *session) end() int {
	s.t.Helper()
	return <-s.status
}

// await returns the first line of a screen from now on that has part in it.
func (s *session) await(from *screen, part string) string {
	s.t.Helper()
	for {
		select {
		case line := <-from.lines:
			if strings.Contains(line, part) {
				return line
			}
		case <-s.ctx.Done():
			require.FailNow(s.t, "no line with "+part, "out: %s\nerr: %s", s.out, s.err)
		}
	}
}

// A screen keeps what is written to it, and hands it out by lines.
type screen struct {
	lines chan string

	mu   sync.Mutex
	text bytes.Buffer
	part []byte // of a line that has no end yet
}

func newScreen() *screen { return &screen{lines: make(chan string, 1000)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	s.part = append(s.part, p...)
	for {
		line, rest, whole := bytes.Cut(s.part, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.lines <- string(line)
		s.part = rest
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func emptyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return path
}
