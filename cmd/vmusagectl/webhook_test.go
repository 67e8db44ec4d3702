package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answers is an API that says what it is told to.
type answers struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	next     map[string]string // by method and path: status and body
}

func newAnswers(t *testing.T, next map[string]string) *answers {
	a := &answers{next: next}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		key := r.Method + " " + r.URL.RequestURI()
		a.requests = append(a.requests, strings.TrimSpace(key+" "+r.Header.Get("Authorization")+" "+string(body)))
		answer, ok := a.next[key]
		if !ok {
			answer = `404 {"detail":"there is no such webhook"}`
		}
		var status int
		_, _ = fmt.Sscan(answer, &status)
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer[min(len(answer), 4):])
	}))
	t.Cleanup(a.Close)
	return a
}

func TestWebhookAdd(t *testing.T) {
	a := newAnswers(t, map[string]string{
		"POST /api/v1/webhooks": `201 {"id":"wh_1","url":"https://example.com","event_types":["metrics"],"status":"registered","secret":"whsec_x"}`,
	})
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("key\n"), 0o600))
	status, out, say := call(t, "webhook", "add", "https://example.com", "--endpoint", a.URL, "--token-file", token,
		"--events", "metrics", "--levels", "critical", "--labels", "tier=db", "--instances", "a,b", "--description", "mine")
	require.Equal(t, exitOK, status, say)
	assert.Equal(t, "whsec_x\n", out, "stdout is the secret and nothing else")
	assert.Contains(t, say, "webhook wh_1: https://example.com is sent metrics")
	assert.NotContains(t, say, "whsec_x")
	assert.Equal(t, []string{`POST /api/v1/webhooks Bearer key {"description":"mine","event_types":["metrics"],"filters":{"instance_ids":["a","b"],"labels":{"tier":"db"},"levels":["critical"]},"url":"https://example.com"}`}, a.requests)

	status, _, say = call(t, "webhook", "add", "https://example.com", "--endpoint", a.URL)
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, say, "--events is missing")
}

func TestWebhookList(t *testing.T) {
	hook := func(id string) string {
		return `{"id":"` + id + `","status":"disabled","reason":"gone","url":"https://example.com/\u001b[31m","event_types":["metrics","pipeline_alert"],"deliveries":{"pending":3,"dropped":4,"last_success":"2026-11-25T01:02:03.5Z"}}`
	}
	a := newAnswers(t, map[string]string{
		"GET /api/v1/webhooks":             `200 {"webhooks":[` + hook("wh_1") + `],"next_cursor":"a b"}`,
		"GET /api/v1/webhooks?cursor=a+b":  `200 {"webhooks":[` + hook("wh_2") + `],"next_cursor":null}`,
		"GET /api/v1/webhooks?cursor=none": `200 {}`,
	})
	status, out, say := call(t, "webhook", "list", "--endpoint", a.URL)
	require.Equal(t, exitOK, status, say)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 4)
	assert.Regexp(t, `^wh_1  disabled \(gone\)  metrics,pipeline_alert  https://example.com/.*  2026-11-25 01:02:03 +3 +4$`, lines[1])
	assert.NotContains(t, out, "\x1b")
	status, out, _ = call(t, "webhook", "list", "--endpoint", a.URL, "--json")
	require.Equal(t, exitOK, status)
	assert.Equal(t, hook("wh_1")+"\n"+hook("wh_2")+"\n", out)
}

func TestWebhookDeliveries(t *testing.T) {
	d := func(n int) string {
		return fmt.Sprintf(`{"number":%d,"event_id":"e","event_type":"metrics","state":"pending","accepted_at":"2026-11-25T01:02:03Z","attempts":2,"due_at":"2026-11-25T01:02:08Z","log":[{"at":"2026-11-25T01:02:03Z","status":500,"latency_ms":12.4,"error":"it answered 500"}]}`, n)
	}
	a := newAnswers(t, map[string]string{
		"GET /api/v1/webhooks/wh_1/deliveries":          `200 {"deliveries":[` + d(3) + `,` + d(2) + `],"next_before":2}`,
		"GET /api/v1/webhooks/wh_1/deliveries?before=2": `200 {"deliveries":[` + d(1) + `],"next_before":null}`,
	})
	status, out, say := call(t, "webhook", "deliveries", "wh_1", "--endpoint", a.URL)
	require.Equal(t, exitOK, status, say)
	assert.Contains(t, out, "metrics e  pending, next at 2026-11-25 01:02:08  2026-11-25 01:02:03  2         500 in 12 ms: it answered 500\n")
	assert.Len(t, strings.Split(out, "\n"), 5)
	status, out, _ = call(t, "webhook", "deliveries", "wh_1", "--endpoint", a.URL, "--json", "--count", "1")
	require.Equal(t, exitOK, status)
	assert.Equal(t, d(3)+"\n", out)
}

func TestWebhookChanges(t *testing.T) {
	a := newAnswers(t, map[string]string{
		"POST /api/v1/webhooks/wh_1/test":                `200 {"state":"delivered","status":200,"latency_ms":5,"excerpt":"thanks"}`,
		"POST /api/v1/webhooks/wh_2/test":                `200 {"state":"failed","status":500,"latency_ms":5,"error":"it answered 500"}`,
		"POST /api/v1/webhooks/wh_3/test":                `429 {"detail":"a test is under way"}`,
		"POST /api/v1/webhooks/wh_1/deliveries/7/resend": `202 {}`,
		"PATCH /api/v1/webhooks/wh_1":                    `200 {"id":"wh_1","status":"paused","secret":"whsec_y"}`,
		"DELETE /api/v1/webhooks/wh_1":                   `204`,
	})
	for _, tt := range []struct {
		args     string
		status   int
		out, say string
		asked    string
	}{
		{"test wh_1", exitOK, "delivered: 200 in 5 ms\n  thanks\n", "", "POST /api/v1/webhooks/wh_1/test"},
		{"test wh_2", exitFailed, "failed: 500 in 5 ms: it answered 500\n", "was not taken", "POST /api/v1/webhooks/wh_2/test"},
		{"test wh_3", exitFailed, "", "try again in 7 s", "POST /api/v1/webhooks/wh_3/test"},
		{"test wh_4", exitFailed, "", "404 Not Found: there is no such webhook", "POST /api/v1/webhooks/wh_4/test"},
		{"resend wh_1 7", exitOK, "", "delivery 7 of webhook wh_1 is sent", "POST /api/v1/webhooks/wh_1/deliveries/7/resend"},
		{"pause wh_1", exitOK, "", "webhook wh_1 is paused", `PATCH /api/v1/webhooks/wh_1  {"status":"paused"}`},
		{"resume wh_1", exitOK, "", "webhook wh_1", `PATCH /api/v1/webhooks/wh_1  {"status":"registered"}`},
		{"rotate wh_1", exitOK, "whsec_y\n", "shown this once", `PATCH /api/v1/webhooks/wh_1  {"rotate_secret":true}`},
		{"rotate wh_1 --overlap 2h", exitOK, "whsec_y\n", "", `PATCH /api/v1/webhooks/wh_1  {"rotate_secret":true,"secret_overlap":"2h0m0s"}`},
		{"rm wh_1", exitOK, "", "webhook wh_1 is removed", "DELETE /api/v1/webhooks/wh_1"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			status, out, say := call(t, append([]string{"webhook"}, append(strings.Fields(tt.args), "--endpoint", a.URL)...)...)
			assert.Equal(t, tt.status, status, say)
			assert.Equal(t, tt.out, out)
			assert.Contains(t, say, tt.say)
			assert.Equal(t, tt.asked, a.requests[len(a.requests)-1])
		})
	}
}

func TestWebhookUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"add"}, "accepts 1 arg"},
		{[]string{"resend", "wh_1", "x"}, `"x" is no number`},
		{[]string{"list", "--endpoint", "127.0.0.1:8080"}, "write a URL without a path"},
		{[]string{"list", "--token-file", "/no/such/file"}, "--token-file"},
		{[]string{"list", "--ca-file", "/no/such/file"}, "--ca-file"},
		{[]string{"listen"}, "no secret"},
		{[]string{"listen", "--unsigned", "--status", "700"}, "--status is 700"},
		{[]string{"deliveries", "wh_1", "--count", "0"}, "--count is 0"},
	} {
		status, _, say := call(t, append([]string{"webhook"}, tt.args...)...)
		assert.Equal(t, exitUsage, status, tt.args)
		assert.Contains(t, say, tt.says)
	}
	status, _, say := call(t, "webhook", "list", "--endpoint", "http://127.0.0.1:1")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "is the collector running with the usage_api extension at http://127.0.0.1:1?")
}
