package usageapiextension

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is a ResponseRecorder for handlers that set deadlines, as streams do.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }
func (r recorder) Unwrap() http.ResponseWriter    { return r.ResponseRecorder }

// handle has the whole handler answer, as the server has it, but without a connection. The
// client left already: streams end after what they tell at first. A panic is the test's.
func (s *served) handle(method string, u *url.URL, body string, header ...string) answer {
	ctx, leave := context.WithCancel(context.Background())
	leave()
	r := httptest.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	for i := 0; i < len(header); i += 2 {
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := recorder{httptest.NewRecorder()}
	s.server.http.Handler.ServeHTTP(w, r)
	return answer{w.Result(), w.Body.Bytes()}
}

// sendable reports whether the server hands on a text of a header or a request line: what has
// control characters it refuses itself.
func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// FuzzOperations asks every operation of the document, and with other methods than it has,
// with any id in its path, any query, headers and body. Each answer is one that the document
// has for it, and none is a failure of ours. Operations that are added are asked, too.
func FuzzOperations(f *testing.F) {
	const base = `{"id":"cpu-high","resource":"cpu","type":"percentage","warning":80}`
	s := serve(f, func(c *Config) { c.RateLimits.FailedLogins.Burst = -1 })
	s.machines(3)
	s.makeHealthy()
	all := s.check.document.Operations
	methods := []string{"", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "FROB"}
	for i, o := range all {
		n := uint8(i) //nolint:gosec // of a few
		f.Add(n, uint8(0), "cpu-high", "", base, "*", "application/json")
		f.Add(n, uint8(0), "vm-00000", "limit=2&sort=-cpu&fields=id,cpu", `{"id":1}`, `"x"`, "")
		f.Add(n, uint8(2), "..", "cursor=eyJxIjoxfQ&user=*&label=a=b", "[", "", "application/json; charset=utf-8")
		f.Add(n, uint8(8), "a/b%00\xff", "min_cpu=NaN&limit=0&limit=1", "\x00", `W/"1", "2"`, "text/plain")
		for _, p := range o.Parameters {
			if p.In == "query" {
				f.Add(n, uint8(0), "user-0", p.Name+"=1", "", "", "")
				f.Add(n, uint8(0), "org-0", p.Name+"="+p.Name+"&"+p.Name+"=%ff[&"+p.Name, "{}", "", "")
			}
		}
	}
	for _, body := range []string{
		`{"url":"https://example.com/","event_types":["resource_usage"],"filters":{"levels":["critical"]}}`, `{"id":"#?/%","resource":"cpu","type":"percentage","warning":8}`,
		"", "null", "{}", `{"resource":"cpu","resource":"memory"}`, strings.Repeat("[", 1000), strings.Replace(base, "80", "1e999", 1),
		strings.Replace(base, "cpu-high", strings.Repeat("x", 1000), 1), strings.Replace(base, `"warning":80`, `"warning":80,"selector":{"labels":{"":""}}`, 1),
	} {
		for i, o := range all {
			if o.Method == "post" || o.Method == "put" || o.Method == "patch" {
				f.Add(uint8(i), uint8(0), "cpu-high", "", body, "*", "application/json") //nolint:gosec // of a few
			}
		}
	}
	f.Fuzz(func(t *testing.T, operation, other uint8, id, query, body, match, contentType string) {
		if !sendable(query) || !sendable(match) || !sendable(contentType) || strings.ContainsAny(query, " #") {
			return
		}
		o := all[int(operation)%len(all)]
		method := methods[int(other)%len(methods)]
		if method == "" {
			method = strings.ToUpper(o.Method)
		}
		s.rule(t, base)
		raw := o.Path
		for strings.Contains(raw, "{") {
			from, to := strings.Index(raw, "{"), strings.Index(raw, "}")
			raw = raw[:from] + url.PathEscape(id) + raw[to+1:]
		}
		u, err := url.Parse("http://localhost" + raw)
		require.NoError(t, err)
		u.RawQuery = query
		a := s.handle(method, u, body, "If-Match", match, "If-None-Match", match, "Content-Type", contentType, "Last-Event-ID", match, "Accept-Encoding", id)
		if cleaned := path.Clean(u.Path); cleaned != u.Path && a.StatusCode/100 == 3 && a.Header.Get("Location") != "" {
			return // the router says where it is without dots and empty parts
		}
		if a.StatusCode/100 == 5 && o.ID != "getHealth" {
			t.Errorf("%s %s: %d %s", method, u, a.StatusCode, a.body)
		}
		switch {
		case method == http.MethodHead && a.StatusCode >= 400 && o.ID != "getHealth":
			assert.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
		default:
			s.check.answer(t, method, u.EscapedPath(), a)
		}
		if made := a.Header.Get("Location"); made != "" && a.StatusCode == http.StatusCreated {
			to, err := u.Parse(made)
			require.NoError(t, err)
			gone := s.handle(http.MethodDelete, to, "", "If-Match", "*")
			assert.Equal(t, http.StatusNoContent, gone.StatusCode, "%s", gone.body)
		}
	})
}
