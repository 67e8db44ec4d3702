package resource_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
)

func TestMatches(t *testing.T) {
	tag := resource.Tag(1295)
	assert.Equal(t, `"zz"`, tag)
	for _, tt := range []struct {
		header       []string
		strong, weak bool
	}{
		{nil, false, false},
		{[]string{""}, false, false},
		{[]string{`"zz"`}, true, true},
		{[]string{`W/"zz"`}, false, true},
		{[]string{`"a", "zz"`}, true, true},
		{[]string{`"a"`, `	"zz" `}, true, true},
		{[]string{`*`}, true, true},
		{[]string{`zz`, `"ZZ"`, `"zz`}, false, false},
	} {
		assert.Equal(t, tt.strong, resource.Matches(tt.header, tag, false), "%q", tt.header)
		assert.Equal(t, tt.weak, resource.Matches(tt.header, tag, true), "%q", tt.header)
	}
}

func TestTagsOfWhatIsShownBeside(t *testing.T) {
	one, other := resource.TagOf(1295, []byte("1")), resource.TagOf(1295, []byte("2"))
	assert.NotEqual(t, one, other)
	for _, tt := range []struct {
		header string
		want   bool
	}{
		{one, true},
		{other, true},
		{`"a", ` + one, true},
		{resource.Tag(1295), true},
		{resource.Tag(1294), false},
		{resource.TagOf(1294, []byte("1")), false},
		{resource.TagOf(1295*36, []byte("1")), false},
		{"W/" + one, false},
		{`"zz`, false},
		{"", false},
	} {
		assert.Equal(t, tt.want, resource.MatchesVersion([]string{tt.header}, 1295), tt.header)
	}
	assert.False(t, resource.MatchesVersion(nil, 1295))
}

func TestRead(t *testing.T) {
	e := resource.Expect{What: "a thing", Example: `{"a":1}`, Types: []string{resource.JSON, "application/x+json"}, Accept: "Accept-Patch", MaxBytes: 20}
	read := func(kind, body string) (string, error) {
		r := httptest.NewRequest(http.MethodPatch, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		text, err := resource.Read(httptest.NewRecorder(), r, e)
		return string(text), err
	}
	for _, kind := range []string{"application/json", "application/x+json; charset=utf-8"} {
		text, err := read(kind, " {\"a\":1}\n")
		require.NoError(t, err)
		assert.Equal(t, `{"a":1}`, text)
	}
	for _, tt := range []struct {
		kind, body string
		status     int
		detail     string
	}{
		{"text/plain", "{}", 415, "the body must be a thing in JSON: set Content-Type to application/json or application/x+json"},
		{"application/json", "", 400, "the body is no JSON: unexpected end of JSON input, in byte 0"},
		{"application/json", `{"a":}`, 400, "in byte 6"},
		{"application/json", "{\"\xff\":1}", 400, "the body is no JSON"},
		{"application/json", "[1]", 400, `the body must be a thing, such as {"a":1}`},
	} {
		_, err := read(tt.kind, tt.body)
		p, ok := errors.AsType[*problem.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, tt.status, p.Status)
		assert.Contains(t, p.Detail, tt.detail)
		if tt.status == 415 {
			assert.Equal(t, "application/json, application/x+json", p.Header.Get("Accept-Patch"))
		}
	}
	_, err := read("application/json", strings.Repeat(" ", 21))
	_, ok := errors.AsType[*http.MaxBytesError](err)
	assert.True(t, ok, "%v", err)
}

func TestPointer(t *testing.T) {
	assert.Equal(t, "#", resource.Pointer())
	assert.Equal(t, "#/a/1", resource.Pointer("a", "1"))
	assert.Equal(t, "#/labels/a.b~1c~0%20%C3%A9", resource.Pointer("labels", "a.b/c~ é"))
}

func TestPaging(t *testing.T) {
	ask := func(query string) (int, string, error) {
		return resource.Paging(&http.Request{URL: &url.URL{RawQuery: query}}, 3)
	}
	limit, after, err := ask("")
	require.NoError(t, err)
	assert.Equal(t, 100, limit)
	assert.Empty(t, after)
	limit, after, err = ask("limit=1000&cursor=" + *resource.Cursor("a/b"))
	require.NoError(t, err)
	assert.Equal(t, 1000, limit)
	assert.Equal(t, "a/b", after)
	for query, want := range map[string]problem.Invalid{
		"limit=0":             {Parameter: "limit", Detail: "must be 1 to 1000"},
		"limit=1001":          {Parameter: "limit", Detail: "must be 1 to 1000"},
		"limit=":              {Parameter: "limit", Detail: "must be 1 to 1000"},
		"limit=1&limit=1":     {Parameter: "limit", Detail: "is there 2 times"},
		"cursor=!":            {Parameter: "cursor", Detail: "must be the next_cursor of an earlier answer"},
		"cursor=YWJjZA":       {Parameter: "cursor", Detail: "must be the next_cursor of an earlier answer"},
		"page=2&zzz=1":        {Parameter: "page", Detail: "is not known: there are limit and cursor"},
		"limit=5&cursor=%00a": {Parameter: "cursor", Detail: "must be the next_cursor of an earlier answer"},
	} {
		_, _, err := ask(query)
		p, ok := errors.AsType[*problem.Error](err)
		require.True(t, ok, "%s: %v", query, err)
		assert.Equal(t, []problem.Invalid{want}, p.Invalid, query)
	}
}
