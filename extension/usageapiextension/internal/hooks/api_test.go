package hooks_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

const someSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestOneWebhook(t *testing.T) {
	a := newAPI(t)
	created := a.ask(userA, "POST", path, `{"url":"https://example.com/hook?token=t","event_types":["threshold_violation","resource_usage","resource_usage"],
		"description":"ours","filters":{"instance_ids":["vm-2","vm-1","vm-1"],"levels":["critical"],"labels":{"tier":"gold"},"user_ids":null}}`)
	require.Equal(t, 201, created.Code, "%s", created.Body)
	h := created.hook()
	assert.Equal(t, path+"/"+h.ID, created.Header().Get("Location"))
	assert.Equal(t, "no-store", created.Header().Get("Cache-Control"))
	_, err := signing.ParseSecret(h.Secret)
	require.NoError(t, err)
	assert.Equal(t, "registered", h.Status)
	assert.Nil(t, h.Reason)
	assert.Equal(t, "https://example.com/hook?token=t", h.URL)
	assert.Equal(t, []string{"resource_usage", "threshold_violation"}, h.EventTypes)
	assert.Equal(t, map[string]any{"instance_ids": []any{"vm-1", "vm-2"}, "levels": []any{"critical"}, "labels": map[string]any{"tier": "gold"}}, h.Filters)
	assert.WithinDuration(t, time.Now(), h.RegisteredAt, time.Minute)
	assert.Equal(t, map[string]any{"user_id": "a", "org_id": nil, "admin": false}, h.Owner)
	assert.Equal(t, "a", h.CreatedBy)
	assert.Empty(t, h.PreviousSecrets)

	one, etag := created.Header().Get("Location"), created.Header().Get("ETag")
	got := a.ask(userA, "GET", one, "")
	require.Equal(t, 200, got.Code)
	assert.Equal(t, etag, got.Header().Get("ETag"))
	assert.Equal(t, "private, no-cache", got.Header().Get("Cache-Control"))
	again := got.hook()
	assert.Empty(t, again.Secret, "it is shown once")
	again.Secret = h.Secret
	assert.Equal(t, h, again)
	assert.Equal(t, 304, a.ask(userA, "GET", one, "", "If-None-Match", "W/"+etag).Code)
	assert.Equal(t, 200, a.ask(userA, "GET", one, "", "If-None-Match", `"x"`).Code)
	assert.Equal(t, 200, a.ask(userA, "HEAD", one, "").Code)

	patched := a.ask(userA, "PATCH", one, `{"status":"paused"}`, "If-Match", etag, "Content-Type", "application/merge-patch+json")
	require.Equal(t, 200, patched.Code, "%s", patched.Body)
	assert.Equal(t, "paused", patched.hook().Status)
	assert.NotEqual(t, etag, patched.Header().Get("ETag"))
	assert.Equal(t, 412, a.ask(userA, "PATCH", one, `{}`, "If-Match", etag).Code, "two writers notice each other")
	assert.Equal(t, 412, a.ask(userA, "PATCH", one, `{}`, "If-Match", "").Code, "that is no version")
	assert.Equal(t, 412, a.ask(userA, "DELETE", one, "", "If-Match", etag).Code)
	assert.Equal(t, 200, a.ask(userA, "PATCH", one, `{"status":"registered"}`, "If-Match", "*").Code)
	assert.Equal(t, 200, a.ask(userA, "PATCH", one, `{"description":null}`).Code, "who does not say which changes any")
	assert.Equal(t, 405, a.ask(userA, "PUT", one, plain).Code)

	assert.Equal(t, 204, a.ask(userA, "DELETE", one, "").Code)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		assert.Equal(t, 404, a.ask(userA, method, one, "{}").Code, method)
	}
	assert.Empty(t, a.engine.List())
}

// What is shown beside a webhook changes its tag, and not what a change goes by.
func TestTagsWithDeliveries(t *testing.T) {
	a := newAPI(t)
	h := a.create(userA, plain)
	one := path + "/" + h.ID
	before := a.ask(userA, "GET", one, "").Header().Get("ETag")
	require.Equal(t, 200, a.ask(userA, "POST", one+"/test", "").Code)
	now := a.ask(userA, "GET", one, "", "If-None-Match", before)
	require.Equal(t, 200, now.Code)
	assert.NotNil(t, now.hook().Deliveries["last_success"])
	assert.NotEqual(t, before, now.Header().Get("ETag"))
	assert.Equal(t, 200, a.ask(userA, "PATCH", one, `{"description":"x"}`, "If-Match", before).Code)
}

func TestMergePatch(t *testing.T) {
	for _, tt := range []struct {
		patch string
		types []string
		want  map[string]any
	}{
		{`{}`, nil, map[string]any{"instance_ids": []any{"vm-1"}, "labels": map[string]any{"a": "1", "b": "2"}}},
		{`{"filters":{}}`, nil, map[string]any{"instance_ids": []any{"vm-1"}, "labels": map[string]any{"a": "1", "b": "2"}}},
		{`{"filters":null}`, nil, map[string]any{}},
		{`{"filters":{"instance_ids":null}}`, nil, map[string]any{"labels": map[string]any{"a": "1", "b": "2"}}},
		{`{"filters":{"instance_ids":[]}}`, nil, map[string]any{"labels": map[string]any{"a": "1", "b": "2"}}},
		{`{"filters":{"instance_ids":["vm-2","vm-3"]}}`, nil, map[string]any{"instance_ids": []any{"vm-2", "vm-3"}, "labels": map[string]any{"a": "1", "b": "2"}}},
		{`{"filters":{"labels":{"a":null,"b":"3","c":"4"}}}`, nil, map[string]any{"instance_ids": []any{"vm-1"}, "labels": map[string]any{"b": "3", "c": "4"}}},
		{`{"filters":{"labels":null,"levels":["warning"],"user_ids":["u"],"org_ids":[""]}}`, nil, map[string]any{
			"instance_ids": []any{"vm-1"}, "levels": []any{"warning"}, "user_ids": []any{"u"}, "org_ids": []any{""},
		}},
		{`{"event_types":["metrics"],"filters":null}`, []string{"metrics"}, map[string]any{}},
	} {
		a := newAPI(t)
		h := a.create(root, with(`"filters":{"instance_ids":["vm-1"],"labels":{"b":"2","a":"1"}}`))
		got := a.ask(root, "PATCH", path+"/"+h.ID, tt.patch)
		require.Equal(t, 200, got.Code, "%s", got.Body)
		if tt.types == nil {
			tt.types = h.EventTypes
		}
		assert.Equal(t, tt.want, got.hook().Filters, tt.patch)
		assert.Equal(t, tt.types, got.hook().EventTypes, tt.patch)
		assert.Equal(t, h.URL, got.hook().URL, tt.patch)
	}
}

func TestSecrets(t *testing.T) {
	a := newAPI(t)
	given := a.ask(userA, "POST", path, with(`"secret":"`+someSecret+`"`))
	require.Equal(t, 201, given.Code)
	assert.NotContains(t, given.Body.String(), "secret\":\"whsec", "who chose it knows it")
	one := path + "/" + given.hook().ID
	keys := func() (texts []string) {
		v, err := a.engine.Get(given.hook().ID)
		require.NoError(t, err)
		for _, s := range v.Secrets {
			texts = append(texts, s.Key.Reveal())
		}
		return texts
	}
	assert.Equal(t, []string{someSecret}, keys())

	rotated := a.ask(userA, "PATCH", one, `{"rotate_secret":true}`)
	require.Equal(t, 200, rotated.Code, "%s", rotated.Body)
	assert.Equal(t, "no-store", rotated.Header().Get("Cache-Control"))
	second := rotated.hook().Secret
	assert.Equal(t, []string{second, someSecret}, keys())
	require.Len(t, rotated.hook().PreviousSecrets, 1)
	assert.WithinDuration(t, time.Now().Add(time.Hour), rotated.hook().PreviousSecrets[0].Until, time.Minute, "the configured overlap")
	assert.NotContains(t, a.ask(userA, "GET", one, "").Body.String(), "whsec_")
	assert.NotContains(t, a.ask(userA, "GET", path, "").Body.String(), "whsec_")

	third := a.ask(userA, "PATCH", one, `{"rotate_secret":true,"secret_overlap":"30m"}`).hook()
	assert.WithinDuration(t, time.Now().Add(30*time.Minute), third.PreviousSecrets[0].Until, time.Minute)
	back := a.ask(userA, "PATCH", one, `{"secret":"`+someSecret+`","secret_overlap":"168h"}`)
	require.Equal(t, 200, back.Code)
	assert.Empty(t, back.hook().Secret)
	assert.Equal(t, []string{someSecret, third.Secret, second}, keys(), "one that is there already does not sign twice")
	same := a.ask(userA, "PATCH", one, `{"secret":"`+someSecret+`"}`).hook()
	assert.Len(t, same.PreviousSecrets, 2)
	assert.Equal(t, []string{someSecret, third.Secret, second}, keys(), "the same again is no new one")
	ended := a.ask(userA, "PATCH", one, `{"rotate_secret":true,"secret_overlap":"0s"}`).hook()
	assert.Empty(t, ended.PreviousSecrets, "at once")
}

// Everything that may be wrong with a body, with the place and the remedy.
func TestBodies(t *testing.T) {
	types := "there are instance_lifecycle, metrics, pipeline_alert, resource_usage, threshold_violation"
	many := `["` + strings.Repeat(`x","`, 100) + `x"]`
	for _, tt := range []struct {
		body   string
		status int
		want   []string
	}{
		{`{}`, 422, []string{"#/url: is missing: say where to send events", "#/event_types: is missing: say which events to send: instance_lifecycle"}},
		{`{"ulr":"https://example.com","event_type":["metrics"]}`, 422, []string{"#/ulr: is not known: do you mean url?", "#/event_types: do"}},
		{`{"url":"http://example.com","event_types":["metrics"]}`, 400, []string{`#/url: is refused: its scheme is "http": use https`}},
		{`{"url":"https://169.254.169.254/latest","event_types":["metrics"]}`, 400, []string{"#/url: is refused: its address is not one of the public network"}},
		{`{"url":"https://localhost/","event_types":["metric"],"secret":"x"}`, 400, []string{"#/url: is refused", "#/event_types/0", "#/secret"}},
		{`{"url":"","event_types":["metrics"]}`, 400, []string{"#/url: is refused"}},
		{`{"url":7,"event_types":"metrics"}`, 422, []string{"#/url: is a number: it must be a text", "#/event_types: is a text: it must be a list of texts"}},
		{`{"url":null,"event_types":null}`, 422, []string{"#/url: is missing", "#/event_types: is missing"}},
		{`{"url":"https://example.com","event_types":[]}`, 422, []string{"#/event_types: is empty: " + types}},
		{`{"url":"https://example.com","event_types":["metrics","usage",1]}`, 422, []string{`#/event_types/1: is "usage": ` + types, "#/event_types/2: is a number"}},
		{`{"url":"https://example.com","event_types":["test"]}`, 422, []string{`#/event_types/0: is "test": ` + types}},
		{with(`"url":"https://example.org"`), 422, []string{"#/url: is there twice"}},
		{with(`"id":"x"`), 422, []string{"#/id: is set by the server: leave it out"}},
		{with(`"rotate_secret":true`), 422, []string{"#/rotate_secret: is not known: there are url"}},
		{with(`"secret":"hunter2hunter2"`), 422, []string{"#/secret: is not valid: a secret begins with whsec_"}},
		{with(`"secret":"whsec_c2hvcnQ="`), 422, []string{"#/secret: is not valid: a secret has 24 to 64 bytes, and this one has 5"}},
		{with(`"secret":{}`), 422, []string{"#/secret: is an object: it must be a text"}},
		{with(`"description":"` + strings.Repeat("x", 1025) + `"`), 422, []string{"#/description: has 1025 bytes: at most 1024"}},
		{with(`"description":"a\u0007"`), 422, []string{"#/description: must have no control characters"}},
		{with(`"filters":[]`), 422, []string{"#/filters: is a list: it must be an object"}},
		{with(`"filters":{"instance_id":["x"]}`), 422, []string{"#/filters/instance_id: is not known: do you mean instance_ids?"}},
		{with(`"filters":{"id":["x"]}`), 422, []string{"#/filters/id: is not known: there are instance_ids, user_ids, org_ids, levels, labels"}},
		{with(`"filters":{"instance_ids":["ok",""]}`), 422, []string{"#/filters/instance_ids/1: must not be empty"}},
		{with(`"filters":{"instance_ids":` + many + `}`), 422, []string{"#/filters/instance_ids: has 101 values: at most 100"}},
		{with(`"filters":{"user_ids":[true]}`), 422, []string{"#/filters/user_ids/0: is true: it must be a text"}},
		{with(`"filters":{"org_ids":["` + strings.Repeat("x", 257) + `"]}`), 422, []string{"#/filters/org_ids/0: has 257 bytes: at most 256"}},
		{with(`"filters":{"levels":["warning","ok","high"]}`), 422, []string{`#/filters/levels/1: is "ok": there are warning and critical`, "#/filters/levels/2"}},
		{with(`"filters":{"labels":["a"]}`), 422, []string{"#/filters/labels: is a list: it must be an object"}},
		{with(`"filters":{"labels":{"a/b":1,"":"x"}}`), 422, []string{"#/filters/labels/a~1b: is a number: it must be a text", "#/filters/labels/: must have a key of 1 to 256 bytes"}},
		{with(`"filters":{"labels":{` + labels(17) + `}}`), 422, []string{"#/filters/labels: would be 17: at most 16"}},
		{with(`"filters":{"instance_ids":` + ids("i") + `,"user_ids":` + ids("u") + `}`), 422, []string{"#/filters: would have 20380 bytes: at most 16384"}},
		{`[]`, 400, nil},
		{`{"url":}`, 400, nil},
		{strings.Repeat(`[`, 20_000), 400, nil},
		{with(`"description":"` + strings.Repeat("x", 64<<10) + `"`), 413, nil},
	} {
		a := newAPI(t)
		got := a.ask(root, "POST", path, tt.body)
		assert.Equal(t, tt.status, got.Code, "%.90s: %s", tt.body, got.Body)
		all := strings.Join(got.problems(), "\n")
		for _, want := range tt.want {
			if want == "#/event_types: do" {
				assert.NotContains(t, all, "is missing", "what was meant is not missing, too")
				continue
			}
			assert.Contains(t, all, want, "%.90s", tt.body)
		}
		assert.NotContains(t, got.Body.String(), "hunter2")
		assert.Empty(t, a.engine.List(), "nothing of what is wrong is registered")
	}
}

func TestPatchBodies(t *testing.T) {
	a := newAPI(t)
	one := path + "/" + a.create(root, with(`"filters":{"labels":{`+labels(16)+`}}`)).ID
	before := a.ask(root, "GET", one, "").Header().Get("ETag")
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"url":null}`, 422, "#/url: must not be null: a webhook has a URL"},
		{`{"url":"https://10.0.0.1/"}`, 400, "#/url: is refused: its address is not one of the public network"},
		{`{"event_types":null}`, 422, "#/event_types: must not be null"},
		{`{"event_types":[]}`, 422, "#/event_types: is empty"},
		{`{"status":null}`, 422, "#/status: must not be null"},
		{`{"status":"disabled"}`, 422, `#/status: is "disabled": write "paused" to pause, and "registered" to go on`},
		{`{"status":1}`, 422, "#/status: is a number"},
		{`{"secret":null}`, 422, `#/secret: must not be null: a webhook has a secret: for a new one write "rotate_secret": true`},
		{`{"secret":"` + someSecret + `","rotate_secret":true}`, 422, "#/rotate_secret: makes a new secret, and there is one in secret"},
		{`{"rotate_secret":"yes"}`, 422, "#/rotate_secret: is a text: it must be true or false"},
		{`{"secret_overlap":"1h"}`, 422, `#/secret_overlap: is for how long the old secret signs beside a new one`},
		{`{"secret_overlap":"1h","rotate_secret":false}`, 422, `#/secret_overlap: is for how long`},
		{`{"rotate_secret":true,"secret_overlap":"169h"}`, 422, `#/secret_overlap: is "169h": write a number and a unit, such as 30m or 24h, at most 168h0m0s`},
		{`{"rotate_secret":true,"secret_overlap":"-1s"}`, 422, `#/secret_overlap: is "-1s"`},
		{`{"rotate_secret":true,"secret_overlap":3600}`, 422, `#/secret_overlap: is a number`},
		{`{"filters":{"labels":{"new":"x"}}}`, 422, "#/filters/labels: would be 17: at most 16"},
		{`{"filters":{"instance_ids":` + ids("i") + `,"user_ids":` + ids("u") + `}}`, 422, "#/filters: would have 20434 bytes: at most 16384"},
		{`{"statsu":"paused"}`, 422, "#/statsu: is not known: do you mean status?"},
		{`{"owner":{}}`, 422, "#/owner: is set by the server"},
	} {
		got := a.ask(root, "PATCH", one, tt.body)
		assert.Equal(t, tt.status, got.Code, "%s: %s", tt.body, got.Body)
		assert.Contains(t, strings.Join(got.problems(), "\n"), tt.want, "%s", tt.body)
	}
	assert.Equal(t, before, a.ask(root, "GET", one, "").Header().Get("ETag"), "nothing was changed")
	refused := a.ask(root, "PATCH", one, `{}`, "Content-Type", "text/plain")
	assert.Equal(t, 415, refused.Code)
	assert.Equal(t, "application/merge-patch+json, application/json", refused.Header().Get("Accept-Patch"))
	assert.Equal(t, 415, a.ask(root, "POST", path, plain, "Content-Type", "application/merge-patch+json").Code)
	assert.Equal(t, 200, a.ask(root, "PATCH", one, `{"filters":{"labels":{"l0":null,"new":"x"}}}`).Code)
}

// ids returns a hundred of them, of about a hundred bytes each.
func ids(prefix string) string {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("%q", strings.Repeat(prefix, 100)+strconv.Itoa(i)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func labels(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"l%d":"x"`, i))
	}
	return strings.Join(all, ",")
}

// A webhook is there for who sees all that it hears of, and for nobody else.
func TestOwnWebhooks(t *testing.T) {
	a := newAPI(t)
	byName := map[string]string{}
	for _, p := range []*access.Principal{userA, userB, orgO, both, root} {
		byName[p.Name] = a.create(p, plain).ID
	}
	assert.Equal(t, 403, a.ask(nothing, "POST", path, plain).Code)
	for _, tt := range []struct {
		p    *access.Principal
		want string
	}{
		{userA, "a"}, {userB, "b"}, {orgO, "o"}, {both, "a o both"}, {root, "a b o both root"}, {nothing, ""},
	} {
		var list struct{ Webhooks []hook }
		a.ask(tt.p, "GET", path, "").decode(&list)
		var names []string
		for _, h := range list.Webhooks {
			names = append(names, h.CreatedBy)
		}
		assert.Equal(t, strings.Fields(tt.want), append([]string{}, names...), tt.p.Name)
		for name, id := range byName {
			seen := strings.Contains(" "+tt.want+" ", " "+name+" ")
			for method, end := range map[string]string{"GET": "", "PATCH": "", "GET ": "/deliveries", "POST": "/test", "POST ": "/deliveries/1/resend", "DELETE": ""} {
				if seen && method == "DELETE" {
					continue
				}
				got := a.ask(tt.p, strings.TrimSpace(method), path+"/"+id+end, `{}`)
				if seen && strings.HasSuffix(end, "resend") { // of a test, or of nothing
					assert.NotContains(t, got.Body.String(), "no such webhook")
					continue
				}
				if seen {
					assert.Less(t, got.Code, 300, "%s %s %s%s: %s", tt.p.Name, method, name, end, got.Body)
					continue
				}
				assert.Equal(t, 404, got.Code, "%s %s %s%s", tt.p.Name, method, name, end)
				not := a.ask(tt.p, strings.TrimSpace(method), path+"/none"+end, `{}`)
				assert.Equal(t, not.Body.String(), got.Body.String(), "what is not yours does not exist")
				assert.Equal(t, not.Header(), got.Header())
			}
		}
	}
	assert.Equal(t, 204, a.ask(root, "DELETE", path+"/"+byName["a"], "").Code)
}

// Filters by somebody else's ids would hear of nothing, and tell nothing: the answer is the same whether
// the ids are somebody's or not.
func TestFiltersOfOthers(t *testing.T) {
	a := newAPI(t)
	a.create(userB, plain)
	ask := func(p *access.Principal, filters string) answer {
		return a.ask(p, "POST", path, with(`"filters":`+filters))
	}
	for _, tt := range []struct {
		p       *access.Principal
		filters string
		status  int
		want    string
	}{
		{userA, `{"user_ids":["a"]}`, 201, ""},
		{userA, `{"user_ids":["a","b","nobody"]}`, 403, "#/filters/user_ids/1: must be \"a\", or be left out\n#/filters/user_ids/2: must be \"a\", or be left out"},
		{userA, `{"org_ids":["o","p"]}`, 201, ""},
		{orgO, `{"user_ids":["a","b"]}`, 201, ""},
		{orgO, `{"org_ids":["p"]}`, 403, `#/filters/org_ids/0: must be "o", or be left out`},
		{both, `{"user_ids":["b"],"org_ids":["p"]}`, 201, ""},
		{root, `{"user_ids":["b"],"org_ids":["p"]}`, 201, ""},
	} {
		got := ask(tt.p, tt.filters)
		assert.Equal(t, tt.status, got.Code, "%s %s: %s", tt.p.Name, tt.filters, got.Body)
		if tt.want != "" {
			assert.Equal(t, tt.want, strings.Join(got.problems(), "\n"))
		}
	}
	h := a.create(userA, plain)
	assert.Equal(t, 403, a.ask(userA, "PATCH", path+"/"+h.ID, `{"filters":{"user_ids":["b"]}}`).Code)
	assert.Equal(t, 403, a.ask(both, "PATCH", path+"/"+h.ID, `{"filters":{"user_ids":["b"]}}`).Code, "it goes by whose it is")
	assert.Equal(t, 200, a.ask(root, "PATCH", path+"/"+h.ID, `{"filters":{"user_ids":["b"]}}`).Code)
	assert.Equal(t, 200, a.ask(userA, "PATCH", path+"/"+h.ID, `{"description":"x"}`).Code, "what is there is left alone")
}

func TestBoundsAndStorage(t *testing.T) {
	a := newAPI(t)
	for range 3 {
		a.create(userA, plain)
	}
	got := a.ask(userA, "POST", path, plain)
	assert.Equal(t, 409, got.Code)
	assert.Contains(t, got.Body.String(), "there are too many webhooks of yours: at most 3")
	a.create(userB, plain)
	for range 96 {
		a.create(root, plain)
	}
	got = a.ask(root, "POST", path, plain)
	assert.Equal(t, 409, got.Code)
	assert.Contains(t, got.Body.String(), "there are too many webhooks: at most 100")

	one := path + "/" + a.engine.List()[0].ID
	require.Equal(t, 204, a.ask(root, "DELETE", path+"/"+a.engine.List()[99].ID, "").Code)
	before := a.engine.List()
	a.set(func() { a.full = errDisk })
	for _, got := range []answer{
		a.ask(root, "POST", path, plain), a.ask(userA, "PATCH", one, `{"status":"paused"}`), a.ask(userA, "DELETE", one, ""),
	} {
		assert.Equal(t, 503, got.Code)
		assert.Equal(t, "5", got.Header().Get("Retry-After"))
		assert.NotContains(t, got.Body.String(), "/var/lib")
	}
	assert.Equal(t, before, a.engine.List())
	a.set(func() { a.full = nil })
}

func TestPages(t *testing.T) {
	a := newAPI(t)
	var want []string
	for i := range 20 {
		h := a.create(root, with(fmt.Sprintf(`"description":"%d"`, i)))
		want = append(want, h.ID)
	}
	var seen []string
	for next, pages := path+"?limit=6", 0; next != ""; pages++ {
		require.Less(t, pages, 4)
		var page struct {
			Webhooks   []hook
			NextCursor string `json:"next_cursor"`
		}
		a.ask(root, "GET", next, "").decode(&page)
		for _, h := range page.Webhooks {
			seen = append(seen, h.ID)
		}
		if pages == 0 { // what goes meanwhile moves nothing
			require.Equal(t, 204, a.ask(root, "DELETE", path+"/"+seen[5], "").Code)
		}
		next = ""
		if page.NextCursor != "" {
			next = path + "?limit=6&cursor=" + page.NextCursor
		}
	}
	assert.Equal(t, want, seen)
	for query, want := range map[string]string{
		"limit=0": "limit: must be 1 to 1000", "cursor=!": "cursor: must be the next_cursor", "cursor=YWJj": "cursor: must be the next_cursor",
		"cursor=fiB3aA": "cursor: must be the next_cursor", "page=2": "page: is not known: there are limit and cursor",
	} {
		got := a.ask(root, "GET", path+"?"+query, "")
		assert.Equal(t, 400, got.Code)
		assert.Contains(t, strings.Join(got.problems(), "\n"), want)
	}
}

// Large webhooks make short pages rather than large answers.
func TestPagesAreBoundedInBytes(t *testing.T) {
	a := newAPI(t)
	var some []string
	for i := range 10 {
		some = append(some, fmt.Sprintf(`"%d%s":"%s"`, i, strings.Repeat("k", 250), strings.Repeat("v", 256)))
	}
	large := strings.Join(some, ",")
	for range 95 {
		a.create(root, with(`"filters":{"instance_ids":`+ids("i")+`,"labels":{`+large+`}},"description":"`+strings.Repeat("d", 1024)+`"`))
	}
	got := a.ask(root, "GET", path+"?limit=1000", "")
	assert.Less(t, got.Body.Len(), 2<<20)
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	got.decode(&page)
	assert.NotEmpty(t, page.NextCursor)
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		plain, `{}`, `[`, with(`"secret":"` + someSecret + `"`), with(`"filters":{"labels":{"a":null},"user_ids":["a"],"levels":[]}`),
		`{"status":"paused","rotate_secret":true,"secret_overlap":"1h"}`, `{"filters":null,"url":null}`, `{"\u0075rl":"x","url":"y"}`,
	} {
		f.Add(s)
	}
	a := newAPI(f)
	f.Fuzz(func(t *testing.T, body string) {
		a.t = t
		created := a.ask(userA, "POST", path, body, "Content-Type", "application/json")
		assert.Less(t, created.Code, 500, "%s", created.Body)
		h := a.create(userA, plain)
		patched := a.ask(userA, "PATCH", path+"/"+h.ID, body, "Content-Type", "application/json")
		assert.Less(t, patched.Code, 500, "%s", patched.Body)
		for _, v := range a.engine.List() {
			assert.Subset(t, []string{"a"}, v.Filter.UserIDs, "%s", body)
			assert.NotEmpty(t, v.Types, "%s", body)
			assert.NotEmpty(t, v.Secrets)
			assert.LessOrEqual(t, len(v.Filter.Labels), 16)
			got := a.ask(userA, "GET", path+"/"+v.ID, "")
			assert.Equal(t, 200, got.Code)
			assert.NotContains(t, got.Body.String(), v.Secrets[0].Key.Reveal())
			assert.NoError(t, a.engine.Delete(context.Background(), v.ID, 0))
		}
	})
}
