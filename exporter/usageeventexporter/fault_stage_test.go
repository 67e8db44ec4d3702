package usageeventexporter

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// A stage is a whole exporter with its defaults, and its Kafka, in a synctest
// bubble: sockets are pipes and hours pass at once. The bubble ends only when no
// goroutine of either is left.
type stage struct {
	t       *testing.T
	network network
	cluster *kfake.Cluster
	rig     *rig

	dir     string // of the data of Kafka
	admin   []kgo.Opt
	live    bool // by the real clock
	mu      sync.Mutex
	offered map[string]bool // ids
	seq     uint64
}

// A setting is what a stage is built with.
type setting struct {
	brokers    int32 // 1 where 0
	partitions int32 // of usage_events, 1 where 0
	topic, dlq map[string]string
	noTopic    bool
	keep       bool   // Kafka keeps its data over a restart
	admin      string // who may read, "" for everybody; the password is "secret"
	options    []kfake.Opt
	config     func(*Config)
}

// play runs a scene on a stage.
func play(t *testing.T, set setting, scene func(*testing.T, *stage)) {
	t.Helper()
	emptyPools()
	defer emptyPools()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Second) }) // the timers of sarama's breakers
		s := open(t, set, dir)
		scene(t, s)
		s.close()
		s.cluster.Close()
		time.Sleep(300 * time.Millisecond) // sarama does not wait for one that backs off
		synctest.Wait()
		assert.Empty(t, bubbled(), "goroutines that outlive both")
	})
}

// playLive runs a scene by the real clock, with short waits: where sarama waits
// with a mutex held, time in a bubble would stand still.
func playLive(t *testing.T, set setting, scene func(*testing.T, *stage)) {
	t.Helper()
	change := set.config
	set.config = func(c *Config) {
		c.Timeout = 200 * time.Millisecond
		c.CircuitBreaker.OpenInterval = 100 * time.Millisecond
		c.Metadata.Retry = MetadataRetryConfig{Max: 1, Backoff: 10 * time.Millisecond}
		c.RetryOnFailure.InitialInterval, c.RetryOnFailure.MaxInterval = 10*time.Millisecond, 50*time.Millisecond
		c.RetryOnFailure.MaxElapsedTime = 100 * time.Millisecond
		if change != nil {
			change(c)
		}
	}
	s := open(t, set, t.TempDir())
	s.live = true
	scene(t, s)
	s.close()
}

func open(t *testing.T, set setting, dir string) *stage {
	t.Helper()
	s := &stage{t: t, dir: dir, offered: map[string]bool{}}
	if set.admin != "" {
		s.admin = []kgo.Opt{kgo.SASL(plain.Auth{User: set.admin, Pass: "secret"}.AsMechanism())}
	}
	s.openKafka(set)
	s.openExporter(set.config)
	return s
}

// bubbled returns the goroutines of this bubble beside the caller and its parent,
// and beside the timers of sarama's breakers, which end by themselves.
func bubbled() []string {
	text := make([]byte, 1<<20)
	all := strings.Split(string(text[:runtime.Stack(text, true)]), "\n\n")
	_, bubble, _ := strings.Cut(all[0], "synctest")
	bubble, _, _ = strings.Cut(bubble, "]")
	return slices.DeleteFunc(all[1:], func(g string) bool {
		return !strings.Contains(g, "synctest"+bubble+"]:") || strings.Contains(g, "breaker.(*Breaker).timer") || strings.Contains(g, "testing/synctest.")
	})
}

// emptyPools throws away the channels that sarama keeps in a sync.Pool: one that
// was made in a bubble must not be used outside, and the other way round. So
// scenes do not run in parallel. The second collection takes the pool's victims.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

func (s *stage) openKafka(set setting) {
	s.t.Helper()
	var ports []int
	for i := range max(set.brokers, 1) {
		ports = append(ports, 9092+int(i))
	}
	options := append([]kfake.Opt{kfake.NumBrokers(len(ports)), kfake.Ports(ports...), kfake.ListenFn(s.network.listen)}, set.options...)
	if set.keep {
		options = append(options, kfake.DataDir(s.dir))
	}
	var err error
	s.cluster, err = kfake.NewCluster(options...)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { s.cluster.Close() })
	create := func(name string, partitions int32, config map[string]string) {
		if s.cluster.TopicInfo(name) == nil {
			require.NoError(s.t, s.cluster.CreateTopic(name, partitions, config))
		}
	}
	if !set.noTopic {
		create("usage_events", max(set.partitions, 1), set.topic)
	}
	create(dlq, 1, set.dlq)
}

func (s *stage) openExporter(change func(*Config)) {
	s.t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{host: &statusHost{Host: componenttest.NewNopHost()}, logs: logs, tel: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(r.tel)
	set.Logger = zap.New(core)
	c := defaults(func(c *Config) { c.Brokers = []string{"127.0.0.1:9092"} })
	if change != nil {
		change(c)
	}
	require.NoError(s.t, c.Validate())
	e, err := NewFactory().CreateMetrics(context.Background(), set, c)
	require.NoError(s.t, err)
	r.usageEvent = e.(*usageEvent)
	line := r.producer.line
	r.producer.line = func() *lifeline {
		l := line()
		l.dial = s.network.dial
		return l
	}
	require.NoError(s.t, e.Start(context.Background(), r.host))
	s.t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	s.rig = r
}

// renew makes the exporter begin a new sarama producer with the next attempt.
func (s *stage) renew() {
	p := s.rig.producer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		p.retireLocked(p.current)
	}
}

// longestShutdown is what [usageEvent.Shutdown] may take.
const longestShutdown = shutdownGrace + 2*closeGrace

// close ends the exporter, whatever it is at.
func (s *stage) close() {
	s.t.Helper()
	begin := time.Now()
	require.NoError(s.t, s.rig.Shutdown(context.Background()))
	if s.live {
		assert.Less(s.t, time.Since(begin), tooLong)
	} else {
		assert.LessOrEqual(s.t, time.Since(begin), longestShutdown)
	}
	require.NoError(s.t, s.rig.tel.Shutdown(context.Background()))
}

// periods returns n new ones, of as many instances; those at are poison.
func (s *stage) periods(n int, poison ...int) []*usage.Period {
	out := make([]*usage.Period, n)
	for i := range out {
		s.seq++
		out[i] = usagetest.Host(s.seq)
		out[i].Instance.ID = fmt.Sprintf("vm-%d", s.seq)
		binary.BigEndian.PutUint32(out[i].Stream.ID[:], uint32(s.seq))
	}
	for _, i := range poison {
		out[i].Instance.ID = "poison-" + out[i].Instance.ID
	}
	return out
}

// A delivery is a batch that is offered as the receiver's delivery does it:
// until it is confirmed.
type delivery struct {
	refused chan struct{} // has one element for each time it was refused
	done    chan struct{} // closed when it is confirmed, or the exporter is stopped
	last    error         // valid when done is closed
}

// offerAgain is the backoff of who delivers.
func (s *stage) offerAgain() time.Duration {
	if s.live {
		return 20 * time.Millisecond
	}
	return 5 * time.Second
}

// deliver begins a delivery.
func (s *stage) deliver(periods ...*usage.Period) *delivery {
	s.mu.Lock()
	for _, p := range periods {
		s.offered[event.ID(p).String()] = true
	}
	s.mu.Unlock()
	d := &delivery{refused: make(chan struct{}, 1000), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		for {
			if d.last = s.rig.ConsumeMetrics(context.Background(), usageOf(periods...)); d.last == nil || s.rig.stopped.Load() {
				return
			}
			d.refused <- struct{}{}
			time.Sleep(s.offerAgain())
		}
	}()
	return d
}

// confirmed reports whether the batch is, by now.
func (d *delivery) confirmed() bool {
	select {
	case <-d.done:
		return d.last == nil
	default:
		return false
	}
}

// within waits until the batch is confirmed, no longer than limit.
func (s *stage) within(limit time.Duration, d *delivery) {
	s.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.done:
		require.NoError(s.t, d.last)
	case <-timer.C:
		s.rig.producer.abort()
		require.FailNow(s.t, "not delivered", "within %v", limit)
	}
}

// client returns another client of this Kafka, who may do everything.
func (s *stage) client(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	opts = append(opts, kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.Dialer(s.network.wires.DialContext), kgo.DisableClientMetrics())
	client, err := kgo.NewClient(append(opts, s.admin...)...)
	require.NoError(s.t, err)
	return client
}

// acl sets or deletes one on writing to usage_events.
func (s *stage) acl(permission kmsg.ACLPermissionType, set bool) {
	s.t.Helper()
	client := s.client()
	defer client.Close()
	if set {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, "usage_events", kmsg.ACLResourcePatternTypeLiteral
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:meter", "*", kmsg.ACLOperationWrite, permission
		req := kmsg.NewPtrCreateACLsRequest()
		req.Creations = append(req.Creations, c)
		resp, err := req.RequestWith(s.t.Context(), client)
		require.NoError(s.t, err)
		require.Zero(s.t, resp.Results[0].ErrorCode)
		return
	}
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourcePatternType = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeLiteral
	f.Operation, f.PermissionType = kmsg.ACLOperationWrite, permission
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = append(req.Filters, f)
	resp, err := req.RequestWith(s.t.Context(), client)
	require.NoError(s.t, err)
	require.Len(s.t, resp.Results[0].MatchingACLs, 1)
}

// alter sets what a topic is configured with.
func (s *stage) alter(topic, name, value string) {
	s.t.Helper()
	client := s.client()
	defer client.Close()
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = name, &value
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, topic, append(r.Configs, c)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(s.t.Context(), client)
	require.NoError(s.t, err)
	require.Zero(s.t, resp.Resources[0].ErrorCode)
}

// kept is what Kafka has.
type kept struct {
	events  int // different ids in usage_events
	letters int // different ids in the dead-letter topic
	repeats int // records beyond those, in both
}

// counted reads both topics. No id may have two contents, and none may be one
// that was not offered.
func (s *stage) counted() kept {
	s.t.Helper()
	events, letters := s.read("usage_events"), s.read(dlq)
	return kept{events: events.ids, letters: letters.ids, repeats: events.records + letters.records - events.ids - letters.ids}
}

// has fails unless Kafka has what it should, and at most so many repeats.
func (s *stage) has(want kept, repeats int) {
	s.t.Helper()
	got := s.counted()
	assert.LessOrEqual(s.t, got.repeats, repeats, "repeats")
	want.repeats = got.repeats
	assert.Equal(s.t, want, got)
}

type contents struct{ ids, records int }

func (s *stage) read(topic string) contents {
	s.t.Helper()
	n := storedIn(s.cluster, topic)
	values := map[string]string{}
	if n > 0 {
		client := s.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer client.Close()
		for read := 0; read < n; {
			fetches := client.PollFetches(s.t.Context())
			require.Empty(s.t, fetches.Errors())
			for _, r := range fetches.Records() {
				read++
				id := string(r.Headers[0].Value)
				require.True(s.t, s.offered[id], "%s has %s, which nobody offered", topic, id)
				if before, ok := values[id]; ok {
					require.Equal(s.t, before, string(r.Value), "one id, one content")
				}
				values[id] = string(r.Value)
			}
		}
	}
	return contents{len(values), n}
}
