package source_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse takes a document of ids, one a line, for rules.
func parse(document []byte) ([]*threshold.Rule, error) {
	var rules []*threshold.Rule
	for id := range strings.FieldsSeq(string(document)) {
		if id == "bad" {
			return nil, errors.New("bad rule")
		}
		rules = append(rules, &threshold.Rule{ID: id})
	}
	return rules, nil
}

// run runs src in a bubble, and do with what it delivered so far.
func run(t *testing.T, src source.Source, do func(ctx context.Context, got func() []string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var (
			mu        sync.Mutex
			delivered []string
		)
		done := make(chan struct{})
		go func() {
			defer close(done)
			src.Run(ctx, func(u source.Update) {
				mu.Lock()
				defer mu.Unlock()
				delivered = append(delivered, text(u))
			})
		}()
		do(ctx, func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { delivered = nil }()
			return delivered
		})
		cancel()
		<-done
	})
}

func text(u source.Update) string {
	if u.Err != nil {
		return "error: " + u.Err.Error()
	}
	ids := make([]string, len(u.Rules))
	for i := range u.Rules {
		ids[i] = u.Rules[i].ID
	}
	s := strings.Join(ids, " ")
	if u.Stale {
		s += " (stale)"
	}
	return s
}

const second = time.Second

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.yaml")
	write := func(s string) {
		// Another length or time each: what a file system with coarse times needs.
		require.NoError(t, os.WriteFile(path+".new", []byte(s), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	src := &source.File{Path: path, Interval: second, MaxBytes: 64, Parse: parse}
	assert.Equal(t, "file", src.Name())
	run(t, src, func(_ context.Context, got func() []string) {
		assert.Equal(t, []string{"error: " + path + ": no such file or directory"}, got())
		time.Sleep(5 * second)
		assert.Empty(t, got(), "an error is said once")

		write("a b")
		time.Sleep(second)
		assert.Empty(t, got(), "it may still be written")
		time.Sleep(second)
		assert.Equal(t, []string{"a b"}, got())
		time.Sleep(5 * second)
		assert.Empty(t, got())

		write("a bad c")
		time.Sleep(2 * second)
		assert.Equal(t, []string{"error: " + path + ": bad rule"}, got())
		time.Sleep(5 * second)
		assert.Empty(t, got())

		write("a b")
		time.Sleep(2 * second)
		assert.Equal(t, []string{"a b"}, got(), "it works again")

		require.NoError(t, os.Rename(path, path+".away"))
		time.Sleep(2 * second)
		assert.Equal(t, []string{"error: " + path + ": no such file or directory"}, got())
		require.NoError(t, os.Rename(path+".away", path))
		time.Sleep(2 * second)
		assert.Equal(t, []string{"a b"}, got(), "the same file came back")

		write(strings.Repeat("x", 65))
		time.Sleep(2 * second)
		assert.Equal(t, []string{"error: " + path + ": the document has more than 64 bytes"}, got())
	})
}

// A ConfigMap is a link to a folder that is replaced.
func TestFileBehindLink(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "rules.yaml"), []byte(content), 0o600))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "next")))
		require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")))
	}
	version("v1", "a")
	src := &source.File{Path: filepath.Join(dir, "data", "rules.yaml"), Interval: second, MaxBytes: 64, Parse: parse}
	run(t, src, func(_ context.Context, got func() []string) {
		assert.Equal(t, []string{"a"}, got())
		version("v2", "b")
		time.Sleep(2 * second)
		assert.Equal(t, []string{"b"}, got())
	})
}

// handler answers requests without a network.
type handler func(w http.ResponseWriter, r *http.Request)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h(w, r)
	return w.Result(), nil
}

// copied is a Copy in memory.
type copied struct {
	document []byte
	err      error
}

func (c *copied) Load(context.Context) ([]byte, error) { return c.document, c.err }

func (c *copied) Save(_ context.Context, document []byte) error {
	c.document = document
	return c.err
}

func TestHTTP(t *testing.T) {
	var (
		mu      sync.Mutex // guards all below
		content = "a b"
		status  = http.StatusOK
		asked   int
		sent    int
		keep    copied
	)
	src := &source.HTTP{
		URL: "https://user:secret@rules.example.com/r.yaml?token=secret", Interval: 60 * second, MaxBytes: 64, Parse: parse, Copy: &keep,
		Client: &http.Client{Transport: handler(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			etag := fmt.Sprintf("%q", content)
			w.Header().Set("ETag", etag)
			switch {
			case status != http.StatusOK:
				w.WriteHeader(status)
			case r.Header.Get("If-None-Match") == etag:
				w.WriteHeader(http.StatusNotModified)
			default:
				sent++
				_, _ = w.Write([]byte(content))
			}
		})},
	}
	assert.Equal(t, "http", src.Name())
	serve := func(code int, document string) {
		mu.Lock()
		defer mu.Unlock()
		status, content = code, document
	}
	const place = "https://rules.example.com/r.yaml"
	run(t, src, func(_ context.Context, got func() []string) {
		assert.Equal(t, []string{"a b"}, got())
		assert.Equal(t, "a b", string(keep.document))
		time.Sleep(10 * 60 * second)
		assert.Empty(t, got())
		assert.InDelta(t, 11, asked, 2)
		assert.Equal(t, 1, sent, "what did not change is not sent again")

		serve(http.StatusServiceUnavailable, "a b")
		time.Sleep(10 * 60 * second)
		assert.Equal(t, []string{"error: " + place + " answered 503 Service Unavailable"}, got())
		serve(http.StatusOK, "a b")
		time.Sleep(70 * second)
		assert.Equal(t, []string{"a b"}, got(), "it works again, with nothing new")

		serve(http.StatusOK, "bad")
		time.Sleep(10 * 60 * second)
		assert.Equal(t, []string{"error: " + place + ": bad rule"}, got())
		assert.Equal(t, "a b", string(keep.document), "only what is good is kept")
		serve(http.StatusOK, "a b c")
		time.Sleep(70 * second)
		assert.Equal(t, []string{"a b c"}, got())
		assert.Equal(t, "a b c", string(keep.document))

		serve(http.StatusOK, strings.Repeat("x", 65))
		time.Sleep(70 * second)
		assert.Equal(t, []string{"error: " + place + ": the document has more than 64 bytes"}, got())
	})
}

func TestHTTPStartsFromItsCopy(t *testing.T) {
	for _, c := range []struct {
		name   string
		keep   copied
		want   []string
		failed string
	}{
		{"good", copied{document: []byte("a")}, []string{"a (stale)", "error: https://x.example: no route"}, ""},
		{"none", copied{}, []string{"error: https://x.example: no route"}, ""},
		{"bad", copied{document: []byte("bad")}, []string{"error: https://x.example: no route"}, "the copy of https://x.example cannot be used: bad rule"},
		{"unreadable", copied{err: errors.New("no disk")}, []string{"error: https://x.example: no route"}, "the copy of https://x.example cannot be read: no disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			failed := ""
			src := &source.HTTP{
				URL: "https://x.example", Interval: second, MaxBytes: 64, Parse: parse, Copy: &c.keep,
				Failed: func(err error) { failed = err.Error() },
				Client: &http.Client{Transport: broken{}},
			}
			run(t, src, func(_ context.Context, got func() []string) {
				time.Sleep(5 * second)
				assert.Equal(t, c.want, got())
			})
			assert.Equal(t, c.failed, failed)
		})
	}
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// library is what an API has.
type library struct {
	rules   []*threshold.Rule
	changed chan struct{}
}

func (l *library) ThresholdRules() ([]*threshold.Rule, <-chan struct{}) { return l.rules, l.changed }

func TestAPI(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	lib := &library{rules: []*threshold.Rule{{ID: "a"}}, changed: first}
	src := &source.API{Library: lib}
	assert.Equal(t, "api", src.Name())
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		updates := make(chan string)
		go src.Run(ctx, func(u source.Update) { updates <- text(u) })
		assert.Equal(t, "a", <-updates)
		lib.rules, lib.changed = []*threshold.Rule{{ID: "b"}}, second
		close(first)
		assert.Equal(t, "b", <-updates)
	})
}

// However fast rules change, they are taken over at a pace, and the last ones are.
func TestAPITakesManyChangesAtOnce(t *testing.T) {
	store := rulestore.New(rulestore.Options{Limit: 1000})
	one := threshold.Selector{UserID: threshold.Values{Exact: []string{"a"}}}
	run(t, &source.API{Library: store, Pause: second}, func(_ context.Context, got func() []string) {
		assert.Equal(t, []string{""}, got())
		for i := range 300 {
			_, err := store.Put(t.Context(), &threshold.Rule{ID: strconv.Itoa(i), Selector: one}, rulestore.Absent, rulestore.Author{})
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(second)
		updates := got()
		assert.InDelta(t, 4, len(updates), 1)
		assert.Len(t, strings.Fields(updates[len(updates)-1]), 300)
	})
}

// That nothing changed is no answer to who has nothing.
func TestHTTPNotModifiedUnasked(t *testing.T) {
	src := &source.HTTP{
		URL: "https://x.example", Interval: second, MaxBytes: 64, Parse: parse,
		Client: &http.Client{Transport: handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })},
	}
	run(t, src, func(_ context.Context, got func() []string) {
		time.Sleep(5 * second)
		assert.Equal(t, []string{"error: https://x.example answered 304 Not Modified, which was not asked for"}, got())
	})
}
