package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// write answers with err, and returns the answer and what was logged.
func write(err error) (*httptest.ResponseRecorder, []observer.LoggedEntry) {
	core, logs := observer.New(zap.DebugLevel)
	w := httptest.NewRecorder()
	w.Header().Set("ETag", `"1"`)
	r := httptest.NewRequest(http.MethodGet, "/api/v1/secret/path?token=x", http.NoBody)
	r.Pattern = "GET /api/v1/secret/{id}"
	problem.Write(w, r, zap.New(core), err)
	return w, logs.All()
}

func TestWhatTheClientSeesAndWhatTheLogSays(t *testing.T) {
	cause := errors.New("dial 10.0.0.7: refused")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		body   string
		header http.Header
		level  zapcore.Level
	}{
		{
			"refused", problem.New(404, "there is no such %s", "rule").Because(cause), 404,
			`{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such rule"}`, nil, zap.DebugLevel,
		},
		{
			"wrapped", fmt.Errorf("list: %w", problem.BadParameter("limit", "must be a number: it is %q", "x")), 400,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"the parameter limit is not valid",
			  "errors":[{"parameter":"limit","detail":"must be a number: it is \"x\""}]}`, nil, zap.DebugLevel,
		},
		{
			"later", problem.New(429, "too many requests").RetryAfter(1500 * time.Millisecond), 429,
			`{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"too many requests"}`,
			http.Header{"Retry-After": {"2"}},
			zap.DebugLevel,
		},
		{
			"body", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 7}), 413,
			`{"type":"about:blank","title":"Request Entity Too Large","status":413,"detail":"the body is too large: at most 7 bytes"}`, nil, zap.DebugLevel,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, logs := write(tt.err)
			assert.Equal(t, tt.status, w.Code)
			assert.JSONEq(t, tt.body, w.Body.String())
			assert.Equal(t, problem.ContentType, w.Header().Get("Content-Type"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, w.Header().Get("ETag"), "it was of another answer")
			for k, v := range tt.header {
				assert.Equal(t, v, w.Header()[k])
			}
			require.Len(t, logs, 1)
			assert.Equal(t, tt.level, logs[0].Level)
			assert.Equal(t, tt.err.Error(), logs[0].ContextMap()["error"])
			assert.Equal(t, "GET /api/v1/secret/{id}", logs[0].ContextMap()["route"])
		})
	}
}

// An error that nobody meant for a client stays in the log, and can be found there.
func TestOthersErrorsStayInTheLog(t *testing.T) {
	for _, err := range []error{
		errors.New("open /etc/secret: denied"),
		problem.New(503, "the storage is full").Because(errors.New("open /etc/secret: denied")),
	} {
		w, logs := write(err)
		assert.NotContains(t, w.Body.String(), "/etc/secret")
		var body struct{ Instance string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Len(t, logs, 1)
		assert.Equal(t, zap.ErrorLevel, logs[0].Level)
		assert.Equal(t, body.Instance, logs[0].ContextMap()["instance"])
		assert.Contains(t, body.Instance, "urn:uuid:")
		assert.Contains(t, logs[0].ContextMap()["error"], "/etc/secret")
	}
}

func TestDeadline(t *testing.T) {
	w, _ := write(fmt.Errorf("query: %w", context.DeadlineExceeded))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "1", w.Header().Get("Retry-After"))
}

func TestNobodyIsThere(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	problem.Write(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(ctx), zap.New(core), ctx.Err())
	assert.Empty(t, w.Body.String())
	assert.Empty(t, logs.All())
}

func TestCause(t *testing.T) {
	cause := errors.New("x")
	err := problem.NotFound("instance").Because(cause)
	require.ErrorIs(t, err, cause)
	assert.Equal(t, "404 Not Found: there is no such instance: x", err.Error())
}
