package signing_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// known is the example of the specification of Standard Webhooks.
const (
	knownSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	knownID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	knownBody      = `{"test": 2432232314}`
	knownSeconds   = 1614265330
	legacyAnswer   = "e2cb4f5251572539d458bfb8a7adb533b08801e6a794467e06f771debbb0818b"
	knownSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t testing.TB, text string) signing.Secret {
	s, err := signing.ParseSecret(text)
	require.NoError(t, err)
	return s
}

func TestKnownAnswer(t *testing.T) {
	s := secret(t, knownSecret)
	got := signing.Sign(nil, []signing.Secret{s}, knownID, time.Unix(knownSeconds, 999), []byte(knownBody))
	assert.Equal(t, knownSignature, string(got))
	// echo -n '{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0
	assert.Equal(t, legacyAnswer, signing.Legacy(s, []byte(knownBody)))
}

func TestParseSecret(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, tt := range []struct{ text, want string }{
		{"whsec_" + key(24), ""},
		{"whsec_" + key(25), ""},
		{"whsec_" + strings.TrimRight(key(25), "="), ""},
		{"whsec_" + key(64), ""},
		{"whsec_" + key(23), "24 to 64 bytes, and this one has 23"},
		{"whsec_" + key(65), "this one has 65"},
		{"whsec_", "this one has 0"},
		{key(32), "begins with whsec_"},
		{"WHSEC_" + key(32), "begins with whsec_"},
		{"whsec_" + key(32) + "!", "not base64"},
		{"whsec_-_-_" + key(32), "not base64"},
		{"whsec_" + key(24) + "=", "not base64"},
		{"whsec_" + key(25) + "==", "not base64"},
		{"whsec_" + key(25)[:34] + "=", "not base64"},
		{"whsec_" + key(25)[:33] + "B==", "not base64"}, // bits that are of no byte
		{"whsec_" + key(24)[:8] + "\n" + key(24)[8:], "not base64"},
		{"whsec_" + key(24) + "\r\n", "not base64"},
		{"", "begins with"},
	} {
		s, err := signing.ParseSecret(tt.text)
		if tt.want == "" {
			require.NoError(t, err, tt.text)
			assert.Equal(t, strings.TrimRight(tt.text, "="), strings.TrimRight(s.Reveal(), "="))
			continue
		}
		require.ErrorContains(t, err, tt.want, tt.text)
		if len(tt.text) > 6 {
			assert.NotContains(t, err.Error(), tt.text[6:])
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	s, err := signing.NewSecret()
	require.NoError(t, err)
	key := strings.TrimPrefix(s.Reveal(), "whsec_")
	raw, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	in := struct {
		S    signing.Secret
		P    *signing.Secret
		L    []signing.Secret
		In   any
		s    signing.Secret // of which fmt asks no method
		more map[string]signing.Secret
	}{s, &s, []signing.Secret{s}, s, s, map[string]signing.Secret{"a": s}}
	encoded, err := json.Marshal(in)
	require.NoError(t, err)
	all := string(encoded)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%p"} {
		all += fmt.Sprintf(format+format+format+format, s, &s, in, &in)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("text", "secret", s, "in", in)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("json", "secret", s, "in", in)
	entry, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(zapcore.Entry{},
		[]zapcore.Field{zap.Any("secret", s), zap.Any("in", in), zap.Reflect("reflect", s)})
	require.NoError(t, err)
	assert.Contains(t, entry.String(), "whsec_[REDACTED]")
	all += logged.String() + entry.String()
	assert.NotContains(t, all, key)
	assert.NotContains(t, all, string(raw))
	assert.NotContains(t, all, fmt.Sprintf("%x", raw))
	assert.NotContains(t, all, fmt.Sprintf("%X", raw))
	assert.NotContains(t, all, strings.Trim(fmt.Sprintf("%d", raw), "[]"))
	assert.NotContains(t, all, strings.Trim(fmt.Sprintf("%#v", raw[:8]), "[]byte{}"))
	other, err := signing.NewSecret()
	require.NoError(t, err)
	assert.False(t, s.Equal(other))
	assert.True(t, s.Equal(secret(t, s.Reveal())))
}

// An empty key would be one that everybody has.
func TestNoSecret(t *testing.T) {
	var none signing.Secret
	assert.True(t, none.IsZero())
	assert.Empty(t, none.Reveal())
	assert.True(t, none.Equal(signing.Secret{}))
	s := secret(t, knownSecret)
	assert.False(t, s.IsZero())
	assert.False(t, none.Equal(s))
	assert.False(t, s.Equal(none))
	at := time.Unix(knownSeconds, 0)
	assert.Empty(t, signing.Sign(nil, []signing.Secret{none}, knownID, at, []byte(knownBody)))
	assert.Empty(t, signing.Legacy(none, []byte(knownBody)))
	assert.Equal(t, knownSignature, string(signing.Sign(nil, []signing.Secret{none, s, none}, knownID, at, []byte(knownBody))))

	h := hmac.New(sha256.New, nil)
	fmt.Fprintf(h, "%s.%d.%s", knownID, knownSeconds, knownBody)
	forged := headers("v1," + base64.StdEncoding.EncodeToString(h.Sum(nil)))
	require.ErrorIs(t, signing.Verify([]signing.Secret{none}, forged, []byte(knownBody), at), signing.ErrNoMatch)
}

func headers(signature string) http.Header {
	return http.Header{
		"Webhook-Id": {knownID}, "Webhook-Timestamp": {strconv.Itoa(knownSeconds)}, "Webhook-Signature": {signature},
	}
}

func TestVerify(t *testing.T) {
	known, other := secret(t, knownSecret), secret(t, "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	now := time.Unix(knownSeconds, 0)
	signed := func(keys ...signing.Secret) string {
		return string(signing.Sign(nil, keys, knownID, now, []byte(knownBody)))
	}
	for _, tt := range []struct {
		name   string
		keys   []signing.Secret
		change func(http.Header)
		body   string
		now    time.Time
		want   error
	}{
		{name: "genuine"},
		{name: "of either secret", keys: []signing.Secret{other, known}},
		{name: "of another secret", keys: []signing.Secret{other}, want: signing.ErrNoMatch},
		{name: "of no secret", keys: []signing.Secret{}, want: signing.ErrNoMatch},
		{name: "another body", body: knownBody + " ", want: signing.ErrNoMatch},
		{name: "another id", change: func(h http.Header) { h.Set("webhook-id", "msg_1") }, want: signing.ErrNoMatch},
		{name: "another time", change: func(h http.Header) { h.Set("webhook-timestamp", strconv.Itoa(knownSeconds+1)) }, want: signing.ErrNoMatch},
		{name: "at the limit", now: now.Add(signing.Tolerance)},
		{name: "too old", now: now.Add(signing.Tolerance + time.Second), want: signing.ErrOld},
		{name: "early", now: now.Add(-signing.Tolerance)},
		{name: "too early", now: now.Add(-signing.Tolerance - time.Second), want: signing.ErrEarly},
		{name: "an id with a full stop", change: func(h http.Header) { h.Set("webhook-id", knownID+".1614265330") }, want: signing.ErrID},
		{name: "no id", change: func(h http.Header) { h.Del("webhook-id") }, want: signing.ErrMissing},
		{name: "no time", change: func(h http.Header) { h.Del("webhook-timestamp") }, want: signing.ErrMissing},
		{name: "no signature", change: func(h http.Header) { h.Del("webhook-signature") }, want: signing.ErrMissing},
		{name: "half a second", change: func(h http.Header) { h.Set("webhook-timestamp", "1614265330.5") }, want: signing.ErrTimestamp},
		{name: "a plus", change: func(h http.Header) { h.Set("webhook-timestamp", "+1614265330") }, want: signing.ErrTimestamp},
		{name: "no number", change: func(h http.Header) { h.Set("webhook-timestamp", "now") }, want: signing.ErrTimestamp},
		{name: "rotated", change: func(h http.Header) { h.Set("webhook-signature", signed(other, known)) }},
		{name: "of a later version, too", change: func(h http.Header) { h.Set("webhook-signature", "v1a,AAAA v2,xyz "+signed(known)) }},
		{name: "of a later version only", change: func(h http.Header) { h.Set("webhook-signature", "v2"+signed(known)[2:]) }, want: signing.ErrNoMatch},
		{name: "not base64", change: func(h http.Header) { h.Set("webhook-signature", "v1,!!") }, want: signing.ErrNoMatch},
		{name: "empty", change: func(h http.Header) { h.Set("webhook-signature", "v1,") }, want: signing.ErrNoMatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := headers(knownSignature)
			if tt.change != nil {
				tt.change(h)
			}
			keys, body, at := tt.keys, tt.body, tt.now
			if keys == nil {
				keys = []signing.Secret{known}
			}
			if body == "" {
				body = knownBody
			}
			if at.IsZero() {
				at = now
			}
			require.ErrorIs(t, signing.Verify(keys, h, []byte(body), at), tt.want)
		})
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add(knownSecret)
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := signing.ParseSecret(text)
		if err != nil {
			return
		}
		assert.True(t, s.Equal(secret(t, s.Reveal())))
		assert.Equal(t, strings.TrimRight(text, "="), strings.TrimRight(s.Reveal(), "="), "one text for one key")
	})
}

func FuzzVerify(f *testing.F) {
	f.Add(knownID, "1614265330", knownSignature, []byte(knownBody))
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		if signing.Verify([]signing.Secret{secret(t, knownSecret)}, h, body, time.Unix(knownSeconds, 0)) != nil {
			return
		}
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		require.NoError(t, err)
		want := string(signing.Sign(nil, []signing.Secret{secret(t, knownSecret)}, id, time.Unix(seconds, 0), body))
		assert.Contains(t, strings.Fields(signature), want, "what is genuine was signed")
	})
}

// BenchmarkSign signs beside the bare HMAC.
func BenchmarkSign(b *testing.B) {
	body := make([]byte, 2000)
	s := secret(b, knownSecret)
	at := time.Unix(knownSeconds, 0)
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		key := []byte("0123456789012345678901234567890")
		for b.Loop() {
			h := hmac.New(sha256.New, key)
			h.Write(body)
			h.Sum(nil)
		}
	})
	for n := 1; n <= 2; n++ {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			keys := []signing.Secret{s, s}[:n]
			buf := make([]byte, 0, 128)
			b.ReportAllocs()
			for b.Loop() {
				buf = signing.Sign(buf[:0], keys, knownID, at, body)
			}
		})
	}
}
