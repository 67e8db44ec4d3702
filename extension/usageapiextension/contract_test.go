package usageapiextension

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// The table of routes and the document have the same operations, with the same scopes.
func TestRoutesAndDocumentAgree(t *testing.T) {
	e, err := newExtension(extensiontest.NewNopSettings(metadata.Type), createDefaultConfig().(*Config))
	require.NoError(t, err)
	var have, want []string
	for _, r := range e.routes() {
		have = append(have, strings.ToLower(r.Method)+" "+r.Pattern+" "+r.Operation+" scope "+string(r.Scope))
	}
	for _, o := range newContract(t).document.Operations {
		want = append(want, o.Method+" "+o.Path+" "+o.ID+" scope "+o.Scope)
	}
	slices.Sort(have)
	slices.Sort(want)
	assert.Equal(t, want, have)
	require.NoError(t, e.Shutdown(t.Context()))
}

// Each example of the document is answered as the document says.
func TestExamplesOfTheDocument(t *testing.T) {
	endpoint := newSink(t)
	s := serve(t, local)
	s.machines(1)
	s.makeHealthy()
	hook := s.hookOf(t, endpoint.URL, "x", webhook.Owner{Admin: true})
	s.rule(t, `{"id":"cpu-high","resource":"cpu","type":"percentage","warning":80}`)
	fill := strings.NewReplacer("{id}", "vm-00000", "{user}", "user-0", "{org}", "org-0", "{rule}", "cpu-high", "{webhook}", hook)
	for _, o := range s.check.document.Operations {
		if !strings.EqualFold(o.Method, http.MethodGet) || o.ID == "streamInstances" {
			continue // see the tests of what writes, and of the stream
		}
		require.NotEmpty(t, o.Examples, "%s has no x-examples", o.ID)
		for _, path := range o.Examples {
			t.Run(path, func(t *testing.T) {
				a := s.get(t, fill.Replace(path))
				assert.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
				assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
				if o.Tag != "health" {
					assert.Equal(t, http.StatusNotModified, s.get(t, fill.Replace(path), "If-None-Match", a.Header.Get("ETag")).StatusCode)
				}
			})
		}
	}
}

// The page loads nothing from elsewhere.
func TestDocsStandAlone(t *testing.T) {
	s := serve(t)
	a := s.get(t, "/api/v1/docs")
	page := string(a.body)
	assert.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.NotRegexp(t, `(?i)<(script|link|img|iframe)|src=|@import|url\(`, page)
	for _, o := range s.check.document.Operations {
		assert.Contains(t, page, `id="`+o.ID+`"`)
		assert.Contains(t, page, o.Path)
	}
}

// The document names the members that instances have.
func TestFieldsAreInTheDocument(t *testing.T) {
	s := serve(t)
	s.machines(1)
	var instance map[string]any
	s.get(t, "/api/v1/usage/instances/vm-00000/current").decode(t, &instance)
	for _, f := range view.FieldNames() {
		assert.Contains(t, instance, f)
		var one map[string]any
		s.get(t, "/api/v1/usage/instances/vm-00000/current?fields="+f).decode(t, &one)
		assert.Equal(t, map[string]any{"id": "vm-00000", f: instance[f]}, one)
	}
	assert.Len(t, instance, 1+len(view.FieldNames()))
}

// Whatever is asked, the answer is one that the document has, and no failure of ours.
func FuzzRequests(f *testing.F) {
	for _, path := range []string{
		"/get", "/health?x", "/api/v1/usage/instances?limit=1&cursor=eyJxIjoxfQ", "/api/v1/usage/instances?aggregate=sum&by=label:env",
		"/api/v1/usage/instances/vm-00000/current?fields=cpu,,", "/api/v1/usage/users//current", "/api/v1/usage/orgs/%00/current?name=[",
		"/api/v1/usage/instances?label=a&label=b=c&min_cpu=NaN&sort=--cpu", "/api/v1/usage/instances?%zz", "/..//", "/api/v1/usage/instances/a%2Fb/current",
	} {
		f.Add(path)
	}
	s := serve(f)
	s.machines(3)
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, http.NoBody)
		require.NoError(t, err)
		if r.URL, err = r.URL.Parse(path); err != nil || !strings.HasPrefix(r.URL.Path, "/") || r.URL.Host != s.server.addr.String() || r.URL.Scheme != "http" || r.URL.User != nil {
			return
		}
		if strings.HasSuffix(r.URL.Path, "/stream") || len(path) > 4<<10 {
			return
		}
		s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := s.client.Do(r)
		if err != nil {
			return // the client does not send such a thing
		}
		defer res.Body.Close()
		if res.StatusCode >= 500 && r.URL.Path != "/health" {
			t.Errorf("%q: %d", path, res.StatusCode)
		}
	})
}
