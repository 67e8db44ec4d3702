package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/hooks"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	root    = &access.Principal{Name: "root", Admin: true}
	userA   = &access.Principal{Name: "a", UserID: "a"}
	userB   = &access.Principal{Name: "b", UserID: "b"}
	orgO    = &access.Principal{Name: "o", OrgID: "o"}
	both    = &access.Principal{Name: "both", UserID: "a", OrgID: "o"}
	nothing = &access.Principal{Name: "n"}
)

const path = hooks.Path

// api is the endpoints over a real engine, and who asks.
type api struct {
	t       testing.TB
	engine  *webhook.Engine
	handler http.Handler

	mu      sync.Mutex
	disk    map[string][]byte
	full    error // of the storage
	sent    []outbound.Request
	answer  outbound.Outcome
	sending func(context.Context) // waits, where it is not nil
}

func newAPI(t testing.TB) *api {
	a := &api{t: t, disk: map[string][]byte{}, answer: outbound.Outcome{Class: outbound.Delivered, Status: 204, Latency: 1500 * time.Microsecond}}
	var err error
	a.engine, err = webhook.Open(context.Background(), webhook.Settings{
		Limits: webhook.Limits{
			Hooks: 100, PerOwner: 3, Workers: 4, Concurrency: 2, Burst: -1, PerHook: 1000, Pending: 1000, Age: time.Hour,
			History: 50, HistoryBytes: 1 << 20, Memory: 1 << 20,
		},
		Schedule: webhook.Schedule{Waits: []time.Duration{0}, DisableAfter: time.Hour},
		Send:     a.send,
		Owns: func(o webhook.Owner, user, org string) bool {
			return o.UserID != "" && o.UserID == user || o.OrgID != "" && o.OrgID == org
		},
		Storage: a, Observe: nobody{}, Jitter: func() float64 { return 0 }, UserAgent: "test",
	})
	require.NoError(t, err)
	a.engine.Start()
	t.Cleanup(func() { require.NoError(t, a.engine.Shutdown(context.Background())) })
	guard := outbound.New(outbound.Settings{Timeout: time.Second})
	t.Cleanup(guard.Close)
	e := hooks.API{Engine: a.engine, CheckURL: guard.CheckURL, SecretOverlap: time.Hour, Timeout: time.Second}
	e.Respond = func(w http.ResponseWriter, _ *http.Request, _ string, body []byte) { _, _ = w.Write(body) }
	a.handler = route.New(e.Routes(), func(_ route.Route, next route.Handler) route.Handler { return next }, zap.NewNop())
	return a
}

func (a *api) send(ctx context.Context, r outbound.Request) outbound.Outcome {
	a.mu.Lock()
	a.sent = append(a.sent, r)
	wait, answer := a.sending, a.answer
	a.mu.Unlock()
	if wait != nil {
		wait(ctx)
	}
	return answer
}

func (a *api) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *api) requests() []outbound.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent
}

func (a *api) Read(_ context.Context, keys []string) ([][]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = a.disk[key]
	}
	return values, nil
}

func (a *api) Write(_ context.Context, ops []webhook.Op) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full != nil {
		return a.full
	}
	for _, op := range ops {
		a.disk[op.Key] = op.Value
	}
	return nil
}

// nobody watches the engine.
type nobody struct{}

func (nobody) Accepted(webhook.Type, int)                            {}
func (nobody) Repeated(webhook.Type)                                 {}
func (nobody) Attempted(webhook.Type, outbound.Class, time.Duration) {}
func (nobody) Finished(webhook.Type, webhook.State, webhook.Drop)    {}
func (nobody) Written(error)                                         {}
func (nobody) Damaged(string, error)                                 {}
func (nobody) StatusChanged(*webhook.Hook, bool)                     {}

var errDisk = errors.New("no space left on /var/lib/secret")

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

func (a answer) decode(to any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), to), "%s", a.Body)
}

// problems returns the places that are wrong, as pointer or parameter: detail.
func (a answer) problems() (texts []string) {
	a.t.Helper()
	assert.Equal(a.t, problem.ContentType, a.Header().Get("Content-Type"))
	var p struct {
		Errors []problem.Invalid
	}
	a.decode(&p)
	for _, e := range p.Errors {
		texts = append(texts, e.Pointer+e.Parameter+": "+e.Detail)
	}
	return texts
}

// ask sends a request. header is a list of names and values.
func (a *api) ask(p *access.Principal, method, path, body string, header ...string) answer {
	a.t.Helper()
	return a.askIn(context.Background(), p, method, path, body, header...)
}

func (a *api) askIn(ctx context.Context, p *access.Principal, method, path, body string, header ...string) answer {
	a.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r.WithContext(access.With(ctx, p)))
	return answer{w, a.t}
}

// hook is a webhook as it is answered.
type hook struct {
	ID, Status, URL, Description, Secret string
	Reason                               *string
	EventTypes                           []string `json:"event_types"`
	Filters                              map[string]any
	RegisteredAt                         time.Time `json:"registered_at"`
	CreatedBy                            string    `json:"created_by"`
	Owner                                map[string]any
	PreviousSecrets                      []struct{ Until time.Time } `json:"previous_secrets"`
	Deliveries                           map[string]any
}

// create registers one with the body, which has to be right.
func (a *api) create(p *access.Principal, body string) hook {
	a.t.Helper()
	got := a.ask(p, "POST", path, body)
	require.Equal(a.t, 201, got.Code, "%s", got.Body)
	return got.hook()
}

func (a answer) hook() (h hook) {
	a.t.Helper()
	a.decode(&h)
	return h
}

// plain is the least that can be registered.
const plain = `{"url":"https://example.com/hook","event_types":["resource_usage"]}`

// with is plain with more members.
func with(more string) string { return strings.TrimSuffix(plain, "}") + "," + more + "}" }
