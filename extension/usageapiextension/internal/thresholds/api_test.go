package thresholds_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/thresholds"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

var (
	root    = &access.Principal{Name: "root", Admin: true}
	userA   = &access.Principal{Name: "a", UserID: "a"}
	userB   = &access.Principal{Name: "b", UserID: "b"}
	orgO    = &access.Principal{Name: "o", OrgID: "o"}
	nothing = &access.Principal{Name: "n"}
)

// api is the endpoints, and who asks.
type api struct {
	t       *testing.T
	store   *rulestore.Store
	handler http.Handler
	full    error // of the storage
}

func newAPI(t *testing.T) *api {
	a := &api{t: t}
	a.store = rulestore.New(rulestore.Options{Limit: 100, PerAuthor: 3, Keep: func(context.Context, string, []byte) error { return a.full }})
	e := thresholds.API{Store: a.store, Options: threshold.Options{Source: threshold.API}, SelectorLabels: []string{"tier"}}
	e.Respond = func(w http.ResponseWriter, _ *http.Request, _ string, body []byte) { _, _ = w.Write(body) }
	a.handler = route.New(e.Routes(), func(_ route.Route, next route.Handler) route.Handler { return next }, zap.NewNop())
	return a
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
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
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r.WithContext(access.With(r.Context(), p)))
	return answer{w, a.t}
}

const path = thresholds.Path

// ruleOf is a rule for what is a user's, or, with o/, an organization's.
func ruleOf(owner string) string {
	key := "user_id"
	if org, ok := strings.CutPrefix(owner, "o/"); ok {
		key, owner = "org_id", org
	}
	return fmt.Sprintf(`{"resource":"cpu","type":"percentage","warning":80,"selector":{%q:%q}}`, key, owner)
}

func TestOneRule(t *testing.T) {
	a := newAPI(t)
	_, changed := a.store.ThresholdRules()
	created := a.ask(root, "POST", path, `{"id":"cpu/high","resource":"cpu","type":"percentage","warning":80.0,"for":"60s"}`)
	require.Equal(t, 201, created.Code, "%s", created.Body)
	<-changed
	assert.Equal(t, "/api/v1/thresholds/cpu%2Fhigh", created.Header().Get("Location"))
	etag := created.Header().Get("ETag")
	want := `{"id":"cpu/high","resource":"cpu","type":"percentage","warning":80,"for":"1m0s"}`
	assert.JSONEq(t, want, created.Body.String())
	one := created.Header().Get("Location")

	got := a.ask(root, "GET", one, "")
	assert.Equal(t, 200, got.Code)
	assert.JSONEq(t, want, got.Body.String())
	assert.Equal(t, etag, got.Header().Get("ETag"))
	assert.Equal(t, 304, a.ask(root, "GET", one, "", "If-None-Match", `"x", W/`+etag).Code)
	assert.Equal(t, 200, a.ask(root, "GET", one, "", "If-None-Match", `"x"`).Code)
	head := a.ask(root, "HEAD", one, "")
	assert.Equal(t, 200, head.Code)
	assert.Equal(t, etag, head.Header().Get("ETag"))

	assert.Equal(t, 409, a.ask(root, "POST", path, want).Code)
	assert.Equal(t, 428, a.ask(root, "PUT", one, want).Code)
	assert.Equal(t, 412, a.ask(root, "PUT", one, want, "If-Match", `"x"`).Code)
	assert.Equal(t, 412, a.ask(root, "PUT", one, want, "If-Match", "W/"+etag).Code, "weak tags say nothing about a change")
	put := a.ask(root, "PUT", one, got.Body.String(), "If-Match", etag)
	require.Equal(t, 200, put.Code, "what was read can be written: %s", put.Body)
	assert.NotEqual(t, etag, put.Header().Get("ETag"))
	assert.Equal(t, 412, a.ask(root, "PUT", one, want, "If-Match", etag).Code, "two writers notice each other")
	assert.Equal(t, []string{"#/id: must be the id in the path, or be left out"},
		a.ask(root, "PUT", one, `{"id":"other","resource":"cpu","type":"percentage","warning":80}`, "If-Match", "*").problems())
	require.Equal(t, 200, a.ask(root, "PUT", one, `{"resource":"cpu","type":"percentage","warning":90}`, "If-Match", "*").Code)

	assert.Equal(t, 428, a.ask(root, "DELETE", one, "").Code)
	assert.Equal(t, 412, a.ask(root, "DELETE", one, "", "If-Match", etag).Code)
	assert.Equal(t, 204, a.ask(root, "DELETE", one, "", "If-Match", "*").Code)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		assert.Equal(t, 404, a.ask(root, method, one, want, "If-Match", "*").Code, method)
	}
	assert.Equal(t, 405, a.ask(root, "PATCH", one, "").Code)
	rules, _ := a.store.ThresholdRules()
	assert.Empty(t, rules)
}

// Everything that may be wrong with a body, with the place and the remedy.
func TestBodies(t *testing.T) {
	a := newAPI(t)
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"resource":"cpu","type":"percentage","warning":-1}`, 422, "#/warning: is -1: must not be negative"},
		{`{"resource":"cpu","type":"percentage","critcal":1}`, 422, "#/critcal: is not known: do you mean critical?"},
		{`{"id":"a","id":"b","resource":"cpu","type":"percentage","warning":1}`, 422, "#/id: is there twice"},
		{`{"id":"..","resource":"cpu","type":"percentage","warning":1}`, 422, "#/id: must not be . or .."},
		{`{"resource":"cpu","type":"percentage","warning":1,"selector":{"labels":{"a.b/c~ ":[7]}}}`, 422, "#/selector/labels/a.b~1c~0%20"},
		{`{"resource":"cpu","type":"percentage","warning":1,"channels":["ok",""]}`, 422, "#/channels/1: "},
		{`{"resource":"network_egress","type":"absolute","unit":"TBy","window":"month","per":"user","warning":1}`, 422, "#/per: "},
		{`{}`, 422, "#/type"},
		{` { } `, 422, "#/type"},
		{`[]`, 400, ""},
		{`{"id":"a"}, {"id":"b"}`, 400, ""},
		{`rules: []`, 400, ""},
		{`"x"`, 400, ""},
		{"{\"id\":\"\xff\"}", 400, ""},
		{strings.Repeat(`[`, 20_000), 400, ""},
		{`{"description":"` + strings.Repeat("x", thresholds.MaxBody) + `"}`, 413, ""},
	} {
		got := a.ask(root, "POST", path, tt.body)
		assert.Equal(t, tt.status, got.Code, "%.80s: %s", tt.body, got.Body)
		if tt.want != "" {
			assert.Contains(t, strings.Join(got.problems(), "\n"), tt.want, "%s", tt.body)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset"} {
		assert.Equal(t, 415, a.ask(root, "POST", path, ruleOf("a"), "Content-Type", kind).Code, "%q", kind)
	}
	assert.Equal(t, 400, a.ask(root, "POST", path, "", "Content-Type", "application/json").Code)
	assert.Equal(t, 201, a.ask(root, "POST", path, ruleOf("a"), "Content-Type", "application/json; charset=utf-8").Code)
	assert.Len(t, a.store.All(), 1, "nothing of what is wrong is written")
}

// Nobody writes a rule for what is not theirs, and nobody sees one.
func TestOwnRules(t *testing.T) {
	a := newAPI(t)
	for _, tt := range []struct {
		name   string
		p      *access.Principal
		body   string
		status int
	}{
		{"own", userA, ruleOf("a"), 201},
		{"another's", userA, ruleOf("b"), 403},
		{"everybody's", userA, `{"resource":"cpu","type":"percentage","warning":80}`, 403},
		{"own and another's", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":["a","b"]}}`, 403},
		{"a pattern", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a*"}}`, 403},
		{"a pattern that is only that", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"[a]"}}`, 403},
		{"own, and a pattern", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":["a","*"]}}`, 403},
		{"an organization", userA, ruleOf("o/a"), 403},
		{"an instance of one's own", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a","instance_id":"vm-*","labels":{"tier":"gold"}}}`, 201},
		{"a label of one's own choice", userA, `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a","labels":{"x":"y"}}}`, 403},
		{"an id of one's own choice", userA, `{"id":"x",` + ruleOf("a")[1:], 422},
		{"of the organization", orgO, ruleOf("o/o"), 201},
		{"of a user of it, alone", orgO, ruleOf("a"), 403},
		{"who owns nothing", nothing, ruleOf(""), 422},
		{"who owns nothing, everybody's", nothing, `{"resource":"cpu","type":"percentage","warning":80}`, 403},
		{"an admin", root, `{"id":"all","resource":"cpu","type":"percentage","warning":80,"selector":{"labels":{"x":"y"}}}`, 201},
		{"an admin, for a user", root, `{"id":"for-a",` + ruleOf("a")[1:], 201},
	} {
		got := a.ask(tt.p, "POST", path, tt.body)
		assert.Equal(t, tt.status, got.Code, "%s: %s", tt.name, got.Body)
		if got.Code == http.StatusForbidden && tt.p != nothing {
			assert.NotEmpty(t, got.problems(), tt.name)
		}
	}
	ids := func(p *access.Principal) (ids []string) {
		var page struct {
			Thresholds []struct {
				ETag string
				Rule struct{ ID string }
			}
		}
		got := a.ask(p, "GET", path, "")
		require.Equal(t, 200, got.Code)
		got.decode(&page)
		for _, i := range page.Thresholds {
			ids = append(ids, i.Rule.ID)
			assert.Equal(t, i.ETag, a.ask(p, "GET", path+"/"+i.Rule.ID, "").Header().Get("ETag"))
		}
		return ids
	}
	assert.Len(t, ids(root), 5)
	assert.Len(t, ids(userA), 3)
	assert.Contains(t, ids(userA), "for-a")
	assert.Len(t, ids(orgO), 1)
	assert.Empty(t, ids(userB))
	assert.Empty(t, ids(nothing))

	mine := ids(orgO)[0]
	for _, p := range []*access.Principal{userA, userB, nothing} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			there, not := a.ask(p, method, path+"/"+mine, ruleOf(p.UserID), "If-Match", "*"), a.ask(p, method, path+"/none", ruleOf(p.UserID), "If-Match", "*")
			assert.Equal(t, 404, there.Code)
			assert.Equal(t, not.Body.String(), there.Body.String(), "what is not yours does not exist")
			assert.Equal(t, not.Header(), there.Header())
		}
	}
	assert.Equal(t, 403, a.ask(userA, "PUT", path+"/for-a", ruleOf("a"), "If-Match", "*").Code, "what an admin wrote an admin changes")
	assert.Equal(t, 403, a.ask(userA, "DELETE", path+"/for-a", "", "If-Match", "*").Code)
	assert.Equal(t, 403, a.ask(orgO, "PUT", path+"/"+mine, ruleOf("o/x"), "If-Match", "*").Code, "not moved to others either")
	assert.Equal(t, 200, a.ask(orgO, "PUT", path+"/"+mine, ruleOf("o/o"), "If-Match", "*").Code)
	assert.Equal(t, 204, a.ask(root, "DELETE", path+"/"+mine, "", "If-Match", "*").Code)
}

func TestBoundsAndStorage(t *testing.T) {
	a := newAPI(t)
	for range 3 {
		require.Equal(t, 201, a.ask(userA, "POST", path, ruleOf("a")).Code)
	}
	got := a.ask(userA, "POST", path, ruleOf("a"))
	assert.Equal(t, 409, got.Code)
	assert.Contains(t, got.Body.String(), "too many rules of yours: at most 3")
	require.Equal(t, 201, a.ask(userB, "POST", path, ruleOf("b")).Code)

	a.full = errors.New("no space left on /var/lib/secret")
	before := a.store.All()
	one := path + "/" + before[0].Rule.ID
	for _, got := range []answer{
		a.ask(root, "POST", path, ruleOf("a")),
		a.ask(root, "PUT", one, ruleOf("a"), "If-Match", "*"),
		a.ask(root, "DELETE", one, "", "If-Match", "*"),
	} {
		assert.Equal(t, 503, got.Code)
		assert.Equal(t, "5", got.Header().Get("Retry-After"))
		assert.NotContains(t, got.Body.String(), "secret")
	}
	assert.Equal(t, before, a.store.All())
}

func TestPages(t *testing.T) {
	a := newAPI(t)
	for i := range 25 {
		require.Equal(t, 201, a.ask(root, "POST", path, fmt.Sprintf(`{"id":"r%02d",%s`, i, ruleOf(fmt.Sprint("u", i%2))[1:])).Code)
	}
	seen := []string{}
	u1 := &access.Principal{UserID: "u1"}
	for next, pages := path+"?limit=5", 0; next != ""; pages++ {
		require.Less(t, pages, 4)
		var page struct {
			Thresholds []struct{ Rule struct{ ID string } }
			NextCursor string `json:"next_cursor"`
		}
		a.ask(u1, "GET", next, "").decode(&page)
		for _, i := range page.Thresholds {
			seen = append(seen, i.Rule.ID)
		}
		if pages == 0 { // what comes and goes meanwhile moves nothing
			require.Equal(t, 204, a.ask(root, "DELETE", path+"/r09", "", "If-Match", "*").Code)
		}
		next = ""
		if page.NextCursor != "" {
			next = path + "?limit=5&cursor=" + page.NextCursor
		}
	}
	assert.Equal(t, strings.Fields("r01 r03 r05 r07 r09 r11 r13 r15 r17 r19 r21 r23"), seen)
	for query, want := range map[string]string{
		"limit=0": "limit: must be 1 to 1000", "limit=1001": "limit: must be", "limit=x": "limit: must be", "limit=1&limit=2": "limit: is there 2 times",
		"cursor=%": "", "cursor=!": "cursor: must be the next_cursor", "cursor=" + strings.Repeat("A", 1000): "cursor: must be", "page=2": "page: is not known",
	} {
		got := a.ask(root, "GET", path+"?"+query, "")
		if want == "" { // not a query at all: it is left out
			assert.Equal(t, 200, got.Code)
			continue
		}
		assert.Equal(t, 400, got.Code)
		assert.Contains(t, strings.Join(got.problems(), "\n"), want)
	}
}

// Large rules make short pages rather than large answers.
func TestPagesAreBoundedInBytes(t *testing.T) {
	a := newAPI(t)
	for i := range 60 {
		var labels []string
		for k := range 30 {
			labels = append(labels, fmt.Sprintf(`"%s%d":%q`, strings.Repeat("k", 200), k, strings.Repeat("v", 250)))
		}
		body := fmt.Sprintf(`{"id":"r%02d","resource":"cpu","type":"percentage","warning":80,"description":%q,"labels":{%s},"channels":[%s"x"]}`,
			i, strings.Repeat("d", 4000), strings.Join(labels, ","), strings.Repeat(fmt.Sprintf("%q,", strings.Repeat("c", 250)), 31))
		require.Equal(t, 201, a.ask(root, "POST", path, body).Code)
	}
	got := a.ask(root, "GET", path+"?limit=1000", "")
	assert.Less(t, got.Body.Len(), 2<<20)
	var page struct {
		Thresholds []any
		NextCursor string `json:"next_cursor"`
	}
	got.decode(&page)
	assert.NotEmpty(t, page.NextCursor)
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{ruleOf("a"), ruleOf("b"), `{}`, `{"id":"x"}`, `{"selector":{"user_id":["a","*"]}}`, `{"\u0069d":"x"}`, `[`} {
		f.Add(s)
	}
	a := newAPI(nil)
	f.Fuzz(func(t *testing.T, body string) {
		a.t = t
		got := a.ask(userA, "POST", path, body, "Content-Type", "application/json")
		assert.Less(t, got.Code, 500)
		for _, e := range a.store.All() {
			assert.Equal(t, threshold.Values{Exact: []string{"a"}}, e.Rule.Selector.UserID, "%s", body)
			assert.NoError(t, a.store.Delete(t.Context(), e.Rule.ID, rulestore.Any))
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("limit=1&cursor=cg", `"x"`, "id")
	a := newAPI(nil)
	f.Fuzz(func(t *testing.T, query, match, id string) {
		a.t = t
		r := httptest.NewRequest("GET", path, http.NoBody)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, r.WithContext(access.With(r.Context(), userA)))
		assert.Contains(t, []int{200, 400}, w.Code)
		r = httptest.NewRequest("DELETE", path+"/x", http.NoBody)
		r.Header["If-Match"] = []string{match}
		r.SetPathValue("id", id)
		w = httptest.NewRecorder()
		a.handler.ServeHTTP(w, r.WithContext(access.With(r.Context(), userA)))
		assert.Equal(t, 404, w.Code)
	})
}
