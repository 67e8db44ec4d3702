package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// announcements reads the topic of violations from its beginning.
type announcements struct {
	client *kgo.Client
	got    []*usage.Violation
}

func listen(t *testing.T, kafka string) *announcements {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics(thresholds),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &announcements{client: client}
}

// of returns what was said of a rule so far, as state and level.
func (a *announcements) of(rule string) (said []string) {
	for _, v := range a.got {
		if v.Rule.ID == rule {
			said = append(said, fmt.Sprintf("%s %s", v.Level, v.State))
		}
	}
	return said
}

// await reads until that many things were said of a rule.
func (a *announcements) await(t *testing.T, rule string, n int) *usage.Violation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(a.of(rule)) < n {
		fetches := a.client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "of %s only %v was said", rule, a.of(rule))
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := event.DecodeViolation(r.Value)
			require.NoError(t, err, "%s", r.Value)
			a.got = append(a.got, e.Exact)
		})
	}
	var last *usage.Violation
	for _, v := range a.got {
		if v.Rule.ID == rule {
			last = v
		}
	}
	return last
}

// replaceRules puts a document where sources::file looks.
func replaceRules(t *testing.T, path string, rules ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte("rules:\n  - "+strings.Join(rules, "\n  - ")+"\n"), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// quiet is settings under which a collector gives up on Kafka quickly and tries again soon.
func quiet() []string {
	return []string{
		"exporters::usage_event::timeout=2s", "exporters::usage_event::retry_on_failure::enabled=false",
		"exporters::usage_event::circuit_breaker::open_interval=1s",
	}
}

// TestAnnouncedOnce: a rule that is written while the collector runs is violated by
// this machine. That is said once, whatever dies in the meantime, and once that it is over.
func TestAnnouncedOnce(t *testing.T) {
	binary(t, "otelcol-vmusage")
	addr, dir := freePort(t), t.TempDir()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	memory := func(id, warning string) string {
		return fmt.Sprintf("{id: %s, resource: memory, type: percentage, warning: %s}", id, warning)
	}
	replaceRules(t, rules, memory("first", "100"))
	n := node(t, addr, quiet()...).set("processors::threshold::rules=[]",
		"processors::threshold::sources::file="+rules, "processors::threshold::sources::file_interval=200ms")
	b := broker(t, addr, dir)
	c := n.start(t)
	events := consume(t, addr)
	events.take(t, atLeast(1))

	replaceRules(t, rules, memory("first", "0.001"))
	said := listen(t, addr)
	firing := said.await(t, "first", 1)
	events.take(t, endingAfter(time.Now())) // so that it was written, too
	c.kill(t)
	c = n.start(t)
	events.take(t, endingAfter(time.Now()))

	// Kafka is away when the second one begins, and the collector dies before Kafka is back.
	require.NoError(t, b.Close())
	began := time.Now()
	replaceRules(t, rules, memory("first", "0.001"), memory("second", "0.001"))
	c.waitLog(t, "the circuit breaker to Kafka is open")
	require.Eventually(t, func() bool { refused, _ := c.own("level_batches"); return refused > 0 && c.rulesOf("file") == 2 }, patience, 50*time.Millisecond)
	before := c.refusedLevels()
	require.Eventually(t, func() bool { return c.refusedLevels() > before+1 }, patience, 50*time.Millisecond, "nobody takes what is to be said of it")
	c.kill(t)
	c = n.start(t)
	away := time.Now()
	b = broker(t, addr, dir)
	said = listen(t, addr)
	second := said.await(t, "second", 1)
	assert.GreaterOrEqual(t, second.Since, began.UnixNano())
	assert.Less(t, second.Since, away.UnixNano(), "since when, and not since when Kafka is back")

	// A document that is wrong changes nothing, and one that is right does.
	replaceRules(t, rules, memory("first", "100"), memory("second", "180"))
	c.waitLog(t, "warning is 180: must be at most 100")
	require.Eventually(t, func() bool { return strings.Contains(metrics(c.self), `otelcol_processor_threshold_load_errors{`) }, patience, 50*time.Millisecond)
	replaceRules(t, rules, memory("first", "100"))
	resolved := said.await(t, "first", 2)
	said.await(t, "second", 2)
	assert.Equal(t, firing.Episode, resolved.Episode)
	events = consume(t, addr)
	events.take(t, endingAfter(time.Now()))
	c.stop(t)

	all := listen(t, addr)
	total := int64(0)
	for _, p := range b.Cluster().PartitionInfos(thresholds) {
		total += p.HighWatermark - p.LogStartOffset
	}
	all.await(t, "first", 2)
	all.await(t, "second", 2)
	assert.Equal(t, []string{"warning firing", "warning resolved"}, all.of("first"))
	assert.Equal(t, []string{"warning firing", "warning resolved"}, all.of("second"))
	assert.EqualValues(t, 4, total)
	verify(t, addr, prove(t, everything(t, b)))
}

// refusedLevels returns how many batches of levels were refused.
func (c *collector) refusedLevels() (n int) {
	for line := range strings.Lines(metrics(c.self)) {
		if strings.HasPrefix(line, "otelcol_receiver_vm_usage_level_batches") && strings.Contains(line, `outcome="refused"`) {
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n)
		}
	}
	return n
}

// rulesOf returns how many rules of a source are in force.
func (c *collector) rulesOf(source string) (n int) {
	for line := range strings.Lines(metrics(c.self)) {
		if strings.HasPrefix(line, "otelcol_processor_threshold_rules{") && strings.Contains(line, `source="`+source+`"`) {
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n)
		}
	}
	return n
}

// ruleServer serves a document with its ETag.
type ruleServer struct {
	http.Server
	mu       sync.Mutex
	document string
	sent     int // in full
	same     int // times that it had not changed
}

func serveRules(t *testing.T, addr, document string) *ruleServer {
	t.Helper()
	s := &ruleServer{document: document}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		etag := fmt.Sprintf("%q", fmt.Sprint(len(s.document)))
		w.Header().Set("ETag", etag)
		if r.Header.Get("Authorization") != "Bearer tok" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Header.Get("If-None-Match") == etag {
			s.same++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		s.sent++
		_, _ = w.Write([]byte(s.document))
	})
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *ruleServer) counts() (sent, same int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.same
}

// TestRulesFromAServer: they are asked for only if they changed, and hold after a
// restart while the server is away.
func TestRulesFromAServer(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", t.TempDir())
	addr := freePort(t)
	const violated = "rules: [{id: busy, resource: memory, type: percentage, warning: 0.001}]\n"
	server := serveRules(t, addr, violated)
	n := node(t, b.Addr()).set("processors::threshold::rules=[]",
		"processors::threshold::sources::http={endpoint: 'http://"+addr+"/rules.yaml', interval: 1s, headers: {Authorization: Bearer tok}}")
	c := n.start(t)
	said := listen(t, b.Addr())
	said.await(t, "busy", 1)
	require.Eventually(t, func() bool { _, same := server.counts(); return same > 1 }, patience, 50*time.Millisecond)
	sent, _ := server.counts()
	assert.Equal(t, 1, sent)
	consume(t, b.Addr()).take(t, endingAfter(time.Now()))
	c.kill(t)

	require.NoError(t, server.Close())
	c = n.start(t)
	c.waitLog(t, "rules from http fails")
	require.Eventually(t, func() bool { return c.rulesOf("http") == 1 }, patience, 50*time.Millisecond, "the last good copy is in force")
	consume(t, b.Addr()).take(t, endingAfter(time.Now()))

	serveRules(t, addr, "rules: []\n")
	c.waitLog(t, "rules from http works again")
	v := said.await(t, "busy", 2)
	assert.Equal(t, "rule_removed", v.Reason)
	c.stop(t)
	assert.Equal(t, []string{"warning firing", "warning resolved"}, said.of("busy"))
	assert.NotContains(t, c.log.String(), "tok\"")
}
