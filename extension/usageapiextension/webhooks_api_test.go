package usageapiextension

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// sink is an endpoint that notes everything, and answers with a status.
type sink struct {
	*httptest.Server
	status int // not changed once something is sent
	got    chan received
}

type received struct {
	*http.Request
	body []byte
}

func newSink(tb testing.TB) *sink {
	r := &sink{status: http.StatusOK, got: make(chan received, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if body, err := io.ReadAll(req.Body); err == nil {
			w.WriteHeader(r.status)
			r.got <- received{req, body}
		}
	}))
	tb.Cleanup(r.Close)
	return r
}

// next returns the next request.
func (r *sink) next(t *testing.T) received {
	t.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(time.Minute):
		require.Fail(t, "nothing came")
		return received{}
	}
}

// hookOf returns the id of the webhook with a description, to which something was delivered. It registers one
// where there is none.
func (s *served) hookOf(tb testing.TB, url, description string, owner webhook.Owner) string {
	tb.Helper()
	engine := s.webhooks.Load().engine
	all := engine.List()
	if i := slices.IndexFunc(all, func(v webhook.View) bool { return v.Description == description }); i >= 0 {
		return all[i].ID
	}
	key, err := signing.NewSecret()
	require.NoError(tb, err)
	v, err := engine.Create(tb.Context(), webhook.Hook{
		Owner: owner, URL: url, Description: description, Types: []webhook.Type{webhook.ResourceUsage}, Secrets: []webhook.Secret{{Key: key}},
	})
	require.NoError(tb, err)
	b := engine.Begin()
	e := webhook.Event{ID: uuid.New(), Type: webhook.ResourceUsage, At: time.Now().UnixNano(), InstanceID: description, UserID: owner.UserID}
	require.Equal(tb, webhook.Accepted, b.Offer(&e, webhook.Mark{}, func(dst []byte) []byte { return append(dst, "{}"...) }))
	b.Commit(tb.Context())
	require.Eventually(tb, func() bool { // nothing of it changes by itself any more
		ds, err := engine.Deliveries(v.ID, 0, 1)
		return err == nil && ds[0].State == webhook.Delivered
	}, time.Minute, time.Millisecond)
	return v.ID
}

// A webhook from its registration by a user to an event that its receiver can verify. Neither the secret
// nor the URL is in the log.
func TestWebhookOverTheAPI(t *testing.T) {
	endpoint := newSink(t)
	keys := newKeyFile(t)
	keys.add(t, apikey.Key{Name: "portal", UserID: "user-0"})
	core, logs := observer.New(zap.DebugLevel)
	set := extensiontest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	s := serveOn(t, componenttest.NewNopHost(), set, keys.use, local)
	send := func(method, path, body string) answer { return s.send(t, method, path, body, keys.as("portal")...) }

	refused := send(http.MethodPost, "/api/v1/webhooks", `{"url":"https://10.1.2.3/?password=hunter2","event_types":["metrics","usage"]}`)
	assert.Equal(t, 400, refused.StatusCode)
	assert.Contains(t, string(refused.body), `{"pointer":"#/url","detail":"is refused: its address is not one of the public network`)
	assert.Contains(t, string(refused.body), `#/event_types/1`)
	a := send(http.MethodPost, "/api/v1/webhooks", fmt.Sprintf(`{"url":"%s/hook?password=hunter2","event_types":["resource_usage"],"filters":{"user_ids":["user-0"]}}`, endpoint.URL))
	require.Equal(t, 201, a.StatusCode, "%s", a.body)
	var hook struct{ ID, Secret string }
	a.decode(t, &hook)
	secret, err := signing.ParseSecret(hook.Secret)
	require.NoError(t, err)
	one := "/api/v1/webhooks/" + hook.ID
	assert.Equal(t, one, a.Header.Get("Location"))

	at := time.Now().Add(time.Second).UnixNano()
	s.consume(periods(storetest.Machine(0).Period(1, at-30e9, at), storetest.Machine(1).Period(1, at-30e9, at)))
	got := endpoint.next(t)
	require.NoError(t, signing.Verify([]signing.Secret{secret}, got.Header, got.body, time.Now()))
	id := got.Header.Get(signing.HeaderID)
	assert.Contains(t, string(got.body), `"event_type":"resource_usage"`)
	assert.Contains(t, string(got.body), "vm-00000")
	assert.NotEmpty(t, id)

	tested := send(http.MethodPost, one+"/test", "")
	require.Equal(t, 200, tested.StatusCode)
	require.Contains(t, string(tested.body), `"state":"delivered","status":200`)
	got = endpoint.next(t)
	assert.Equal(t, "test", got.Header.Get("X-Webhook-Event"))
	rotated := send(http.MethodPatch, one, `{"rotate_secret":true}`)
	require.Equal(t, 200, rotated.StatusCode)
	var again struct{ Secret string }
	rotated.decode(t, &again)
	require.Eventually(t, func() bool { // what is still being sent is not sent again
		return strings.Contains(string(send(http.MethodGet, one+"/deliveries?state=delivered&before=2", "").body), `"number":1`)
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, 202, send(http.MethodPost, one+"/deliveries/1/resend", "").StatusCode)
	got = endpoint.next(t)
	for _, text := range []string{hook.Secret, again.Secret} {
		key, err := signing.ParseSecret(text)
		require.NoError(t, err)
		require.NoError(t, signing.Verify([]signing.Secret{key}, got.Header, got.body, time.Now()), "both sign for a while")
	}
	assert.Equal(t, id, got.Header.Get(signing.HeaderID))
	assert.Equal(t, 204, send(http.MethodDelete, one, "").StatusCode)

	var audited []string
	for _, l := range logs.FilterLoggerName("audit").All() {
		m := l.ContextMap()
		audited = append(audited, strings.TrimSpace(fmt.Sprint(m["outcome"], " ", m["operation"], " ", m["object"])))
	}
	assert.Equal(t, []string{
		"refused createWebhook", "done createWebhook " + hook.ID, "done testWebhook " + hook.ID, "done updateWebhook " + hook.ID,
		"done resendDelivery " + hook.ID + "/1", "done deleteWebhook " + hook.ID,
	}, audited)
	for _, l := range logs.All() {
		text := fmt.Sprint(l.Message, l.ContextMap())
		for _, no := range []string{"hunter2", hook.Secret[6:], again.Secret[6:]} {
			assert.NotContains(t, text, no)
		}
	}
}
