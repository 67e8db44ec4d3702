package hooklisten

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

type listener struct {
	*Handler
	shown, said []string
	enough      int
}

func newListener(change func(*Settings)) *listener {
	l := &listener{}
	s := Settings{
		Status: 204, Now: func() time.Time { return time.Unix(1000, 0) },
		Show:   func(text string) { l.shown = append(l.shown, text) },
		Say:    func(format string, args ...any) { l.said = append(l.said, fmt.Sprintf(format, args...)) },
		Enough: func() { l.enough++ },
	}
	change(&s)
	l.Handler = New(s)
	return l
}

func (l *listener) post(key signing.Secret, id, body string) int {
	r := httptest.NewRequest(http.MethodPost, "/any", strings.NewReader(body))
	at := time.Unix(1000, 0)
	r.Header.Set(signing.HeaderID, id)
	r.Header.Set(signing.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(signing.HeaderSignature, string(signing.Sign(nil, []signing.Secret{key}, id, at, []byte(body))))
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Code
}

func TestListen(t *testing.T) {
	key, err := signing.NewSecret()
	require.NoError(t, err)
	other, err := signing.NewSecret()
	require.NoError(t, err)
	l := newListener(func(s *Settings) { s.Secrets = []signing.Secret{key} })
	body := `{"event_type":"test","timestamp":"2026-11-25T00:00:00Z","data":{"message":"hi\u001b[31m"}}`
	assert.Equal(t, 204, l.post(key, "a", body))
	assert.Equal(t, 204, l.post(key, "a", body))
	assert.Equal(t, 401, l.post(other, "b", body))
	assert.Equal(t, 204, l.post(key, "c\x1b[31m", "no JSON\x1b[31m"))
	require.Len(t, l.shown, 2)
	assert.Equal(t, "2026-11-25T00:00:00Z  test  a\n  {\"message\":\"hi\\u001b[31m\"}\n", l.shown[0])
	assert.NotContains(t, l.shown[1], "\x1b", "nothing that a terminal obeys")
	require.Len(t, l.said, 2)
	assert.Contains(t, l.said[0], "a once more")
	assert.Contains(t, l.said[1], "not genuine: no signature is one of the secret")

	r := httptest.NewRecorder()
	l.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, 405, r.Code)
	r = httptest.NewRecorder()
	l.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", maxBody+1))))
	assert.Equal(t, 400, r.Code)
}

func TestCount(t *testing.T) {
	l := newListener(func(s *Settings) { s.Unsigned, s.JSON, s.Count, s.Status = true, true, 2, 503 })
	for i := range 3 {
		assert.Equal(t, 503, l.post(signing.Secret{}, strconv.Itoa(i), "{\n\"a\": 1}\n"))
	}
	assert.Equal(t, []string{"{\"a\": 1}\n", "{\"a\": 1}\n"}, l.shown)
	assert.Equal(t, 1, l.enough)
}

func TestRememberedIsBounded(t *testing.T) {
	l := newListener(func(s *Settings) { s.Unsigned = true })
	for i := range remembered + 10 {
		l.repeated(strconv.Itoa(i))
	}
	assert.Len(t, l.seen, remembered)
	assert.False(t, l.repeated("0"))
	assert.True(t, l.repeated(strconv.Itoa(remembered)))
}
