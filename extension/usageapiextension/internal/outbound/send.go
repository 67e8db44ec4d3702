package outbound

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Request is what is sent, by POST.
type Request struct {
	URL    string
	Header http.Header // not changed, and in canonical form
	Body   []byte      // not changed
}

// A Class says what an outcome means for who sends.
type Class string

// The classes.
const (
	Delivered   Class = "delivered"   // 2xx
	Gone        Class = "gone"        // 410: nothing more is wanted
	Throttled   Class = "throttled"   // 429, 502, 503, 504: later
	Failed      Class = "failed"      // any other answer, redirects included
	Unreachable Class = "unreachable" // no answer
	Forbidden   Class = "forbidden"   // it was not sent: the URL or its address is not allowed
)

// An Outcome is what became of a request.
type Outcome struct {
	Class   Class
	Status  int           // of the answer; 0 where there was none
	Latency time.Duration // until the head of the answer, or the failure
	// Err says what went wrong, in words for who chose the URL: they tell nothing of the network
	// that it was sent from. nil where nothing did.
	Err error
	// Excerpt is how the answer began, as text.
	Excerpt string
	// RetryAfter is how long the answer asks to wait, at most [MaxRetryAfter]; 0 where it does not.
	RetryAfter time.Duration
}

// MaxRetryAfter is how long an endpoint may ask to wait.
const MaxRetryAfter = 24 * time.Hour

// Send makes a request. It never takes much longer than the timeout, and ends early with ctx.
func (c *Client) Send(ctx context.Context, r Request) Outcome {
	u, err := c.parse(r.URL)
	if err != nil { // it was allowed when it was chosen
		return Outcome{Class: Forbidden, Err: err}
	}
	ctx, cancel := c.context(ctx)
	defer cancel()
	header := maps.Clone(r.Header)
	if header == nil {
		header = http.Header{}
	}
	// It is not sent, but says that the request may be: on another connection where one that
	// was kept is closed just when it is used again. Receivers know repeats by their id.
	header["Idempotency-Key"] = nil
	req := (&http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil },
	}).WithContext(ctx)
	start := time.Now()
	// The transport itself follows no redirects, and knows no cookies.
	resp, err := c.transport.RoundTrip(req)
	latency := time.Since(start)
	if err != nil {
		class, said := c.failure(err)
		return Outcome{Class: class, Err: said, Latency: latency}
	}
	defer resp.Body.Close()
	out := Outcome{Status: resp.StatusCode, Latency: latency, Class: classOf(resp.StatusCode)}
	if out.Class == Throttled {
		out.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	out.Err = answered(out)
	if out.Status == http.StatusSwitchingProtocols {
		// What follows is the connection itself, which no context ends.
		return out
	}
	// Whatever follows decides nothing.
	defer time.AfterFunc(drainTimeout, cancel).Stop()
	out.Excerpt = c.excerpt(resp)
	return out
}

func classOf(status int) Class {
	switch {
	case status >= 200 && status < 300:
		return Delivered
	case status == http.StatusGone:
		return Gone
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway,
		status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return Throttled
	default:
		return Failed
	}
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(MaxRetryAfter/time.Second))) * time.Second //nolint:gosec // bounded
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), MaxRetryAfter)
}

// excerpt reads how an answer begins, and some more, so that the connection can be used again.
func (c *Client) excerpt(resp *http.Response) string {
	buf := make([]byte, c.settings.Excerpt)
	n, err := io.ReadFull(resp.Body, buf)
	if err == nil && resp.ContentLength <= int64(len(buf))+drain {
		_, _ = io.CopyN(io.Discard, resp.Body, drain)
	}
	return printable(buf[:n])
}

// printable is text without what a terminal or a log would take for something else.
func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), "?")))
}
