package vmusagereceiver

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// TestTenHoursOfOutage lets the periods of ten hours (1,200 of 30 s) of 1,000
// instances pile up in the outbox while Kafka is away, delivers them when it is
// back, and kills the collector at random all the while. The time is compressed:
// a period lasts for 100 ms, and for a second while they are delivered.
// VMUSAGE_E2E=full runs it at full size, otherwise it is much smaller.
func TestTenHoursOfOutage(t *testing.T) {
	instances, ticks, kills, requests := 200, 30, 3, 10
	if os.Getenv("VMUSAGE_E2E") == "full" {
		instances, ticks, kills, requests = 1000, 1200, 8, 1000
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any bits will do
	if s := os.Getenv("VMUSAGE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err, "VMUSAGE_SEED")
	}
	t.Logf("VMUSAGE_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	addr := freeAddress(t)
	target := instances * ticks
	l := lifetime{dir: t.TempDir(), kafka: addr, period: minInterval, instances: instances, target: target}

	var peak memory
	began := time.Now()
	fills := l.fill(t, rng, kills, &peak)
	filled, stored := time.Since(began), sizeOf(t, l.dir)
	t.Logf("piled up in %v", filled)

	b, err := devbroker.Start(t.Context(), devbroker.Options{Listen: addr, Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	began = time.Now()
	drains := l.drain(t, rng, kills, requests, b.Cluster(), &peak)
	drained := time.Since(began)
	t.Logf("delivered in %v", drained)

	sum := add(t, b)
	t.Logf("%d events, %d repeats: piled up in %v over %d lives, %.0f MB in the storage, delivered in %v over %d; heap in use at most %.1f MB, anonymous memory %.0f MB",
		sum.events, sum.repeats, filled.Round(time.Second), fills, float64(stored)/1e6, drained.Round(time.Second), drains,
		float64(peak.heap)/1e6, float64(peak.anonymous)/1e6)
	assert.GreaterOrEqual(t, sum.events, target)
	sum.prove(t, instances)
	assert.Less(t, peak.heap, uint64(mostHeap))
	assert.Less(t, peak.anonymous, uint64(mostAnonymous))
}

// What a collector may use, however many periods wait: of live heap, and of all
// memory that is not mapped from the storage.
const (
	mostHeap      = 64 << 20
	mostAnonymous = 128 << 20
)

// fill has lives meter until all that is to wait is in the storage, and returns
// how many there were. Each but the last is killed at random; what a lifetime had not
// written when it was killed, the next one meters again as a longer period.
func (l lifetime) fill(t *testing.T, rng *rand.Rand, kills int, peak *memory) (lives int) {
	t.Helper()
	for waiting := 0; ; {
		until := l.target
		if lives < kills {
			until = min(waiting+l.instances*(1+rng.IntN(2*l.target/l.instances/kills)), l.target)
		}
		lives++
		p := l.start(t)
		first := true
		for waiting = range p.says(t, peak) {
			if first && waiting == l.target {
				p.kill(t)
				return lives
			}
			if first = false; waiting >= until {
				break
			}
		}
		p.kill(t)
	}
}

// drain has lives deliver what waits and meter on, and returns how many there
// were. Each is killed after some requests to Kafka; then one may catch up, and
// the last one meters no more.
func (l lifetime) drain(t *testing.T, rng *rand.Rand, kills, requests int, kafka *kfake.Cluster, peak *memory) (lives int) {
	t.Helper()
	l.period, l.target = time.Second, math.MaxInt
	for range kills {
		p := l.start(t)
		written := kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "usage_events", Observe: true, Count: -1})
		require.NoError(t, written.Wait(t.Context(), 1+rng.IntN(requests)))
		written.Remove()
		peak.note(p)
		p.kill(t)
	}
	for _, left := range []int{2 * l.instances, 0} {
		p := l.start(t)
		for waiting := range p.says(t, peak) {
			if waiting <= left {
				break
			}
		}
		p.kill(t)
		l.target = 0
	}
	return kills + 2
}

// freeAddress is one that nobody listens on, and that stays free while nobody
// does: it lies below the ports that outgoing connections get.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))) //nolint:gosec // a port, no secret
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// A process is a collector that runs.
type process struct {
	cmd *exec.Cmd
	out io.ReadCloser
}

func (l *lifetime) start(t *testing.T) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestLifetime$")}
	p.cmd.Env = append(os.Environ(), asLife+"="+l.String())
	p.cmd.Stderr = os.Stderr
	var err error
	p.out, err = p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// says returns how many periods wait, at each sample of the lifetime, and notes in
// peak what memory it uses. That it ends by itself is an error.
func (p *process) says(t *testing.T, peak *memory) iter.Seq[int] {
	return func(yield func(int) bool) {
		lines := bufio.NewScanner(p.out)
		for lines.Scan() {
			var waiting int
			var heap uint64
			if _, err := fmt.Sscanf(lines.Text(), saying, &waiting, &heap); err != nil {
				continue // of the testing package
			}
			peak.heap = max(peak.heap, heap)
			peak.note(p)
			if !yield(waiting) {
				return
			}
		}
		t.Fatal("a lifetime ended by itself")
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

// memory is what a process uses, in bytes.
type memory struct {
	heap      uint64 // live
	anonymous uint64 // resident; the pages of the storage, which is mapped, are the kernel's to take back
}

// note takes the resident memory of a process now.
func (m *memory) note(p *process) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) // it may be gone by now
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == "RssAnon:" {
			kB, _ := strconv.ParseUint(f[1], 10, 64)
			m.anonymous = max(m.anonymous, kB<<10)
		}
	}
}

func sizeOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		bytes += info.Size()
		return err
	}))
	return bytes
}

// An account is what the events of an instance add up to.
type account struct {
	stream       uuid.UUID
	events, last uint64 // last is the highest sequence
	cpu, total   int64  // sum, and what the last one says it is
	length       int64  // ns, sum
	bounded      int64  // ns, sum of end minus start
	start, end   int64
}

// accounts are those of a topic.
type accounts struct {
	events  int // different ones
	repeats int
	by      map[string]*account
}

// add reads the topic of usage events.
func add(t *testing.T, b *devbroker.Broker) *accounts {
	t.Helper()
	n := 0
	for _, p := range b.Cluster().PartitionInfos("usage_events") {
		n += int(p.HighWatermark)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("usage_events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer client.Close()
	a := &accounts{by: map[string]*account{}}
	seen := map[uuid.UUID]struct{}{}
	for read := 0; read < n; {
		fetches := client.PollFetches(t.Context())
		require.Empty(t, fetches.Errors())
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			id, err := uuid.ParseBytes(r.Headers[0].Value)
			require.NoError(t, err)
			if _, repeated := seen[id]; repeated {
				return
			}
			seen[id] = struct{}{}
			e, err := event.Decode(r.Value)
			require.NoError(t, err)
			require.Equal(t, id, e.ID)
			a.add(t, e.Period)
		})
	}
	a.events, a.repeats = len(seen), n-len(seen)
	return a
}

func (a *accounts) add(t *testing.T, p *usage.Period) {
	t.Helper()
	of := a.by[p.Instance.ID]
	if of == nil {
		of = &account{stream: p.Stream.ID, start: p.Start}
		a.by[p.Instance.ID] = of
	}
	require.Equal(t, of.stream, p.Stream.ID, "one stream of each")
	require.Zero(t, p.Joined)
	of.events++
	of.cpu += p.Usage[usage.CPUTime]
	of.length += p.Duration
	of.bounded += p.End - p.Start
	of.start, of.end = min(of.start, p.Start), max(of.end, p.End)
	if p.Sequence > of.last {
		of.last, of.total = p.Sequence, p.Totals[usage.CPUTime]
	}
}

// prove checks that of each instance no sequence is missing, that its periods
// lie end to end, and that they add up to what its counter said: by how the
// instances were made, the one's is a multiple of the other's.
func (a *accounts) prove(t *testing.T, instances int) {
	t.Helper()
	require.Len(t, a.by, instances)
	machines := newHypervisor(instances).machines
	one := a.by[machines[0].instance.ID]
	require.NotNil(t, one)
	assert.InDelta(t, float64(one.length)/1e3, float64(one.cpu), 1, "the first uses one CPU")
	for i := range machines {
		of := a.by[machines[i].instance.ID]
		require.NotNil(t, of)
		require.Equal(t, of.events, of.last)
		require.Equal(t, of.end-of.start, of.bounded)
		require.Equal(t, of.total, of.cpu)
		require.Equal(t, one.cpu*share(i), of.cpu)
	}
}
