package problem

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// ContentType is that of problem details.
const ContentType = "application/problem+json"

// details is the body, as RFC 9457 has it. Its type is about:blank: the title is
// then that of the status.
type details struct {
	Type     string    `json:"type"`
	Title    string    `json:"title"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail"`
	Instance string    `json:"instance,omitempty"`
	Errors   []Invalid `json:"errors,omitempty"`
}

// Write answers a request that failed with err. An error that holds no [*Error] is told
// as an internal one, without a word of it; its instance is in the log, too.
// Nothing may have been written before.
func Write(w http.ResponseWriter, r *http.Request, logger *zap.Logger, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody listens any more
	}
	e := of(err)
	d := details{Type: "about:blank", Title: http.StatusText(e.Status), Status: e.Status, Detail: e.Detail, Errors: e.Invalid}
	fields := []zap.Field{zap.Int("status", e.Status), zap.String("method", r.Method), zap.String("route", r.Pattern), zap.Error(err)}
	if e.Status >= http.StatusInternalServerError {
		d.Instance = uuid.New().URN()
		logger.Error("a request failed", append(fields, zap.String("instance", d.Instance))...)
	} else {
		logger.Debug("a request was refused", fields...)
	}
	body, err := json.Marshal(d)
	if err != nil { // of texts and numbers: it cannot be
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	h := w.Header()
	// What was prepared for an answer that now is not given.
	for _, name := range []string{"Content-Encoding", "Content-Length", "ETag", "Last-Modified", "Link"} {
		h.Del(name)
	}
	maps.Copy(h, e.Header)
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n')) // the client is gone: there is nobody to tell
}

// of returns what the client is told of err.
func of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return New(http.StatusRequestEntityTooLarge, "the body is too large: at most %d bytes", e.Limit)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(http.StatusServiceUnavailable, "it took too long: try again").RetryAfter(0)
	}
	return New(http.StatusInternalServerError, "the server failed to answer: its log says why, under the instance of this problem")
}
