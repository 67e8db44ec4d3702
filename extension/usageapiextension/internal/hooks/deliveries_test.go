package hooks_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/hooks"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// offer has the engine take n events of user a.
func (a *api) offer(n int) {
	b := a.engine.Begin()
	for i := range n {
		e := webhook.Event{ID: uuid.New(), Type: webhook.ResourceUsage, At: time.Now().UnixNano(), InstanceID: fmt.Sprint("vm-", i), UserID: "a", OrgID: "o"}
		require.Equal(a.t, webhook.Accepted, b.Offer(&e, webhook.Mark{}, func(dst []byte) []byte { return append(dst, "{}"...) }))
	}
	b.Commit(context.Background())
}

type delivery struct {
	Number     uint64
	EventID    string     `json:"event_id"`
	EventType  string     `json:"event_type"`
	At         time.Time  `json:"at"`
	AcceptedAt time.Time  `json:"accepted_at"`
	DueAt      *time.Time `json:"due_at"`
	State      string
	Attempts   int
	Log        []outcome
}

type outcome struct {
	Number    uint64
	WebhookID string `json:"webhook_id"`
	EventID   string `json:"event_id"`
	State     string
	At        time.Time
	Status    *int
	LatencyMS float64 `json:"latency_ms"`
	Error     *string
	Excerpt   *string
}

type log struct {
	Deliveries []delivery
	NextBefore *uint64 `json:"next_before"`
}

func (a *api) log(p *access.Principal, id, query string) (l log) {
	a.t.Helper()
	got := a.ask(p, "GET", path+"/"+id+"/deliveries"+query, "")
	require.Equal(a.t, 200, got.Code, "%s", got.Body)
	got.decode(&l)
	return l
}

func numbers(ds []delivery) (n []uint64) {
	for i := range ds {
		n = append(n, ds[i].Number)
	}
	return n
}

// inBubble runs a test over an engine whose time is that of the bubble.
func inBubble(t *testing.T, f func(t *testing.T, a *api)) {
	synctest.Test(t, func(t *testing.T) { f(t, newAPI(t)) })
}

func TestDeliveries(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		h := a.create(userA, plain)
		a.offer(4)
		synctest.Wait()
		a.set(func() {
			a.answer = outbound.Outcome{Class: outbound.Failed, Status: 500, Latency: 2 * time.Second, Err: errDisk, Excerpt: "oops"}
		})
		a.offer(3)
		synctest.Wait()
		require.Equal(t, 200, a.ask(userA, "PATCH", path+"/"+h.ID, `{"status":"paused"}`).Code)
		a.offer(2)
		synctest.Wait()

		all := a.log(userA, h.ID, "")
		assert.Equal(t, []uint64{9, 8, 7, 6, 5, 4, 3, 2, 1}, numbers(all.Deliveries))
		assert.Nil(t, all.NextBefore)
		waiting, failed, done := all.Deliveries[0], all.Deliveries[2], all.Deliveries[8]
		assert.Equal(t, "pending", waiting.State)
		assert.NotNil(t, waiting.DueAt)
		assert.Equal(t, []outcome{}, waiting.Log)
		assert.Equal(t, "failed", failed.State)
		assert.Nil(t, failed.DueAt)
		status, text, excerpt := 500, errDisk.Error(), "oops"
		assert.Equal(t, []outcome{{At: failed.Log[0].At, Status: &status, LatencyMS: 2000, Error: &text, Excerpt: &excerpt}}, failed.Log)
		ok := 204
		assert.Equal(t, []outcome{{At: done.Log[0].At, Status: &ok, LatencyMS: 1.5}}, done.Log)
		assert.Equal(t, "delivered", done.State)
		assert.Equal(t, "resource_usage", done.EventType)
		assert.Equal(t, 1, done.Attempts)

		for state, want := range map[string][]uint64{"pending": {9, 8}, "failed": {7, 6, 5}, "delivered": {4, 3, 2, 1}, "dropped": nil} {
			for limit := 1; limit < 5; limit++ {
				var got []uint64
				query := fmt.Sprintf("?state=%s&limit=%d", state, limit)
				for before := ""; ; {
					l := a.log(userA, h.ID, query+before)
					assert.LessOrEqual(t, len(l.Deliveries), limit)
					got = append(got, numbers(l.Deliveries)...)
					if l.NextBefore == nil {
						break
					}
					before = fmt.Sprint("&before=", *l.NextBefore)
				}
				assert.Equal(t, want, got, query)
			}
		}
		for query, want := range map[string]string{
			"limit=0": "limit: must be 1 to 1000", "before=0": "before: must be the number of a delivery", "before=-1": "before: must be",
			"state=lost": `state: must be one of ["pending" "delivered" "failed" "dropped"]`, "cursor=1": "cursor: is not known: there are limit, before and state",
			"state=failed&state=failed": "state: is there 2 times",
		} {
			got := a.ask(userA, "GET", path+"/"+h.ID+"/deliveries?"+query, "")
			assert.Equal(t, 400, got.Code)
			assert.Contains(t, strings.Join(got.problems(), "\n"), want)
		}
	})
}

// counting counts how often deliveries are asked for.
type counting struct {
	hooks.Engine
	asked int
}

func (c *counting) Deliveries(id string, before uint64, limit int) ([]webhook.Delivery, error) {
	c.asked++
	return c.Engine.Deliveries(id, before, limit)
}

// The few deliveries in one state are found among many others without asking for each: the engine
// waits meanwhile.
func TestFewOfManyDeliveries(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		id := a.create(userA, plain).ID
		a.offer(1)
		synctest.Wait()
		require.Equal(t, 200, a.ask(userA, "PATCH", path+"/"+id, `{"status":"paused"}`).Code)
		a.offer(900)
		counted := &counting{Engine: a.engine}
		e := hooks.API{Engine: counted, Respond: func(w http.ResponseWriter, _ *http.Request, _ string, body []byte) { _, _ = w.Write(body) }}
		a.handler = route.New(e.Routes(), func(_ route.Route, next route.Handler) route.Handler { return next }, zap.NewNop())
		l := a.log(userA, id, "?state=delivered&limit=1")
		assert.Equal(t, []uint64{1}, numbers(l.Deliveries))
		assert.Nil(t, l.NextBefore)
		assert.Equal(t, 1, counted.asked)
	})
}

func TestResend(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		h := a.create(userA, plain)
		a.set(func() { a.answer = outbound.Outcome{Class: outbound.Failed, Status: 500} })
		a.offer(1)
		synctest.Wait()
		before := a.log(userA, h.ID, "").Deliveries[0]
		require.Equal(t, "failed", before.State)
		a.set(func() { a.answer = outbound.Outcome{Class: outbound.Delivered, Status: 200} })
		again := path + "/" + h.ID + "/deliveries/%v/resend"
		got := a.ask(userA, "POST", fmt.Sprintf(again, 1), "")
		require.Equal(t, 202, got.Code, "%s", got.Body)
		var d delivery
		got.decode(&d)
		assert.Equal(t, "pending", d.State)
		assert.Equal(t, before.EventID, d.EventID)
		synctest.Wait()
		assert.Equal(t, "delivered", a.log(userA, h.ID, "").Deliveries[0].State)
		require.Len(t, a.requests(), 2)
		assert.Equal(t, a.requests()[0].Header["Webhook-Id"], a.requests()[1].Header["Webhook-Id"])

		for _, number := range []any{2, 0, "x", "-1", "99999999999999999999"} {
			got := a.ask(userA, "POST", fmt.Sprintf(again, number), "")
			assert.Equal(t, 404, got.Code, "%v", number)
			assert.Contains(t, got.Body.String(), "there is no such delivery")
		}
		require.Equal(t, 200, a.ask(userA, "POST", path+"/"+h.ID+"/test", "").Code)
		assert.Equal(t, 410, a.ask(userA, "POST", fmt.Sprintf(again, 2), "").Code, "a test is not kept")
		a.set(func() { a.answer = outbound.Outcome{Class: outbound.Gone, Status: 410} })
		a.offer(1)
		synctest.Wait()
		off := a.ask(userA, "GET", path+"/"+h.ID, "").hook()
		assert.Equal(t, "disabled", off.Status)
		assert.Equal(t, "gone", *off.Reason)
		refused := a.ask(userA, "POST", fmt.Sprintf(again, 1), "")
		assert.Equal(t, 409, refused.Code)
		assert.Contains(t, refused.Body.String(), `change its status to \"registered\" first`)
		on := a.ask(userA, "PATCH", path+"/"+h.ID, `{"status":"registered"}`).hook()
		assert.Equal(t, "registered", on.Status)
		assert.Nil(t, on.Reason)
	})
}

func TestTest(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		h := a.create(userA, plain)
		test := path + "/" + h.ID + "/test"
		got := a.ask(userA, "POST", test, "")
		require.Equal(t, 200, got.Code, "%s", got.Body)
		var o outcome
		got.decode(&o)
		status := 204
		assert.Equal(t, outcome{Number: 1, WebhookID: h.ID, EventID: o.EventID, State: "delivered", Status: &status, LatencyMS: 1.5}, o)
		require.Len(t, a.requests(), 1)
		assert.Equal(t, []string{o.EventID}, a.requests()[0].Header["Webhook-Id"])
		assert.Contains(t, string(a.requests()[0].Body), h.ID)
		assert.Equal(t, "https://example.com/hook", a.requests()[0].URL)

		text := errDisk.Error()
		a.set(func() { a.answer = outbound.Outcome{Class: outbound.Unreachable, Latency: time.Second, Err: errDisk} })
		o = outcome{}
		a.ask(userA, "POST", test, "").decode(&o)
		assert.Equal(t, outcome{Number: 2, WebhookID: h.ID, EventID: o.EventID, State: "failed", LatencyMS: 1000, Error: &text}, o, "that it failed is an outcome")
	})
}

// One test at a time; one whose client or collector goes away ends.
func TestTestsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		h := a.create(userA, plain)
		test := path + "/" + h.ID + "/test"
		a.set(func() { a.sending = func(ctx context.Context) { <-ctx.Done() } })
		a.set(func() { a.answer = outbound.Outcome{Class: outbound.Unreachable} })
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan answer)
		go func() { first <- a.askIn(ctx, userA, "POST", test, "") }()
		synctest.Wait()
		busy := a.ask(userA, "POST", test, "")
		assert.Equal(t, 429, busy.Code)
		assert.Equal(t, "1", busy.Header().Get("Retry-After"))
		cancel()
		interrupted := <-first
		assert.Equal(t, 503, interrupted.Code)
		assert.Equal(t, "1", interrupted.Header().Get("Retry-After"))

		go func() { first <- a.ask(userA, "POST", test, "") }()
		synctest.Wait()
		assert.Equal(t, 204, a.ask(userA, "DELETE", path+"/"+h.ID, "").Code, "it ends what is under way")
		assert.Equal(t, 404, (<-first).Code)
	})
}

// deadlines is a writer that notes the deadlines that it is set.
type deadlines struct {
	http.ResponseWriter
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

// A server may let requests take less time than an attempt may.
func TestATestHasItsTime(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api) {
		h := a.create(userA, plain)
		w := &deadlines{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, path+"/"+h.ID+"/test", http.NoBody)
		start := time.Now()
		a.handler.ServeHTTP(w, r.WithContext(access.With(t.Context(), userA)))
		assert.Equal(t, start.Add(6*time.Second), w.read)
		assert.Equal(t, w.read, w.write)
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("limit=1&cursor=cg", `"x"`, "id", "1")
	f.Add("before=7&state=failed&limit=2", `W/"1-2", "`, "wh_", "-1")
	f.Add("limit=1&limit=2&%zz", `*`, "", "18446744073709551616")
	a := newAPI(f)
	h := a.create(userA, plain)
	f.Fuzz(func(t *testing.T, query, match, id, number string) {
		a.t = t
		ask := func(method, path string, values ...string) int {
			r := httptest.NewRequest(method, path, http.NoBody)
			r.URL.RawQuery = query
			r.Header["If-Match"] = []string{match}
			for i := 0; i < len(values); i += 2 {
				r.SetPathValue(values[i], values[i+1])
			}
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r.WithContext(access.With(r.Context(), userA)))
			return w.Code
		}
		assert.Contains(t, []int{200, 400}, ask("GET", path))
		assert.Contains(t, []int{200, 400}, ask("GET", path+"/"+h.ID+"/deliveries"))
		assert.Equal(t, 404, ask("DELETE", path+"/x", "id", id))
		assert.Equal(t, 404, ask("POST", path+"/"+h.ID+"/deliveries/9/resend", "number", number))
		assert.Contains(t, []int{412, 415}, ask("PATCH", path+"/"+h.ID))
	})
}
