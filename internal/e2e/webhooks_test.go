package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// A delivered is a request that an endpoint got.
type delivered struct {
	ID      string
	Header  http.Header
	Body    []byte
	Refused bool
}

// An endpoint takes what a webhook is sent.
type endpoint struct {
	*httptest.Server
	mu      sync.Mutex
	got     []delivered
	refuses func(n int) bool // the n-th request
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{refuses: func(int) bool { return false }}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil { // a collector that was killed
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		d := delivered{r.Header.Get(signing.HeaderID), r.Header.Clone(), body, e.refuses(len(e.got))}
		e.got = append(e.got, d)
		if d.Refused {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) all() []delivered {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]delivered(nil), e.got...)
}

// await returns what came once enough says so.
func (e *endpoint) await(t *testing.T, enough func([]delivered) bool) []delivered {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if got := e.all(); enough(got) {
			return got
		}
		require.True(t, time.Now().Before(deadline), "only %d requests came", len(e.all()))
	}
}

// local allows endpoints on this machine.
func local() []string {
	return []string{"extensions::usage_api::webhooks::allow_http=true", "extensions::usage_api::webhooks::allow_private_networks=[127.0.0.0/8]"}
}

// hook registers with vmusagectl, and returns the id and the secret.
func (c *collector) hook(t *testing.T, url string, args ...string) (id string, secret signing.Secret) {
	t.Helper()
	c.waitAPI(t, "/health", func(status int, _ string) bool { return status != 0 })
	out, err := run(t, "", binary(t, "vmusagectl"), append([]string{"webhook", "add", url, "--endpoint", "http://" + c.api}, args...)...)
	require.NoError(t, err)
	secret, err = signing.ParseSecret(strings.TrimSpace(out))
	require.NoError(t, err)
	list, err := run(t, "", binary(t, "vmusagectl"), "webhook", "list", "--json", "--endpoint", "http://"+c.api)
	require.NoError(t, err)
	for line := range strings.Lines(list) {
		var h struct{ ID, URL string }
		require.NoError(t, json.Unmarshal([]byte(line), &h))
		if h.URL == url {
			id = h.ID
		}
	}
	require.NotEmpty(t, id)
	return id, secret
}

func (c *collector) webhook(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, "", binary(t, "vmusagectl"), append(append([]string{"webhook"}, args...), "--endpoint", "http://"+c.api)...)
	require.NoError(t, err)
	return out
}

// npmVerifies has the npm library of Standard Webhooks verify requests.
func npmVerifies(t *testing.T, lines []byte) string {
	t.Helper()
	node, npm := tool(t, "node"), tool(t, "npm")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "verify.js"} {
		text, err := os.ReadFile(filepath.Join("testdata", "npm", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: the npm package cannot be installed: %v: %s", err, out)
	}
	verify := exec.CommandContext(t.Context(), node, "verify.js")
	verify.Dir, verify.Stdin = dir, bytes.NewReader(lines)
	out, err := verify.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestWebhooksEndToEnd: registered with the tool, delivered by the collector, verified by ours and by the
// library of others, also while a secret is rotated; paused, resumed, removed.
func TestWebhooksEndToEnd(t *testing.T) {
	binary(t, "otelcol-vmusage")
	addr := freePort(t)
	broker(t, addr, t.TempDir())
	c := node(t, addr).set(local()...).start(t)
	to := newEndpoint(t)
	id, first := c.hook(t, to.URL, "--events", "resource_usage,threshold_violation,metrics")
	types := func(got []delivered) map[string]int {
		n := map[string]int{}
		for _, d := range got {
			n[d.Header.Get(signing.HeaderLegacyEvent)]++
		}
		return n
	}
	to.await(t, func(got []delivered) bool { n := types(got); return n["resource_usage"] >= 2 && n["metrics"] >= 2 })
	assert.Contains(t, c.webhook(t, "test", id), "delivered: 200")

	rotated, err := signing.ParseSecret(strings.TrimSpace(c.webhook(t, "rotate", id)))
	require.NoError(t, err)
	before := len(to.all())
	got := to.await(t, func(got []delivered) bool { return len(got) > before+2 })
	for i, d := range got {
		require.NoError(t, signing.Verify([]signing.Secret{first}, d.Header, d.Body, time.Now()), "the old secret signs, too")
		if i > before {
			require.NoError(t, signing.Verify([]signing.Secret{rotated}, d.Header, d.Body, time.Now()))
		}
	}

	c.webhook(t, "pause", id)
	time.Sleep(500 * time.Millisecond) // for what was under way
	paused := len(to.all())
	time.Sleep(3 * time.Second) // more than a period
	assert.Len(t, to.all(), paused)
	c.webhook(t, "resume", id)
	to.await(t, func(got []delivered) bool { return len(got) > paused })
	assert.Contains(t, c.webhook(t, "deliveries", id), "delivered")
	c.webhook(t, "rm", id)
	removed := len(to.all())
	time.Sleep(3 * time.Second)
	assert.Len(t, to.all(), removed)
	c.stop(t)
	for _, s := range []signing.Secret{first, rotated} {
		assert.NotContains(t, c.log.String(), strings.TrimPrefix(s.Reveal(), "whsec_"))
	}

	var lines bytes.Buffer
	line := func(s signing.Secret, d delivered) {
		headers := map[string]string{}
		for _, name := range []string{signing.HeaderID, signing.HeaderTimestamp, signing.HeaderSignature} {
			headers[strings.ToLower(name)] = d.Header.Get(name)
		}
		text, err := json.Marshal(map[string]any{"secret": s.Reveal(), "headers": headers, "body": string(d.Body)})
		require.NoError(t, err)
		lines.Write(append(text, '\n'))
	}
	got = to.all()
	line(first, got[0])
	line(first, got[len(got)-1])
	line(rotated, got[len(got)-1])
	line(rotated, got[0])
	said := strings.Split(strings.TrimSpace(npmVerifies(t, lines.Bytes())), "\n")
	require.Len(t, said, 4)
	for i, want := range []string{"genuine ", "genuine ", "genuine ", "refused "} {
		assert.True(t, strings.HasPrefix(said[i], want), said[i])
	}
}

// TestWebhooksOverKills: a collector that is killed again and again, to an endpoint that refuses every
// third request: what Kafka has got to the webhook, under the same ids.
func TestWebhooksOverKills(t *testing.T) {
	binary(t, "otelcol-vmusage")
	addr := freePort(t)
	b := broker(t, addr, t.TempDir())
	n := node(t, addr).set(local()...).set("extensions::usage_api::webhooks::schedule=[0s, 200ms, 500ms, 1s, 2s, 2s, 2s, 2s, 2s, 2s]",
		"receivers::vm_usage::period=1s")
	c := n.start(t)
	to := newEndpoint(t)
	to.refuses = func(n int) bool { return n%3 == 1 }
	c.hook(t, to.URL, "--events", "resource_usage")
	registered := time.Now()
	rng := random(t, 1)[0]
	for range 6 {
		seen := len(to.all())
		to.await(t, func(got []delivered) bool { return len(got) > seen })
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		c.kill(t)
		c = n.start(t)
	}
	consume(t, addr).take(t, endingAfter(time.Now().Add(time.Second)))
	wanted := map[string]bool{}
	for _, r := range everything(t, b) {
		if r.event.Period.End > registered.UnixNano() {
			wanted[r.event.ID.String()] = true
		}
	}
	require.NotEmpty(t, wanted)
	got := to.await(t, func(got []delivered) bool {
		taken := map[string]bool{}
		for _, d := range got {
			if !d.Refused {
				taken[d.ID] = true
			}
		}
		for id := range wanted {
			if !taken[id] {
				return false
			}
		}
		return true
	})
	taken := 0
	for _, d := range got {
		var body struct{ Data json.RawMessage }
		require.NoError(t, json.Unmarshal(d.Body, &body))
		e, err := event.Decode(body.Data)
		require.NoError(t, err)
		assert.Equal(t, e.ID.String(), d.ID)
		if !d.Refused {
			taken++
		}
	}
	t.Logf("%d events, %d requests, %d of them taken", len(wanted), len(got), taken)
	c.stop(t)
	verify(t, addr, prove(t, everything(t, b)))
}

// TestAlertsEndToEnd: while Kafka is away, webhooks of admins are told when the breaker opens, and
// when it is over.
func TestAlertsEndToEnd(t *testing.T) {
	binary(t, "otelcol-vmusage")
	addr, dir := freePort(t), t.TempDir()
	b := broker(t, addr, dir)
	c := node(t, addr).set(local()...).set("exporters::usage_event::circuit_breaker::consecutive_failures=2", "exporters::usage_event::circuit_breaker::open_interval=1s",
		"exporters::usage_event::timeout=1s").start(t)
	to := newEndpoint(t)
	c.hook(t, to.URL, "--events", "pipeline_alert")
	consume(t, addr).take(t, atLeast(1))
	said := func(name string, state event.AlertState) func([]delivered) bool {
		return func(got []delivered) bool {
			for _, d := range got {
				var body struct{ Data json.RawMessage }
				require.NoError(t, json.Unmarshal(d.Body, &body))
				a, err := event.DecodeAlert(body.Data)
				require.NoError(t, err, "%s", d.Body)
				if a.Name == name && a.State == state {
					return true
				}
			}
			return false
		}
	}
	require.NoError(t, b.Close())
	to.await(t, said("breaker_open", event.AlertFiring))
	broker(t, addr, dir)
	got := to.await(t, said("breaker_open", event.AlertResolved))
	ids := map[string]bool{}
	for _, d := range got {
		assert.False(t, ids[d.ID], "each is said once: %s", d.Body)
		ids[d.ID] = true
	}
	c.stop(t)
}
