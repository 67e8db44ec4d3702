package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/openapi"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/vitals"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type userKey struct{}

// world is an API of which a request sees what is of the user that it names.
type world struct {
	store  *store.Store
	api    *api.API
	server *httptest.Server
	ended  chan api.End
	stop   context.CancelCauseFunc
}

func open(t testing.TB, stream api.Stream) *world {
	t.Helper()
	document, err := openapi.New()
	require.NoError(t, err)
	w := &world{ended: make(chan api.End, 1000)}
	w.store = store.New(store.Settings{MaxInstances: 20_000, MaxBytes: 1 << 30, Retain: time.Hour, Now: time.Now})
	w.api = api.New(api.Settings{
		Store: w.store, Document: document, Stream: stream,
		Vitals: vitals.New(vitals.Settings{Data: w.store, StalledAfter: time.Minute, Version: "1", Self: component.MustNewID("usage_api"), Now: time.Now}),
		Viewer: func(ctx context.Context) query.Viewer {
			me, _ := ctx.Value(userKey{}).(string)
			return func(user, _ string) bool { return me == "admin" || user == me }
		},
		Principal: func(ctx context.Context) string {
			me, _ := ctx.Value(userKey{}).(string)
			return me
		},
		Ended: func(_ context.Context, end api.End) { w.ended <- end },
	})
	routes := route.New(w.api.Routes(), func(_ route.Route, next route.Handler) route.Handler { return next }, zap.NewNop())
	base, stop := context.WithCancelCause(context.Background())
	w.stop = stop
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), userKey{}, r.Header.Get("X-User"))
		routes.ServeHTTP(rw, r.WithContext(ctx))
	}))
	w.server.Config.BaseContext = func(net.Listener) context.Context { return base }
	// Small, so that who does not read is soon seen not to.
	w.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		assert.NoError(t, c.(*net.TCPConn).SetWriteBuffer(4<<10))
		return ctx
	}
	w.server.Start()
	t.Cleanup(func() {
		stop(api.ErrShutdown)
		w.server.Client().CloseIdleConnections()
		w.server.Close()
	})
	return w
}

func (w *world) get(t *testing.T, user, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+path, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("X-User", user)
	res, err := w.server.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func period(p *usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	usage.AppendPeriod(md.ResourceMetrics(), p)
	return md
}

// What one does not see is nowhere: in no answer, no list, no sum and no group, and an
// answer about it is that about something that is not there.
func TestWhatIsNotYoursDoesNotExist(t *testing.T) {
	w := open(t, api.Stream{MaxClients: 1, Interval: time.Millisecond, WriteTimeout: time.Second})
	w.store.Consume(storetest.Machine(1).Levels(1))
	w.store.Consume(storetest.Machine(2).Levels(1))

	for _, path := range []string{
		"/api/v1/usage/instances/vm-00002/current", "/api/v1/usage/users/user-2/current",
	} {
		status, _ := w.get(t, "user-2", path)
		assert.Equal(t, http.StatusOK, status, path)
		status, body := w.get(t, "user-1", path)
		assert.Equal(t, http.StatusNotFound, status, path)
		there := bytes.ReplaceAll([]byte(path), []byte("2/"), []byte("9/"))
		_, other := w.get(t, "user-1", string(there))
		assert.Equal(t, other, body, "as if it were not there")
	}
	for _, path := range []string{
		"/api/v1/usage/instances", "/api/v1/usage/orgs/org-0/current", "/api/v1/usage/instances?aggregate=sum&by=user",
		"/api/v1/usage/instances?user=user-2", "/api/v1/usage/instances?sort=-cpu", "/get",
	} {
		status, body := w.get(t, "user-1", path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.NotContains(t, body, "vm-00002", path)
		assert.NotContains(t, body, `"user-2"`, path)
		assert.NotContains(t, body, `"instances":2`, path)
		assert.Equal(t, path != "/api/v1/usage/instances?user=user-2", strings.Contains(body, "-00001") || strings.Contains(body, "user-1"), path)
	}
	_, body := w.get(t, "admin", "/api/v1/usage/orgs/org-0/current")
	assert.Contains(t, body, `"instances":2`)
	status, _ := w.get(t, "", "/api/v1/usage/orgs/org-0/current")
	assert.Equal(t, http.StatusNotFound, status)
	status, _ = w.get(t, "", "/get")
	assert.Equal(t, http.StatusNotFound, status)
}

// The period of the owner before is not the new owner's to see.
func TestAfterAnInstanceChangedHands(t *testing.T) {
	w := open(t, api.Stream{MaxClients: 1, Interval: time.Millisecond, WriteTimeout: time.Second})
	m := storetest.Machine(1)
	w.store.Consume(m.Levels(30e9))
	w.store.Consume(period(m.Period(1, 0, 30e9)))
	m.Instance.UserID = "user-2"
	w.store.Consume(m.Levels(40e9))
	closed := func(user string) (int, bool) {
		status, body := w.get(t, user, "/api/v1/usage/instances/vm-00001/current")
		var i struct {
			Period struct{ Closed *json.RawMessage }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &i))
		return status, i.Period.Closed != nil
	}
	status, _ := closed("user-1")
	assert.Equal(t, http.StatusNotFound, status)
	status, has := closed("user-2")
	assert.Equal(t, http.StatusOK, status)
	assert.False(t, has)
	_, has = closed("admin")
	assert.True(t, has)
}
