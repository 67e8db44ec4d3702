package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/watch"
)

// HTTP fetches a document from a URL at intervals. It asks for it only if it
// changed (RFC 9110, 13.1.2), and keeps the last good one, so that rules are in
// force after a restart before the server answers, and while it does not.
type HTTP struct {
	URL      string
	Interval time.Duration
	MaxBytes int64
	Client   *http.Client
	Parse    Parse
	Copy     Copy // nil: nothing outlives the process
	// Failed is told what went wrong with Copy; nil where nobody wants to know.
	Failed func(error)
	// Confirmed is told that the document is still what was delivered; nil as above.
	Confirmed func()
}

// A Copy keeps the last good document. Only Run calls it.
type Copy interface {
	// Load returns what Save was last given; nil where there is nothing.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, document []byte) error
}

// Name returns http.
func (*HTTP) Name() string { return "http" }

// Run delivers the copy, if there is one, and then what the server has.
func (h *HTTP) Run(ctx context.Context, deliver Deliver) {
	defer h.Client.CloseIdleConnections()
	f := fetch{HTTP: h, deliver: deliver}
	f.restore(ctx)
	for {
		f.once(ctx)
		timer := time.NewTimer(jitter(h.Interval))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// place is the URL without what may be secret in it.
func (h *HTTP) place() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return "the URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// jitter is d, give or take a tenth, so that a fleet does not ask all at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // spreads load, protects nothing
}

// fetch is what is known of the document.
type fetch struct {
	*HTTP
	deliver Deliver

	etag    string
	content []byte // last good one
	bad     []byte // last bad one, whose etag is asked for, too: it stays bad
	badErr  error
	failed  string // what was last delivered as an error
}

func (f *fetch) restore(ctx context.Context) {
	if f.Copy == nil {
		return
	}
	content, err := f.Copy.Load(ctx)
	if err != nil {
		f.report(fmt.Errorf("the copy of %s cannot be read: %w", f.place(), err))
		return
	}
	if content == nil {
		return
	}
	rules, err := f.Parse(content)
	if err != nil {
		f.report(fmt.Errorf("the copy of %s cannot be used: %w", f.place(), err))
		return
	}
	f.content = content
	f.deliver(Update{Rules: rules, Stale: true})
}

func (f *fetch) report(err error) {
	if f.Failed != nil {
		f.Failed(err)
	}
}

// once asks the server.
func (f *fetch) once(ctx context.Context) {
	content, changed, err := f.get(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil && !changed && f.badErr != nil:
		err = f.badErr
	case err == nil && !changed:
		if f.failed != "" { // it works again: nothing else did change
			f.accept(ctx, f.content)
		} else if f.Confirmed != nil {
			f.Confirmed()
		}
		return
	case err == nil:
		f.accept(ctx, content)
		return
	}
	f.fail(err)
}

// get returns the document, and whether it is another than last time.
func (f *fetch) get(ctx context.Context) (content []byte, changed bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, http.NoBody)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Accept", "application/yaml, application/json")
	if f.etag != "" {
		req.Header.Set("If-None-Match", f.etag)
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err // without the URL, which may hold a token
		}
		return nil, false, fmt.Errorf("%s: %w", f.place(), err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		if f.etag == "" {
			return nil, false, fmt.Errorf("%s answered %s, which was not asked for", f.place(), resp.Status)
		}
		return nil, false, nil
	case http.StatusOK:
	default:
		return nil, false, fmt.Errorf("%s answered %s", f.place(), resp.Status)
	}
	content, err = watch.ReadBounded(resp.Body, f.MaxBytes)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", f.place(), err)
	}
	f.etag = resp.Header.Get("ETag")
	if f.badErr != nil && bytes.Equal(content, f.bad) {
		return nil, false, nil
	}
	return content, true, nil
}

func (f *fetch) accept(ctx context.Context, content []byte) {
	rules, err := f.Parse(content)
	if err != nil {
		f.bad, f.badErr = content, fmt.Errorf("%s: %w", f.place(), err)
		f.fail(f.badErr)
		return
	}
	f.bad, f.badErr, f.failed = nil, nil, ""
	same := bytes.Equal(content, f.content)
	f.content = content
	f.deliver(Update{Rules: rules})
	if f.Copy != nil && !same {
		if err := f.Copy.Save(ctx, content); err != nil {
			f.report(fmt.Errorf("the copy of %s cannot be written: %w", f.place(), err))
		}
	}
}

// fail delivers an error once, until something else happens.
func (f *fetch) fail(err error) {
	if f.failed == err.Error() {
		return
	}
	f.failed = err.Error()
	f.deliver(Update{Err: err})
}
