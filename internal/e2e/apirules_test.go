package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// caller asks the usage API with a key.
type caller struct {
	*collector
	key string
}

// send returns the answer, its body read.
func (c *caller) send(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+c.api+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(text)
}

// TestARuleOverTheAPI: a user writes a rule for what is theirs, and is told in Kafka of
// what violates it; the rule survives a crash, and deleting it ends the violation.
func TestARuleOverTheAPI(t *testing.T) {
	binary(t, "otelcol-vmusage")
	vmusagectl := binary(t, "vmusagectl")
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	key := func(args ...string) string {
		out, err := run(t, "", vmusagectl, append([]string{"apikey", "create", "-f", keys, "--name", "e2e"}, args...)...)
		require.NoError(t, err)
		return strings.TrimSpace(out)
	}
	owner, stranger := key("--user", "user-1"), key("--user", "user-2")

	addr := freePort(t)
	b := broker(t, addr, t.TempDir())
	n := node(t, addr).set("processors::threshold::rules=[]", "extensions::usage_api::api_keys::file="+keys)
	c := n.start(t)
	events := consume(t, addr)
	events.take(t, atLeast(1))
	asOwner, asStranger := &caller{c, owner}, &caller{c, stranger}

	const path = "/api/v1/thresholds"
	const mine = `{"resource":"memory","type":"percentage","warning":0.001,"selector":{"user_id":"user-1"}}`
	res, body := asStranger.send(t, http.MethodPost, path, mine)
	assert.Equal(t, http.StatusForbidden, res.StatusCode, body)
	res, body = asOwner.send(t, http.MethodPost, path, mine)
	require.Equal(t, http.StatusCreated, res.StatusCode, body)
	var rule struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &rule))
	one, etag := res.Header.Get("Location"), res.Header.Get("ETag")

	said := listen(t, addr)
	firing := said.await(t, rule.ID, 1)
	assert.Equal(t, "vm-e2e", firing.Subject())
	res, _ = asStranger.send(t, http.MethodGet, one, "")
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
	res, _ = asStranger.send(t, http.MethodGet, "/api/v1/usage/instances/vm-e2e/current", "")
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
	_, body = asOwner.send(t, http.MethodGet, "/api/v1/usage/instances/vm-e2e/current?fields=thresholds", "")
	assert.Contains(t, body, rule.ID)

	events.take(t, endingAfter(time.Now())) // so that it is written that it was said
	c.kill(t)
	c = n.start(t)
	asOwner, asStranger = &caller{c, owner}, &caller{c, stranger}
	c.waitAPI(t, "/health", is("healthy\n"))
	events.take(t, endingAfter(time.Now()))
	res, _ = asOwner.send(t, http.MethodGet, one, "")
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.Equal(t, etag, res.Header.Get("ETag"), "it is what it was before the crash")

	res, _ = asOwner.send(t, http.MethodDelete, one, "", "If-Match", `"another"`)
	assert.Equal(t, http.StatusPreconditionFailed, res.StatusCode)
	res, body = asOwner.send(t, http.MethodDelete, one, "", "If-Match", etag)
	require.Equal(t, http.StatusNoContent, res.StatusCode, body)
	resolved := said.await(t, rule.ID, 2)
	assert.Equal(t, firing.Episode, resolved.Episode)
	assert.Equal(t, []string{"warning firing", "warning resolved"}, said.of(rule.ID), "each is said once, also across the crash")
	c.waitLog(t, "deleteThreshold")
	assert.NotContains(t, c.log.String(), owner[len(owner)-43:])

	_, err := run(t, "", vmusagectl, "apikey", "revoke", "-f", keys, stranger)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		res, _ := asStranger.send(t, http.MethodGet, path, "")
		return res.StatusCode == http.StatusUnauthorized
	}, patience, 100*time.Millisecond)
	c.stop(t)
	verify(t, addr, prove(t, everything(t, b)))
}
