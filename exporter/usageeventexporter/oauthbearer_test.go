package usageeventexporter

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/config/configoptional"
)

// A tokenKafka is a broker that knows OAUTHBEARER: it takes the first message of
// RFC 7628 apart and, where the token is good, has kfake see a password instead,
// so that kfake itself keeps out who has not said who he is.
type tokenKafka struct {
	*kfake.Cluster

	mu       sync.Mutex
	good     map[string]bool
	messages []string // of clients, in order
}

func newTokenKafka(t *testing.T, good ...string) *tokenKafka {
	t.Helper()
	k := &tokenKafka{good: map[string]bool{}}
	for _, token := range good {
		k.good[token] = true
	}
	k.Cluster = kafka(t, 1, kfake.EnableSASL(), kfake.Superuser("PLAIN", "bearer", "known"))
	k.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if h := r.(*kmsg.SASLHandshakeRequest); h.Mechanism == "OAUTHBEARER" {
			h.Mechanism = "PLAIN"
		}
		return nil, nil, false
	})
	k.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		a := r.(*kmsg.SASLAuthenticateRequest)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.messages = append(k.messages, string(a.SASLAuthBytes))
		parts := bytes.Split(a.SASLAuthBytes, []byte{1})
		if token, ok := bytes.CutPrefix(parts[min(1, len(parts)-1)], []byte("auth=Bearer ")); ok && k.good[string(token)] {
			a.SASLAuthBytes = []byte("\x00bearer\x00known")
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	return k
}

func (k *tokenKafka) take(token string, good bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.good[token] = good
}

func (k *tokenKafka) last(t *testing.T) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	require.NotEmpty(t, k.messages)
	return k.messages[len(k.messages)-1]
}

func withToken(change func(*SASLConfig)) func(*Config) {
	return func(c *Config) {
		noRetry(c)
		s := SASLConfig{Mechanism: "OAUTHBEARER"}
		change(&s)
		c.Auth.SASL = configoptional.Some(s)
	}
}

func TestATokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	cluster := newTokenKafka(t, "first.token", "second.token")
	r := start(t, quick(cluster.ListenAddrs(), withToken(func(s *SASLConfig) {
		s.TokenFile = path
		s.Extensions = map[string]string{"logicalCluster": "lkc-1", "identityPoolId": "pool-1"}
	})))
	consume := func() error { return r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)) }

	err := consume()
	require.ErrorIs(t, err, errNoToken, "the collector starts without it")
	require.ErrorContains(t, err, "auth::sasl::oauthbearer_token_file: open "+path)
	require.False(t, isAnswer(err), "it is as good as no Kafka")

	write(t, dir, "token", "first.token\n")
	require.NoError(t, consume())
	assert.Equal(t, "n,,\x01auth=Bearer first.token\x01identityPoolId=pool-1\x01logicalCluster=lkc-1\x01\x01", cluster.last(t))

	write(t, dir, "token", "second.token")
	require.NoError(t, consume())
	assert.Contains(t, cluster.last(t), "first.token", "what is connected stays so")
	r.producer.current.line.drop()
	offer(t, r, instances(1)[0], func(int) {})
	assert.Contains(t, cluster.last(t), "second.token")

	for _, bad := range []string{"", " \n", "two words", "cut\x01short", "<html>", "a=b=c", strings.Repeat("x", tokenLimit+1)} {
		write(t, dir, "token", bad)
		r.renew()
		err := consume()
		require.ErrorIs(t, err, errNoToken, "%.20q", bad)
		if strings.TrimSpace(bad) != "" {
			assert.NotContains(t, err.Error(), bad[:3])
		}
	}
	write(t, dir, "token", "third.token")
	require.ErrorContains(t, consume(), "the brokers reject auth::sasl: check mechanism, username and password, or the token")
	cluster.take("third.token", true)
	require.NoError(t, consume())
}

func FuzzCheckToken(f *testing.F) {
	for _, s := range []string{"", "a.b.c", "a b", "a\x01b", "abc==", "=", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkToken(s) == nil && strings.ContainsAny(s, "\x00\x01\n\r ,\"") {
			t.Fatalf("%q would end the message", s)
		}
	})
}
