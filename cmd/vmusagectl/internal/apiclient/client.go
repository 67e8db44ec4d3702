// Package apiclient asks the usage API.
package apiclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

const (
	timeout = 60 * time.Second
	maxBody = 64 << 20
)

// Settings of a Client.
type Settings struct {
	Endpoint string // a URL, without a path
	Token    string // an API key, or whatever an authenticator takes as a bearer token; "" for none
	CAFile   string // authorities of the server's certificate; "" for those of the system
	// Insecure allows that Token goes over the network as it is.
	Insecure  bool
	UserAgent string
}

// A Client asks one API. It is safe for concurrent use.
type Client struct {
	settings Settings
	http     *http.Client
}

// New returns a client. Its errors are about the settings.
func New(s Settings) (*Client, error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("--endpoint is %q: write a URL without a path, such as http://127.0.0.1:8080", redacted(s.Endpoint))
	}
	if u.User != nil {
		return nil, fmt.Errorf("--endpoint is %q: leave out the user and the password; an API key goes into --token-file", u.Redacted())
	}
	if u.Scheme == "http" && s.Token != "" && !s.Insecure && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("--endpoint is %q: the API key would go over the network as it is: use https, or --insecure where nobody listens", s.Endpoint)
	}
	s.Endpoint = strings.TrimSuffix(s.Endpoint, "/")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate in PEM", s.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c := &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token is for nobody else
	}}
	return &Client{s, c}, nil
}

// redacted is a text without what may be a password.
func redacted(endpoint string) string {
	if before, after, has := strings.Cut(endpoint, "@"); has {
		if scheme, _, has := strings.Cut(before, "//"); has {
			return scheme + "//...@" + after
		}
		return "...@" + after
	}
	return endpoint
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// An Error is an answer that is none of success.
type Error struct {
	Method, URL string
	Status      int
	Detail      string
	Errors      []struct{ Pointer, Parameter, Detail string }
	RetryAfter  string
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		b.WriteString(": " + render.Printable(e.Detail))
	}
	for _, p := range e.Errors {
		b.WriteString("\n  " + render.Printable(p.Pointer+p.Parameter+": "+p.Detail))
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		b.WriteString("\nsay who you are: --token-file, or the environment variable VMUSAGE_TOKEN, with an API key ('vmusagectl apikey create')")
	case e.RetryAfter != "":
		b.WriteString("\ntry again in " + render.Printable(e.RetryAfter) + " s")
	}
	return b.String()
}

// Wait returns how long to wait before the request is sent again, and false where the answer
// says nothing of that: RFC 9110, 10.2.3, as seconds, which is what the API writes.
func (e *Error) Wait() (time.Duration, bool) {
	n, err := strconv.ParseUint(e.RetryAfter, 10, 32)
	return time.Duration(n) * time.Second, err == nil //nolint:gosec // 32 bits
}

// Get asks for path, decodes the answer into out, and returns when the server says that it
// answered, to the second; the zero time where it does not say.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) (time.Time, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	header, err := c.do(ctx, http.MethodGet, path, nil, out)
	if err != nil {
		return time.Time{}, err
	}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // it does not say
	}
	return date, nil
}

// Do sends a request with in as JSON, where it is not nil, and decodes the answer into out, where
// that is not nil. The error of an answer is an [*Error].
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	_, err := c.do(ctx, method, path, in, out)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.settings.Endpoint+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.settings.UserAgent)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.settings.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.settings.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is the collector running with the usage_api extension at %s?", err, c.settings.Endpoint)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, req.URL, err)
	case len(answer) > maxBody:
		return nil, fmt.Errorf("%s %s: the answer has more than %d MiB", method, req.URL, maxBody>>20)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		e := &Error{}
		_ = json.Unmarshal(answer, e) // what is no problem detail has none
		e.Method, e.URL, e.Status = method, req.URL.Redacted(), resp.StatusCode
		e.RetryAfter = resp.Header.Get("Retry-After")
		return nil, e
	case out == nil:
		return resp.Header, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s answered what is not of the usage API", method, req.URL), err)
	}
	return resp.Header, nil
}
